// The one table of keys. Parsing, checking, help, the resolved file, docs/input.md and what two configs differ by all
// read it; no key is named anywhere else but in the members of Config and in the cross checks of validate.cpp.
#pragma once
#include "config/config.hpp"
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weft {

/// Where a key's value lies in a Config; the alternative is the key's type.
using Member =
    std::variant<bool*, std::int64_t*, double*, std::string*, std::vector<std::int64_t>*, std::vector<std::string>*>;

/// What values a key takes: numbers between two ends, or one of a few words. For a list it holds for every entry.
struct Limits {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false; ///< the end itself is left out
  std::vector<std::string> words;           ///< empty: any text
};

/// That the key `key` has one of these values, written as in an input file but text without quotes.
struct Condition {
  std::string key;
  std::vector<std::string> values;
};
/// One way in which a key comes to be read: all conditions hold, and their keys are read themselves.
using Reader = std::vector<Condition>;

/// What depends on a key beside the course of a run.
enum class Shapes {
  nothing,
  parameters, ///< their number, shapes or meaning: weights of one value do not fit another
  attention   ///< what a query sees, and no parameter: may be changed for an evaluation
};

struct Key {
  std::string name; ///< "section.key"
  Member value;
  Limits limits;
  std::string unit;            ///< empty: none
  std::string help;            ///< one line
  std::vector<Reader> of = {}; ///< who reads it, any of these; empty: every run
  Shapes shapes = Shapes::nothing;
  std::string section() const { return name.substr(0, name.find('.')); }
  std::string last() const { return name.substr(name.find('.') + 1); }
};

/// All keys in the order of the input file, pointing into `config`, which must outlive them.
std::vector<Key> keys_of(Config& config);

/// The sections in their order.
const std::vector<std::string>& section_names();

std::string type_text(const Key& key);     ///< "integer", "number", "true or false", "text", "list of integers", ...
std::string expected_text(const Key& key); ///< "an integer >= 1", "a number in [0, 1)", "one of none, attention"
std::string value_text(const Key& key);    ///< the value as TOML that parses back to the same bits
std::string plain_text(const Key& key);    ///< the value for a person: text without quotes, lists without brackets

/// Empty if the limits hold for the value that the key points at, else what is wrong ("got 1.5").
std::string limits_violation(const Key& key);

std::string joined(const std::vector<std::string>& texts, std::string_view between);
std::string joined(const std::vector<std::int64_t>& numbers, std::string_view between);

/// Levenshtein distance with neighbouring swaps counted once.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`; empty if none comes near enough to be worth a suggestion.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// The key nearest to `name`: by its full name, or by the part behind the dot in whatever section; empty if none is
/// near.
std::string nearest_key(std::string_view name);

} // namespace weft
