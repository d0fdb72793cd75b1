#include "kernels/attention/patterns/build.hpp"
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace weft {
namespace {

using namespace build;

constexpr double most_list_entries = 1 << 26; // 1 GiB with the transpose

int tiles_of(int slots) { return (slots + query_tile - 1) / query_tile; }
int position(const std::vector<int>& order, int slot) { return order.empty() ? slot : order[slot]; }

std::vector<TileSpan> spans(const std::vector<int>& order, int slots, int l) {
  std::vector<TileSpan> result(tiles_of(slots));
  for (int s = 0; s < slots; ++s) {
    const int p = position(order, s);
    TileSpan& span = result[s / query_tile];
    if (s % query_tile == 0)
      span = {0, p, p, p % l, p / l};
    span = {span.count + 1, std::min(span.low, p), std::max(span.high, p), span.residue == p % l ? p % l : -1,
            span.block == p / l ? p / l : -1};
  }
  return result;
}

/// Keeps each different mask once.
class MaskTable {
 public:
  explicit MaskTable(std::vector<TileMask>& masks) : masks_(masks) {
    for (std::size_t m = 0; m < masks.size(); ++m)
      known_[text(masks[m])].push_back(static_cast<int>(m));
  }
  int number(const TileMask& mask) {
    std::vector<int>& same_hash = known_[text(mask)];
    for (const int m : same_hash)
      if (std::memcmp(&masks_[m], &mask, sizeof mask) == 0)
        return m;
    masks_.push_back(mask);
    same_hash.push_back(static_cast<int>(masks_.size()) - 1);
    return same_hash.back();
  }

 private:
  static std::size_t text(const TileMask& mask) {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(&mask), sizeof mask});
  }
  std::vector<TileMask>& masks_;
  std::unordered_map<std::size_t, std::vector<int>> known_;
};

TileLists transpose(const TileLists& rows, int columns) {
  TileLists result;
  result.begin.assign(columns + 1, 0);
  result.entries.resize(rows.entries.size());
  for (const TileEntry& e : rows.entries)
    ++result.begin[e.tile + 1];
  std::partial_sum(result.begin.begin(), result.begin.end(), result.begin.begin());
  std::vector<std::int64_t> next(result.begin.begin(), result.begin.end() - 1);
  for (std::size_t row = 0; row + 1 < rows.begin.size(); ++row)
    for (std::int64_t e = rows.begin[row]; e < rows.begin[row + 1]; ++e)
      result.entries[next[rows.entries[e].tile]++] = {static_cast<int>(row), rows.entries[e].mask};
  return result;
}

/// Throws std::length_error where the lists of a part would be too long for anybody's memory: counted at a few dozen
/// query tiles, before any list is made.
void require_short_lists(int query_tiles, const Candidates& candidates) {
  constexpr int looked_at = 64;
  if (query_tiles <= looked_at)
    return;
  std::vector<int> tiles;
  double entries = 0;
  for (int n = 0; n < looked_at; ++n) {
    tiles.clear();
    candidates(static_cast<int>((2 * n + 1) * static_cast<std::int64_t>(query_tiles) / (2 * looked_at)), tiles);
    entries += static_cast<double>(tiles.size());
  }
  entries *= static_cast<double>(query_tiles) / looked_at;
  constexpr double bytes = 2 * sizeof(TileEntry); // and the transpose
  if (entries > most_list_entries)
    throw std::length_error("a list of some " + std::to_string(static_cast<std::int64_t>(entries / 1e6)) +
                            " million tiles of 32 x 32 pairs (" +
                            std::to_string(static_cast<int>(entries * bytes / 1e9)) + " GB), where " +
                            std::to_string(static_cast<int>(most_list_entries / 1e6)) + " million is the limit");
}

void fill_part(Pattern& pattern, const AnyRule& rule, Part part, bool gathered, const Candidates& candidates) {
  PatternPass& pass = pattern.passes.back();
  require_short_lists(tiles_of(pattern.length), candidates);
  const int queries = pattern.length, keys = gathered ? static_cast<int>(part.key_order.size()) : pattern.length;
  const std::vector<TileSpan> q = spans(pass.query_order, queries, rule.l);
  const std::vector<TileSpan> k = spans(part.key_order, keys, rule.l);
  MaskTable masks(pattern.masks);
  std::vector<int> tiles;
  int query_positions[query_tile], key_positions[key_tile];
  part.key_tiles.begin.push_back(0);
  for (int t = 0; t < tiles_of(queries); ++t) {
    for (int s = 0; s < q[t].count; ++s)
      query_positions[s] = position(pass.query_order, t * query_tile + s);
    tiles.clear();
    candidates(t, tiles);
    int last = -1;
    for (const int tile : tiles) {
      if (tile <= last || tile >= static_cast<int>(k.size()))
        throw std::logic_error("the candidate key tiles of a pattern must ascend and exist");
      last = tile;
      const bool whole = q[t].count == query_tile && k[tile].count == key_tile;
      if (whole && rule.surely_full(q[t], k[tile])) {
        part.key_tiles.entries.push_back({tile, full_tile});
        continue;
      }
      for (int s = 0; s < k[tile].count; ++s)
        key_positions[s] = position(part.key_order, tile * key_tile + s);
      TileMask mask;
      const int pairs = rule.fill(mask, {query_positions, q[t].count}, {key_positions, k[tile].count});
      if (pairs > 0)
        part.key_tiles.entries.push_back({tile, pairs == query_tile * key_tile ? full_tile : masks.number(mask)});
    }
    part.key_tiles.begin.push_back(static_cast<std::int64_t>(part.key_tiles.entries.size()));
  }
  part.query_tiles = transpose(part.key_tiles, static_cast<int>(k.size()));
  pass.parts.push_back(std::move(part));
}

} // namespace

namespace build {

PatternPass& add_pass(Pattern& pattern, std::vector<int> query_order) {
  PatternPass pass;
  if (!query_order.empty()) {
    pass.query_slot.assign(pattern.length, -1);
    require(static_cast<int>(query_order.size()) == pattern.length, "a query order of N positions");
    for (int s = 0; s < pattern.length; ++s) {
      const int p = query_order[s];
      require(p >= 0 && p < pattern.length && pass.query_slot[p] < 0, "a query order that is a permutation");
      pass.query_slot[p] = s;
    }
    pass.query_order = std::move(query_order);
  }
  pattern.passes.push_back(std::move(pass));
  return pattern.passes.back();
}

void add_rule(Pattern& pattern, const AnyRule& rule, const Candidates& candidates) {
  fill_part(pattern, rule, {}, false, candidates);
}

void add_rule(Pattern& pattern, const AnyRule& rule, std::vector<int> key_order, const Candidates& candidates) {
  if (key_order.empty()) // an empty list stands for all positions inside a Part, and here it is no key at all
    return;
  for (const int p : key_order)
    require(p >= 0 && p < pattern.length, "a key order of positions in [0, N)");
  fill_part(pattern, rule, {std::move(key_order), {}, {}}, true, candidates);
}

void add_rule_of(Pattern& pattern, const AnyRule& rule, int keys, const Candidates& candidates) {
  std::vector<int> order(static_cast<std::size_t>(keys));
  std::iota(order.begin(), order.end(), 0);
  fill_part(pattern, rule, {std::move(order), {}, {}}, true, candidates);
}

void drop_empty_passes(Pattern& pattern) {
  for (PatternPass& pass : pattern.passes)
    std::erase_if(pass.parts, [](const Part& part) { return part.key_tiles.entries.empty(); });
  bool first = true;
  std::erase_if(pattern.passes,
                [&first](const PatternPass& pass) { return !std::exchange(first, false) && pass.parts.empty(); });
}

} // namespace build

std::vector<int> keys_of(const Pattern& pattern, int i) {
  if (i < 0 || i >= pattern.length)
    throw std::out_of_range("query " + std::to_string(i) + " of a pattern of length " + std::to_string(pattern.length));
  std::vector<int> keys;
  for (const PatternPass& pass : pattern.passes) {
    const int slot = position(pass.query_slot, i);
    for (const Part& part : pass.parts) {
      const auto before = static_cast<std::ptrdiff_t>(keys.size());
      for (std::int64_t e = part.key_tiles.begin[slot / query_tile]; e < part.key_tiles.begin[slot / query_tile + 1];
           ++e) {
        const TileEntry entry = part.key_tiles.entries[e];
        const std::uint32_t seen =
            entry.mask == full_tile ? ~0u : pattern.masks[entry.mask].of_query[slot % query_tile];
        for (int s = 0; s < key_tile; ++s)
          if (seen >> s & 1u)
            keys.push_back(position(part.key_order, entry.tile * key_tile + s));
      }
      // Most parts list their keys in order already.
      if (!std::is_sorted(keys.begin() + before, keys.end()))
        std::sort(keys.begin() + before, keys.end());
      std::inplace_merge(keys.begin(), keys.begin() + before, keys.end());
    }
  }
  return keys;
}

PatternWork pattern_work(const Pattern& pattern) {
  std::vector<int> pairs(pattern.masks.size(), 0);
  for (std::size_t m = 0; m < pairs.size(); ++m)
    for (const std::uint32_t bits : pattern.masks[m].of_query)
      pairs[m] += std::popcount(bits);
  PatternWork work;
  for (const PatternPass& pass : pattern.passes)
    for (const Part& part : pass.parts)
      for (const TileEntry& e : part.key_tiles.entries) {
        work.keys += e.mask == full_tile ? query_tile * key_tile : pairs[e.mask];
        ++work.tiles;
      }
  return work;
}

} // namespace weft
