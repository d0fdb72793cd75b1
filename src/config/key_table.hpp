// What the table of keys is written with: limits, who reads a key, and the two sections that have a file of their own.
#pragma once
#include "config/keys.hpp"
#include "config/patterns.hpp"
#include <initializer_list>
#include <string>
#include <vector>

namespace weft {

inline const Limits any;
inline Limits at_least(double low) { return {.low = low, .words = {}}; }
inline Limits above(double low) { return {.low = low, .low_open = true, .words = {}}; }
inline Limits between(double low, double high) { return {.low = low, .high = high, .words = {}}; }
inline Limits from_to_below(double low, double high) {
  return {.low = low, .high = high, .high_open = true, .words = {}};
}
inline Limits one_of(std::vector<std::string> words) { return {.words = std::move(words)}; }

// Who reads a key.
using Of = std::vector<Reader>;
inline Of with(std::string key, std::vector<std::string> values) { return {{{std::move(key), std::move(values)}}}; }

inline Of of_family(std::vector<std::string> families) { return with("model.family", std::move(families)); }
inline const std::vector<std::string> attending = {"sparse_transformer", "arena", "reformer",
                                                   "mega"}; ///< families with attention heads

constexpr double most_positions = 1 << 30; // patterns number positions with 32 bits

/// "WORD (what it stands for), ..."
template <class Row>
std::string words_of(const std::vector<Row>& table) {
  std::vector<std::string> words;
  for (const Row& row : table)
    words.push_back(row.name + " (" + row.help + ")");
  return joined(words, ", ");
}

inline std::vector<Key> joined_tables(std::initializer_list<std::vector<Key>> tables) {
  std::vector<Key> all;
  for (const std::vector<Key>& table : tables)
    all.insert(all.end(), table.begin(), table.end());
  return all;
}

std::vector<Key> model_keys(Config& c);
std::vector<Key> attention_keys(Config& c);

} // namespace weft
