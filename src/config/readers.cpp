#include "config/readers.hpp"
#include "config/patterns.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace weft {
namespace {

/// What a pattern reads is worth more than that it is not another one.
std::string what_it_reads(const Key& key) {
  const std::string value = plain_text(key);
  if (key.name != "attention.pattern")
    return "";
  const std::vector<std::string> keys = pattern_reads(pattern_row(value));
  return " reads " + (keys.empty() ? "no other key of [attention] that says what it sees" : joined(keys, ", "));
}

} // namespace

Readers::Readers(Config& config) : keys_(keys_of(config)) {}

const Key& Readers::key(const std::string& name) const {
  for (const Key& key : keys_)
    if (key.name == name)
      return key;
  throw InputError(fmt::format("{} is no key; weft help lists all", name));
}

bool Readers::met(const Condition& condition) const {
  const std::string value = plain_text(key(condition.key)), list = value_text(key(condition.key));
  return std::any_of(condition.values.begin(), condition.values.end(),
                     [&](const std::string& one) { return one == value || one == list; });
}

bool Readers::read(const std::string& name) const {
  const std::vector<Reader>& of = key(name).of;
  return of.empty() || std::any_of(of.begin(), of.end(), [&](const Reader& reader) {
           return std::all_of(reader.begin(), reader.end(),
                              [&](const Condition& one) { return met(one) && read(one.key); });
         });
}

std::string Readers::reason(const std::string& name) const {
  std::vector<std::string> facts;
  for (const Reader& reader : key(name).of)
    for (const Condition& condition : reader) {
      const Key& other = key(condition.key);
      std::string fact;
      if (!met(condition))
        fact = fmt::format("{} = {}{}", other.name, value_text(other), what_it_reads(other));
      else if (!read(condition.key))
        fact = reason(condition.key);
      if (!fact.empty() && std::find(facts.begin(), facts.end(), fact) == facts.end())
        facts.push_back(fact);
    }
  return joined(facts, ", ");
}

bool is_read(const Config& config, const std::string& name) {
  Config copy = config;
  return Readers(copy).read(name);
}

std::string readers_text(const Key& key, const std::string& section) {
  std::vector<std::string> all;
  for (const Reader& reader : key.of) {
    std::vector<std::string> conditions;
    for (const Condition& one : reader) {
      const bool here = !section.empty() && one.key.rfind(section + ".", 0) == 0;
      conditions.push_back((here ? one.key.substr(section.size() + 1) : one.key) + " " + joined(one.values, " or "));
    }
    all.push_back(joined(conditions, " with "));
  }
  return joined(all, ", or ");
}

} // namespace weft
