#include "config/loader.hpp"
#include "config/toml_value.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <utility>

namespace weft {
namespace {

constexpr std::size_t most_override_bytes = 4096;
constexpr std::size_t longest_chain = 16; ///< of files that start from one another

/// A file that sets this many keys is a resolved one: it has every key of its time, whether anything reads it or not.
constexpr std::size_t keys_of_a_resolved_file = 60;

std::string question(const std::string& hint) { return hint.empty() ? "" : "; did you mean " + hint + "?"; }

} // namespace

bool read_input(const std::string& path, std::string& text) {
  std::ifstream in(path, std::ios::binary);
  // Reading a folder opens well and fails at the first byte; an empty file fails too but is a good (default) input.
  if (!in || (in.peek() == std::ifstream::traits_type::eof() && in.bad()))
    return false;
  in.clear();
  text.assign(most_input_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return true;
}

bool Loader::file(const std::string& text, const std::string& name) {
  if (text.size() > most_input_bytes) {
    problems_.add({name, 0}, "", fmt::format("got more than {} bytes, expected an input file", most_input_bytes));
    return false;
  }
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    problems_.add({fmt::format("{}:{}:{}", name, at.line, at.column), 0}, "",
                  fmt::format("not TOML: {}", error.description()));
    return false;
  }
  chain_.push_back(name);
  const toml::node* base = root.get("base");
  const bool sound = base == nullptr || start_from(*base, {name, static_cast<int>(base->source().begin.line)});
  file_ = name;
  set_now_.clear();
  for (const auto& [word, node] : root)
    if (word.str() != "base")
      entry(std::string(word.str()), node, {name, static_cast<int>(word.source().begin.line)});
  end_of_layer();
  if (set_now_.size() >= keys_of_a_resolved_file)
    read_.insert(set_now_.begin(), set_now_.end());
  chain_.pop_back();
  return sound;
}

void Loader::end_of_layer() {
  const Readers readers(loaded_.config);
  for (const auto& [name, origin] : loaded_.origins)
    if (readers.read(name))
      read_.insert(name);
}

void Loader::check_read() {
  Config fresh;
  const Readers readers(loaded_.config), defaults(fresh);
  std::vector<std::pair<std::string, std::string>> unread;
  for (const auto& [name, origin] : loaded_.origins) {
    const Key& key = readers.key(name);
    if (read_.count(name) > 0 || problems_.names(name) || doubtful(readers, key) ||
        value_text(key) == value_text(defaults.key(name)))
      continue;
    unread.emplace_back(name,
                        fmt::format("is set and nothing reads it: {}; expected {}, or {} = {}", readers.reason(name),
                                    readers_text(key, key.section()), key.last(), value_text(defaults.key(name))));
  }
  for (const auto& [name, text] : unread) // only now: one of them makes no other doubtful
    problems_.add(loaded_.origins.at(name), name, text);
}

void Loader::override_with(const std::string& argument) {
  const Origin where{"command line", 0};
  const std::size_t equal = argument.find('=');
  if (equal == std::string::npos || equal == 0) {
    problems_.add(where, "", fmt::format("got \"{}\", expected section.key=value{}", argument, key_hint(argument)));
    return;
  }
  const std::string name = argument.substr(0, equal), value = argument.substr(equal + 1);
  if (argument.size() > most_override_bytes) {
    problems_.add(
        where, "",
        fmt::format("got {} bytes in one argument, expected at most {}", argument.size(), most_override_bytes));
    return;
  }
  const Key* key = find(name);
  if (key == nullptr) {
    problems_.add(where, name, "unknown key" + key_hint(name));
    return;
  }
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
  }
  const bool text = std::holds_alternative<std::string*>(key->value);
  const bool texts = std::holds_alternative<std::vector<std::string>*>(key->value);
  const toml::node* node = parsed.size() == 1 ? parsed.get("value") : nullptr;
  if ((text || texts) && node == nullptr && !value.empty() && (value.front() == '"' || value.front() == '\'')) {
    problems_.add(where, name,
                  fmt::format("got {}, text with a quote that does not end; leave it out, or quote for the shell, too: "
                              "'{}=\"TEXT\"'",
                              value, name));
    return;
  }
  // A bare word, or for a text key anything that TOML takes for another type (run.name=2024).
  const toml::value<std::string> bare{value};
  if ((text && (node == nullptr || !node->is_string())) || (texts && node == nullptr))
    node = &bare;
  if (node == nullptr)
    problems_.add(where, name, fmt::format("got {}, expected {}", value, expected_text(*key)));
  else
    set(*key, *node, where);
}

bool Loader::start_from(const toml::node& base, const Origin& where) {
  const auto path = base.value_exact<std::string>();
  const auto complain = [&](const std::string& text) { return problems_.add(where, "base", text), true; };
  if (!path || path->empty())
    return complain(fmt::format("got {}, expected another input file in quotes, relative to this one", got_text(base)));
  const auto canonical = [](const std::string& one) {
    std::error_code ignored; // what is not there is told below
    return std::filesystem::weakly_canonical(one, ignored);
  };
  const std::string file = (std::filesystem::path(where.file).parent_path() / *path).lexically_normal().string();
  for (const std::string& earlier : chain_)
    if (canonical(earlier) == canonical(file))
      return complain(fmt::format("got \"{}\", which goes in a circle: {} -> {}; expected a file that does not start "
                                  "from this one",
                                  *path, joined(chain_, " -> "), file));
  if (chain_.size() >= longest_chain)
    return complain(fmt::format("got \"{}\", the start of a chain of more than {} files", *path, longest_chain));
  std::string text;
  if (!read_input(file, text))
    return complain(fmt::format("got \"{}\", cannot read {}: {}", *path, file, std::strerror(errno)));
  return this->file(text, file);
}

void Loader::entry(const std::string& word, const toml::node& node, const Origin& where) {
  const bool known = std::find(section_names().begin(), section_names().end(), word) != section_names().end();
  if (known && node.is_table())
    section(word, *node.as_table());
  else if (known)
    problems_.add(where, "", fmt::format("{}: got {}, expected a section [{}]", word, got_text(node), word));
  else if (node.is_table() || node.is_array_of_tables())
    problems_.add(where, "", fmt::format("[{}]: unknown section{}", word, section_hint(word)));
  else
    problems_.add(where, word, "got a key outside every section" + key_hint(word));
}

bool Loader::doubtful(const Readers& readers, const Key& key) const {
  for (const Reader& reader : key.of)
    for (const Condition& condition : reader)
      if (problems_.names(condition.key) || doubtful(readers, readers.key(condition.key)))
        return true;
  return false;
}

void Loader::section(const std::string& name, const toml::table& table) {
  for (const auto& [word, node] : table) {
    const std::string full = name + "." + std::string(word.str());
    const Origin where{file_, static_cast<int>(word.source().begin.line)};
    if (const Key* key = find(full))
      set(*key, node, where);
    else
      problems_.add(where, full, "unknown key" + key_hint(full));
  }
}

void Loader::set(const Key& key, const toml::node& node, const Origin& where) {
  loaded_.origins[key.name] = where;
  read_.erase(key.name);
  set_now_.insert(key.name);
  if (!assign(node, key.value)) {
    problems_.add(where, key.name, fmt::format("got {}, expected {}", got_text(node), expected_text(key)));
    return;
  }
  const std::string violation = limits_violation(key);
  if (violation.empty())
    return;
  std::string hint;
  if (const auto* text = std::get_if<std::string*>(&key.value))
    hint = nearest(**text, key.limits.words);
  problems_.add(where, key.name, fmt::format("{}, expected {}{}", violation, expected_text(key), question(hint)));
}

const Key* Loader::find(const std::string& name) const {
  for (const Key& key : keys_)
    if (key.name == name)
      return &key;
  return nullptr;
}

std::string Loader::key_hint(const std::string& name) {
  const std::string key = nearest_key(name);
  problems_.doubt(key);
  return key.empty() ? "; weft help lists all keys" : question(key);
}

std::string Loader::section_hint(const std::string& name) {
  const std::string section = nearest(name, section_names());
  for (const Key& key : keys_)
    if (key.section() == section)
      problems_.doubt(key.name);
  return section.empty() ? fmt::format("; expected one of {}", joined(section_names(), ", "))
                         : question("[" + section + "]");
}

} // namespace weft
