#include "commands/command_line.hpp"
#include "commands/bench.hpp"
#include "commands/check.hpp"
#include "commands/completion.hpp"
#include "commands/eval.hpp"
#include "commands/generate.hpp"
#include "commands/help.hpp"
#include "commands/inspect.hpp"
#include "commands/metrics.hpp"
#include "commands/pattern.hpp"
#include "commands/prepare.hpp"
#include "commands/runs.hpp"
#include "commands/sample.hpp"
#include "commands/train.hpp"
#include "config/keys.hpp"
#include "config/version.hpp"
#include "parallel/waiting.hpp"
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>

namespace weft {
namespace {

std::string question(const std::string& near, const std::string& otherwise) {
  return near.empty() ? otherwise : "; did you mean " + near + "?";
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands)
    names.push_back(command->get_name());
  return names;
}

const CLI::App* named(const CLI::App& app, const std::string& name) {
  for (const CLI::App* one : app.get_subcommands({}))
    if (one->get_name() == name)
      return one;
  return nullptr;
}

std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> options;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames())
      options.push_back("--" + name);
  return options;
}

/// "1000000.000000" as "1000000".
std::string short_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return *end == 0 && text.find('.') != std::string::npos ? fmt::format("{}", value) : text;
}

/// Whether a message reads as `form`, in which each % stands for some text, the shortest that there is; `found`: those
/// texts. The first one is a name, without spaces, unless `any`.
bool has_form(const std::string& message, const std::string& form, std::vector<std::string>& found, bool any = false) {
  found.clear();
  std::size_t at = form.find('%'), read = at; // in the form, in the message
  if (message.compare(0, at, form, 0, at) != 0)
    return false;
  while (at != std::string::npos) {
    const std::size_t next = form.find('%', at + 1);
    const std::string between = form.substr(at + 1, next == std::string::npos ? next : next - at - 1);
    std::size_t end = message.find(between, read);
    if (next == std::string::npos && message.size() >= read + between.size())
      end = message.compare(message.size() - between.size(), between.size(), between) == 0
                ? message.size() - between.size()
                : std::string::npos;
    if (end == std::string::npos || (next == std::string::npos && end < read))
      return false;
    found.push_back(message.substr(read, end - read));
    if (found.size() == 1 && !any && found[0].find(' ') != std::string::npos)
      return false;
    read = end + between.size();
    at = next;
  }
  return true;
}

/// What an option takes, for a person.
std::string kind_of(const CLI::App& command, const std::string& name) {
  const CLI::Option* option = command.get_option_no_throw(name);
  const std::string type = option == nullptr ? "" : option->get_type_name();
  if (type.rfind("INT", 0) == 0 || type.rfind("UINT", 0) == 0)
    return "an integer";
  return type.rfind("FLOAT", 0) == 0 ? "a number" : "another value";
}

} // namespace

void add_commands(CLI::App& app, std::function<int()>& action) {
  for (const auto add : {add_train, add_eval, add_sample, add_prepare, add_generate, add_check, add_pattern,
                         add_inspect, add_runs, add_metrics, add_bench, add_help, add_completion})
    add(app, action);
  app.add_subcommand("version", "what --version prints")->callback([&action] {
    action = [] {
      fmt::print("{}\n", full_version_text());
      return 0;
    };
  });
}

std::string full_version_text() { return fmt::format("{}\nwaiting   {}", version_text(), waiting_text()); }

std::string reworded(const CLI::App& command, const std::string& message) {
  std::vector<std::string> found;
  const auto is = [&](const char* form) { return has_form(message, form, found); };
  if (is("%: Value % not in range % to %"))
    return fmt::format("{}: got {}, expected {} to {}", found[0], found[1], short_number(found[2]),
                       short_number(found[3]));
  if (is("%: Value % could not be converted") || is("Could not convert: % = %"))
    return fmt::format("{}: got \"{}\", expected {}", found[0], found[1], kind_of(command, found[0]));
  if (is("%: % not in {%}")) {
    std::string words;
    for (const char c : found[2])
      words += c == ',' ? std::string(", ") : std::string(1, c);
    return fmt::format("{}: got \"{}\", expected one of {}", found[0], found[1], words);
  }
  if (is("%: Number less than 0: %") || is("%: Number less or equal to 0: %"))
    return fmt::format("{}: got {}, expected a number >= 0", found[0], found[1]);
  if (is("%: % required % missing"))
    return fmt::format("{}: got too few values, expected {} more", found[0], found[1]);
  if (is("%: At least % required but received %"))
    return fmt::format("{}: got {} value{}, expected {}", found[0], found[2], found[2] == "1" ? "" : "s", found[1]);
  if (is("% is required"))
    return fmt::format("got no {}, which is needed", found[0]);
  if (is("% requires %"))
    return fmt::format("{}: expected {} with it", found[0], found[1]);
  if (is("% excludes %"))
    return fmt::format("got {} and {}, expected one of them", found[0], found[1]);
  for (const char* form :
       {"The following argument was not expected: %", "The following arguments were not expected: %"})
    if (has_form(message, form, found, true))
      return fmt::format("got \"{}\", which is no argument of this command", found[0]);
  return message;
}

std::string explained(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const std::vector<std::string> commands = names_of(app.get_subcommands({}));
  const std::string all = joined(commands, ", "), first = argc < 2 ? "" : argv[1];
  const CLI::App* command = named(app, first);
  if (command == nullptr && first.rfind('-', 0) != 0) {
    const std::string near = nearest(first, commands);
    return fmt::format("got \"{}\", expected one of {}{}", first, all,
                       question(near.empty() ? "" : "weft " + near, "; weft --help tells more"));
  }
  const std::vector<std::string> options = options_of(command != nullptr ? *command : app);
  if (command == nullptr)
    return fmt::format("got \"{}\", expected one of {}, --help, --version{}", first, all,
                       question(nearest(first, options), ""));
  const CLI::App* read = command; // the one whose options were read
  if (const std::vector<std::string> kinds = names_of(command->get_subcommands({})); !kinds.empty()) {
    const std::string got = argc > 2 ? argv[2] : "";
    if (named(*command, got) == nullptr && got.rfind('-', 0) != 0)
      return fmt::format("weft {}: got {}, expected one of {}{}", first, got.empty() ? "nothing" : "\"" + got + "\"",
                         joined(kinds, ", "), question(nearest(got, kinds), ""));
    read = named(*command, got) != nullptr ? named(*command, got) : command;
  }
  const std::string words = read == command ? first : first + " " + read->get_name();
  const std::string more = "; weft " + words + " --help tells more";
  // A misspelt option comes first: another one that is missing may be the one that was meant.
  const std::vector<std::string> known = options_of(*read);
  for (int i = 2; i < argc && std::string(argv[i]) != "--"; ++i) {
    const std::string word = argv[i], name = word.substr(0, word.find('='));
    if (name.rfind("--", 0) == 0 && std::find(known.begin(), known.end(), name) == known.end())
      return fmt::format("weft {}: got \"{}\", which is no option of this command{}", words, word,
                         question(nearest(name, known), more));
  }
  return fmt::format("weft {}: {}{}", words, reworded(*read, error.what()), more);
}

} // namespace weft
