#include "commands/completion.hpp"
#include "commands/command_table.hpp"
#include "commands/shared_options.hpp"
#include "config/keys.hpp"
#include <fmt/format.h>
#include <memory>

namespace weft {
namespace {

/// A branch of a case: "    'eval') THEN ;;". more: also of what goes on after `of`.
std::string branch(const std::string& of, const std::string& then, bool more = false) {
  return fmt::format("    '{}'{}) {} ;;\n", of, more ? "*" : "", then);
}

/// What a shell offers for a value, as a call of the functions of the script.
std::string offer(const WordOf& word) {
  if (!word.words.empty())
    return "_weft_words '" + joined(word.words, " ") + "'";
  if (word.title == input_word)
    return "_weft_inputs";
  if (word.title == run_word)
    return "_weft_runs";
  if (word.title == folder_word)
    return "_weft_folders";
  if (word.title == file_word)
    return "_weft_files";
  if (word.title == override_word)
    return "_weft_keys =";
  if (word.title == key_word)
    return "_weft_keys";
  return ":";
}

constexpr const char* functions = R"SH(# Completion of weft for bash: source it, or put it where bash-completion looks.
# Written by `weft completion bash`.
_weft_words() { COMPREPLY+=($(compgen -W "$1" -- "$cur")); }
_weft_files() {
  compopt -o filenames
  local IFS=$'\n'
  COMPREPLY+=($(compgen -f -- "$cur"))
}
_weft_folders() {
  compopt -o filenames
  local IFS=$'\n'
  COMPREPLY+=($(compgen -d -- "$cur"))
}
_weft_inputs() {
  _weft_folders
  local IFS=$'\n'
  COMPREPLY+=($(compgen -f -X '!*.toml' -- "$cur"))
}
_weft_runs() {
  _weft_folders
  local IFS=$'\n'
  COMPREPLY+=($(compgen -f -X '!*.h5' -- "$cur"))
  if [[ -z $cur && -d runs ]]; then COMPREPLY=($(compgen -d -- runs/)); fi
}
_weft_keys() { # $1: what follows the key
  if [[ -n $1 ]]; then compopt -o nospace; fi
  COMPREPLY+=($(compgen -S "$1" -W "$_weft_all_keys" -- "$cur"))
}
)SH";

constexpr const char* rest = R"SH(
_weft() {
  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} path= place=0 key= word commands i
  COMPREPLY=()
  # KEY=VALUE comes as three words.
  if [[ $cur == = ]]; then
    key=$before cur=
  elif [[ $before == = ]]; then
    key=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [[ $key == --* ]]; then
    before=$key key=
  fi
  if [[ -n $key ]]; then
    _weft_value "$key"
    return
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((place == 0)) && [[ " $(_weft_commands "$path") " == *" $word "* ]]; then
      path="${path:+$path }$word"
    elif [[ $word == -* ]]; then
      if _weft_takes "$path $word"; then
        [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
        ((i++))
      fi
    elif [[ $word == = ]]; then
      ((i++)) # the value belongs to the key before it
    else
      ((place++))
    fi
  done
  if ((i > COMP_CWORD)); then
    _weft_option "$path $before"
    return
  fi
  commands=$(_weft_commands "$path")
  if [[ $cur == -* ]]; then
    _weft_words "$(_weft_options "$path")"
  elif [[ -n $commands ]]; then
    _weft_words "$commands"
  else
    _weft_argument "$path" "$place"
  fi
}
complete -F _weft weft
)SH";

} // namespace

std::string bash_completion(const CLI::App& app) {
  std::string commands, options, takes, values, arguments;
  for (const CommandOf& command : commands_of(app)) {
    const std::size_t space = command.path.find(' ');
    const std::string path = space == std::string::npos ? "" : command.path.substr(space + 1);
    if (!command.commands.empty())
      commands += branch(path, "echo '" + joined(command.commands, " ") + "'");
    std::vector<std::string> names, with_value;
    int place = 0;
    for (const WordOf& word : command.words) {
      if (word.names.empty()) {
        arguments += word.many ? branch(path + ":", offer(word), true)
                               : branch(path + ":" + std::to_string(place++), offer(word));
        continue;
      }
      for (const std::string& name : word.names) {
        if (name.rfind("--", 0) == 0)
          names.push_back(name);
        if (word.title.empty())
          continue;
        with_value.push_back(path + " " + name);
        values += branch(path + " " + name, offer(word));
      }
    }
    options += branch(path, "echo '" + joined(names, " ") + "'");
    for (const std::string& one : with_value)
      takes += branch(one, "return 0");
  }
  Config config;
  std::vector<std::string> keys;
  std::string words_of_keys;
  for (const Key& key : keys_of(config)) {
    keys.push_back(key.name);
    if (std::holds_alternative<bool*>(key.value))
      words_of_keys += branch(key.name, "_weft_words 'true false'");
    else if (!key.limits.words.empty())
      words_of_keys += branch(key.name, "_weft_words '" + joined(key.limits.words, " ") + "'");
    else if (key.name == "data.path" || key.name == "run.directory")
      words_of_keys += branch(key.name, "_weft_folders");
    else if (key.name == "model.init_from")
      words_of_keys += branch(key.name, "_weft_runs");
  }
  const auto function = [](const std::string& name, const std::string& of, const std::string& branches,
                           const std::string& otherwise) {
    return fmt::format("{}() {{\n  case {} in\n{}    *) {} ;;\n  esac\n}}\n", name, of, branches, otherwise);
  };
  return functions + fmt::format("_weft_all_keys='{}'\n", joined(keys, " ")) +
         function("_weft_commands", "$1", commands, ":") + function("_weft_options", "$1", options, ":") +
         function("_weft_takes", "$1", takes, "return 1") + function("_weft_option", "$1", values, ":") +
         function("_weft_argument", "$1:$2", arguments, ":") + function("_weft_value", "$1", words_of_keys, ":") + rest;
}

void add_completion(CLI::App& app, std::function<int()>& action) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "a script that makes a shell complete weft's command lines");
  command->add_option("shell", *shell, "bash: . <(weft completion bash)")->required()->check(CLI::IsMember({"bash"}));
  command->callback([&app, &action] {
    action = [&app] {
      fmt::print("{}", bash_completion(app));
      return 0;
    };
  });
}

} // namespace weft
