// Sets of keys for a person: as letters, as lines of a file, as a picture.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft {

/// The keys that a query sees, ascending, each once.
using KeysOf = std::function<std::vector<int>(int query)>;

constexpr std::int64_t widest_in_letters = 72; ///< positions

/// Rows are queries, columns keys: '#' seen, '.' earlier but not seen, blank later and not seen.
std::string keys_in_letters(const KeysOf& keys_of, std::int64_t N);

/// One line for each query: its position, then its keys, with commas between.
void write_keys(const std::string& path, const KeysOf& keys_of, std::int64_t N);

/// The connectivity matrix as in Figure 3 of Child et al. 2019: the query's own position darkest, the keys of `dark`
/// (may be empty) dark, others light; without `dark` all are dark. Each pixel of a long sequence is the mean colour of
/// its positions.
/// progress: gets the share that is done, after each row of pixels.
void draw_keys(const std::string& path, const KeysOf& keys_of, const KeysOf& dark, std::int64_t N,
               const std::function<void(double)>& progress = {});

} // namespace weft
