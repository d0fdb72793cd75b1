#include "commands/help.hpp"
#include "commands/man_page.hpp"
#include "commands/shared_options.hpp"
#include "config/patterns.hpp"
#include "config/readers.hpp"
#include "io/error.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace weft {
namespace {

std::string key_page(const Key& key) {
  std::string out = fmt::format("{}\n  {}\n  type      {}\n", key.name, key.help, type_text(key));
  out += fmt::format("  expected  {}\n", expected_text(key));
  if (!key.unit.empty())
    out += fmt::format("  unit      {}\n", key.unit);
  if (!key.of.empty())
    out += fmt::format("  read with {}\n", readers_text(key));
  out += fmt::format("  default   {}\n", value_text(key));
  return key.name == "attention.pattern" ? out + "\n" + pattern_markdown() : out;
}

std::string key_list(const std::vector<Key>& keys) {
  std::size_t width = 0;
  for (const Key& key : keys)
    width = std::max(width, key.last().size() + value_text(key).size() + 3);
  std::string out, section;
  for (const Key& key : keys) {
    if (key.section() != section) {
      section = key.section();
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section);
    }
    const std::string unit = key.unit.empty() ? "" : " (" + key.unit + ")";
    out += fmt::format("  {:<{}}  {}{}\n", key.last() + " = " + value_text(key), width, key.help, unit);
  }
  return out;
}

} // namespace

std::string help_text(const std::string& what) {
  Config config;
  std::vector<Key> chosen;
  for (const Key& key : keys_of(config)) {
    if (key.name == what)
      return key_page(key);
    if (what.empty() || key.name.rfind(what, 0) == 0 || key.last().rfind(what, 0) == 0)
      chosen.push_back(key);
  }
  if (chosen.size() == 1)
    return key_page(chosen.front());
  if (!chosen.empty())
    return key_list(chosen) + (what.empty() ? "\nweft help KEY tells type and range of one key.\n" : "");
  std::string near = nearest_key(what);
  if (const std::string section = nearest(what, section_names()); !section.empty())
    near = section;
  throw InputError(fmt::format("weft help: got \"{}\", expected a key or section{}", what,
                               near.empty() ? "; weft help lists all" : "; did you mean " + near + "?"));
}

std::string help_markdown(const std::string& what) {
  if (what == "attention.pattern")
    return pattern_markdown();
  if (!what.empty())
    throw InputError(fmt::format("weft help --markdown: got \"{}\", expected nothing or attention.pattern", what));
  std::string out =
      "# Input keys\n\n"
      "<!-- Written by `weft help --markdown`; a test compares. Change src/config/keys.cpp, not this page. -->\n\n"
      "An input file is TOML 1.0. Every key has a default. After the file, the command line may set keys as\n"
      "`section.key=value`; the later one wins, and a bare word is text where the key is text:\n\n"
      "```\nweft train inputs/enwik8/fixed.toml model.layers=12 optimizer.kind=adam attention.combination='[\"block\", "
      "\"summary\"]'\n```\n\n"
      "An unknown key, a wrong type, a value out of range and keys that do not fit together are told all at once, "
      "with\n"
      "file, line and the nearest valid key; then nothing is started and the exit status is 2 (4 if only the data set\n"
      "is missing). The resolved input, with every key, is in the run folder and in every checkpoint.\n\n"
      "The last column says with which other keys a key is read; where it is empty, every run reads it. A key that is\n"
      "set to another value than its default where nothing reads it is an error. What a file says is judged by the\n"
      "file as it stands too: the command line may choose another pattern without unsetting the keys of the old "
      "one.\n\n"
      "A file may start from another one: its first line is then `base = \"other.toml\"`, a path relative to the "
      "file.\n"
      "The later value wins; the resolved input is whole.\n\n"
      "Letters: L layers, D width, H heads, N sequence length, V vocabulary, l stride, c summary columns.\n";
  Config config;
  std::string section;
  const auto cell = [](std::string text) { // a bar would end the cell
    for (std::size_t i = 0; (i = text.find('|', i)) != std::string::npos; i += 2)
      text.insert(i, "\\");
    return text;
  };
  for (const Key& key : keys_of(config)) {
    if (key.section() != section) {
      section = key.section();
      out += fmt::format("\n## [{}]\n\n| key | default | expected | unit | meaning | read with |\n| --- | --- | --- | "
                         "--- | --- | --- |\n",
                         section);
    }
    out += fmt::format("| `{}` | `{}` | {} | {} | {} | {} |\n", key.last(), value_text(key), cell(expected_text(key)),
                       cell(key.unit), cell(key.help), cell(readers_text(key, section)));
  }
  return out;
}

void add_help(CLI::App& app, std::function<int()>& action) {
  struct Options {
    std::string what;
    bool markdown = false, man = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("help", "what an input file can say: all keys, a section, or one key");
  command->add_option("KEY", options->what, "a key, a section, or the beginning of a name")->type_name(key_word);
  CLI::Option* markdown = command->add_flag(
      "--markdown", options->markdown,
      "write docs/input.md to the standard output; of attention.pattern, the table in docs/attention.md");
  command->add_flag("--man", options->man, "write the man page to the standard output: weft help --man > weft.1")
      ->excludes(markdown);
  command->callback([options, &app, &action] {
    action = [options, &app] {
      fmt::print("{}", options->man        ? man_page(app)
                       : options->markdown ? help_markdown(options->what)
                                           : help_text(options->what));
      return 0;
    };
  });
}

} // namespace weft
