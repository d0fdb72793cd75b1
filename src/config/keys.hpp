// The one table of keys. Parsing, checking, help, the resolved file and docs/input.md all read it; no key is named
// anywhere else but in the members of Config and in the cross checks of validate.cpp.
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

struct Key {
  std::string name; ///< "section.key"
  Member value;
  Limits limits;
  std::string unit; ///< empty: none
  std::string help; ///< one line
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
