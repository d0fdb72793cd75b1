#include "config/parse.hpp"
#include "config/keys.hpp"
#include "config/problems.hpp"
#include "config/resolved.hpp"
#include "config/validate.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <toml++/toml.h>

namespace weft {
namespace {

// Inputs have a few thousand bytes. The TOML library's stack does not survive some tens of thousands of nested tables,
// and a dotted key ("a.a.a") makes one of every two bytes.
constexpr std::size_t most_bytes = 32768, most_override_bytes = 4096;

/// "12", "\"big\" (text)", ...: what stands in the file.
std::string got_text(const toml::node& node) {
  const char* type = "";
  switch (node.type()) {
  case toml::node_type::table:
    return "a section";
  case toml::node_type::string:
    type = "text";
    break;
  case toml::node_type::integer:
    type = "an integer";
    break;
  case toml::node_type::floating_point:
    type = "a number";
    break;
  case toml::node_type::boolean:
    type = "true or false";
    break;
  case toml::node_type::array:
    type = "a list";
    break;
  default:
    type = "a date or time";
    break;
  }
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return fmt::format("{} ({})", out.str(), type);
}

template <class T>
bool assign_list(const toml::node& node, std::vector<T>& to) {
  const toml::array* list = node.as_array();
  if (list == nullptr)
    return false;
  std::vector<T> values;
  for (const toml::node& entry : *list) {
    const auto value = entry.value_exact<T>();
    if (!value)
      return false;
    values.push_back(*value);
  }
  to = std::move(values);
  return true;
}

/// Stores the node's value behind the key; false if it is of another type. Integers are numbers too.
bool assign(const toml::node& node, const Member& member) {
  if (auto* to = std::get_if<bool*>(&member)) {
    const auto value = node.value_exact<bool>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<std::int64_t*>(&member)) {
    const auto value = node.value_exact<std::int64_t>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<double*>(&member)) {
    if (const auto whole = node.value_exact<std::int64_t>())
      return **to = static_cast<double>(*whole), true;
    const auto value = node.value_exact<double>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<std::string*>(&member)) {
    const auto value = node.value_exact<std::string>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<std::vector<std::int64_t>*>(&member))
    return assign_list(node, **to);
  auto* texts = std::get<std::vector<std::string>*>(member);
  if (const auto value = node.value_exact<std::string>())
    return *texts = {*value}, true;
  return assign_list(node, *texts);
}

class Loader {
 public:
  Loader(LoadedConfig& loaded, Problems& problems)
      : loaded_(loaded), problems_(problems), keys_(keys_of(loaded.config)) {}

  /// False if the text is not TOML at all.
  bool file(const std::string& text) {
    if (text.size() > most_bytes) {
      problems_.add({loaded_.file, 0}, "", fmt::format("got more than {} bytes, expected an input file", most_bytes));
      return false;
    }
    toml::table root;
    try {
      root = toml::parse(text, loaded_.file);
    } catch (const toml::parse_error& error) {
      const auto at = error.source().begin;
      problems_.add({fmt::format("{}:{}:{}", loaded_.file, at.line, at.column), 0}, "",
                    fmt::format("not TOML: {}", error.description()));
      return false;
    }
    for (const auto& [name, node] : root) {
      const Origin where{loaded_.file, static_cast<int>(name.source().begin.line)};
      const std::string word(name.str());
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
    return true;
  }

  void override_with(const std::string& argument) {
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
    // A bare word, or for a text key anything that TOML takes for another type (run.name=2024).
    const toml::value<std::string> bare{value};
    if ((text && (node == nullptr || !node->is_string())) || (texts && node == nullptr))
      node = &bare;
    if (node == nullptr)
      problems_.add(where, name, fmt::format("got {}, expected {}", value, expected_text(*key)));
    else
      set(*key, *node, where);
  }

 private:
  void section(const std::string& name, const toml::table& table) {
    for (const auto& [word, node] : table) {
      const std::string full = name + "." + std::string(word.str());
      const Origin where{loaded_.file, static_cast<int>(word.source().begin.line)};
      if (const Key* key = find(full))
        set(*key, node, where);
      else
        problems_.add(where, full, "unknown key" + key_hint(full));
    }
  }

  void set(const Key& key, const toml::node& node, const Origin& where) {
    loaded_.origins[key.name] = where;
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

  const Key* find(const std::string& name) const {
    for (const Key& key : keys_)
      if (key.name == name)
        return &key;
    return nullptr;
  }

  static std::string question(const std::string& hint) { return hint.empty() ? "" : "; did you mean " + hint + "?"; }
  std::string key_hint(const std::string& name) {
    const std::string key = nearest_key(name);
    problems_.doubt(key);
    return key.empty() ? "; weft help lists all keys" : question(key);
  }
  std::string section_hint(const std::string& name) {
    const std::string section = nearest(name, section_names());
    for (const Key& key : keys_)
      if (key.section() == section)
        problems_.doubt(key.name);
    return section.empty() ? fmt::format("; expected one of {}", joined(section_names(), ", "))
                           : question("[" + section + "]");
  }

  LoadedConfig& loaded_;
  Problems& problems_;
  std::vector<Key> keys_;
};

} // namespace

LoadedConfig load_config_text(const std::string& text, const std::string& name,
                              const std::vector<std::string>& overrides, DataCheck data) {
  LoadedConfig loaded;
  loaded.file = name;
  Problems problems;
  Loader loader(loaded, problems);
  const bool toml = loader.file(text);
  for (const std::string& argument : overrides)
    loader.override_with(argument);
  if (toml)
    validate(loaded, data, problems);
  problems.throw_if_any();
  return loaded;
}

Config from_toml_text(const std::string& text, const std::string& name) {
  LoadedConfig loaded;
  loaded.file = name;
  Problems problems;
  Loader(loaded, problems).file(text);
  problems.throw_if_any();
  return loaded.config;
}

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides, DataCheck data) {
  std::ifstream in(path, std::ios::binary);
  std::string text(most_bytes + 1, '\0'); // one more than is taken: a device such as /dev/zero has no end
  // Reading a folder opens well and fails at the first byte; an empty file fails too but is a good (default) input.
  if (!in || (in.peek() == std::ifstream::traits_type::eof() && in.bad()))
    throw InputError(fmt::format("{}: cannot read the input file: {}", path, std::strerror(errno)));
  in.clear();
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return load_config_text(text, path, overrides, data);
}

} // namespace weft
