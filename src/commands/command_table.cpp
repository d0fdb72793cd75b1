#include "commands/command_table.hpp"
#include <algorithm>
#include <cctype>

namespace weft {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts{""};
  for (const char c : text)
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// "TEXT:{train,valid,test}" as its words; none where it has no such list.
std::vector<std::string> list_in(const std::string& type) {
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open)
    return {};
  return split(type.substr(open + 1, close - open - 1), ',');
}

WordOf word_of(const CLI::Option& option) {
  WordOf word;
  for (const std::string& name : option.get_snames())
    word.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames())
    word.names.push_back("--" + name);
  word.help = option.get_description();
  word.initial = option.get_default_str();
  word.required = option.get_required();
  word.many = option.get_items_expected_max() > 1;
  if (option.get_items_expected_max() == 0) // a flag
    return word;
  const std::string type = option.get_type_name();
  word.words = list_in(type);
  word.title = type.substr(0, type.find(':'));
  if (!word.words.empty()) {
    word.title.clear();
    for (const std::string& one : word.words)
      word.title += (word.title.empty() ? "" : "|") + one;
  } else if (word.title == "INT" || word.title == "UINT") {
    word.title = "N";
  } else if (word.title == "FLOAT") {
    word.title = "X";
  } else if (word.names.empty() && word.title == "TEXT") { // an argument goes by its name
    word.title = option.get_name();
    std::transform(word.title.begin(), word.title.end(), word.title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  }
  return word;
}

void add(const CLI::App& app, const std::string& before, std::vector<CommandOf>& all) {
  CommandOf one{before.empty() ? app.get_name() : before + " " + app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options())
    one.words.push_back(word_of(*option));
  const std::vector<const CLI::App*> below = app.get_subcommands({});
  for (const CLI::App* command : below)
    one.commands.push_back(command->get_name());
  const std::string path = one.path;
  all.push_back(std::move(one));
  for (const CLI::App* command : below)
    add(*command, path, all);
}

} // namespace

std::vector<CommandOf> commands_of(const CLI::App& app) {
  std::vector<CommandOf> all;
  add(app, "", all);
  return all;
}

} // namespace weft
