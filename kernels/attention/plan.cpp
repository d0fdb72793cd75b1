// Lays the tile lists of all groups into two blocks of memory where the kernels run.
#include "kernels/attention/attention.hpp"
#include "kernels/attention/attention_tables.hpp"
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace weft {
namespace {

/// A growing block of ints with offsets into it; pointers are made once it lies at its place.
class Table {
 public:
  std::size_t offset() const { return ints_.size(); }
  void add(int value) { ints_.push_back(value); }

  std::size_t positions(const std::vector<int>& order, int slots) {
    const std::size_t at = offset();
    const int padded = (slots + query_tile - 1) / query_tile * query_tile;
    for (int s = 0; s < padded; ++s)
      add(s >= slots ? -1 : order.empty() ? s : order[s]);
    return at;
  }
  std::size_t begin(const TileLists& lists) {
    if (lists.entries.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
      throw std::invalid_argument("attention plan: more than 2^31 tiles in one pattern");
    const std::size_t at = offset();
    for (const std::int64_t b : lists.begin)
      add(static_cast<int>(b));
    return at;
  }
  template <class Record>
  std::size_t records(const std::vector<Record>& records) {
    static_assert(sizeof(Record) % sizeof(int) == 0 && std::is_trivially_copyable_v<Record>);
    const std::size_t at = offset(), ints = sizeof(Record) / sizeof(int) * records.size();
    ints_.resize(at + ints);
    if (ints > 0)
      memcpy(ints_.data() + at, records.data(), ints * sizeof(int));
    return at;
  }
  std::vector<int>& ints() { return ints_; }

 private:
  std::vector<int> ints_;
};

/// Where the tables of one part begin in the block.
struct Offsets {
  std::size_t query_position, key_position, key_begin, key_entries, query_begin, query_entries, masks;
  int key_tiles;

  detail::PartTables tables(const int* base) const {
    return {base + query_position,
            base + key_position,
            base + key_begin,
            reinterpret_cast<const TileEntry*>(base + key_entries),
            base + query_begin,
            reinterpret_cast<const TileEntry*>(base + query_entries),
            reinterpret_cast<const TileMask*>(base + masks),
            key_tiles};
  }
};

/// Adds one part of a pattern of this length, whose queries and masks are in the block.
Offsets add_part(Table& table, const Part& part, int length, std::size_t queries, std::size_t masks) {
  const int keys = part.key_order.empty() ? length : static_cast<int>(part.key_order.size());
  return {queries,
          table.positions(part.key_order, keys),
          table.begin(part.key_tiles),
          table.records(part.key_tiles.entries),
          table.begin(part.query_tiles),
          table.records(part.query_tiles.entries),
          masks,
          (keys + key_tile - 1) / key_tile};
}

/// Adds all parts of one pattern, `offsets` its own; begin[p] becomes the number of the first part of pass p, and of
/// each pass that the pattern lacks the number of its parts.
void add_pattern(Table& table, const Pattern& pattern, int passes, Offsets* offsets, std::size_t begin) {
  const std::size_t masks = table.records(pattern.masks);
  int number = 0;
  for (int p = 0; p < passes; ++p) {
    table.ints()[begin + p] = number;
    if (p < static_cast<int>(pattern.passes.size())) {
      const PatternPass& pass = pattern.passes[p];
      const std::size_t queries = table.positions(pass.query_order, pattern.length);
      for (const Part& part : pass.parts)
        offsets[number++] = add_part(table, part, pattern.length, queries, masks);
    }
    table.ints()[begin + p + 1] = number;
  }
}

} // namespace

AttentionPlan::AttentionPlan(const std::vector<Pattern>& per_group, int heads)
    : heads_(heads), groups_(static_cast<int>(per_group.size())) {
  if (per_group.empty() || heads < 1)
    throw std::invalid_argument("attention plan: expected one pattern and one head at least");
  length_ = per_group[0].length;
  for (const Pattern& pattern : per_group) {
    if (pattern.length != length_)
      throw std::invalid_argument("attention plan: patterns of length " + std::to_string(length_) + " and " +
                                  std::to_string(pattern.length) + "; expected one length");
    int parts = 0;
    for (const PatternPass& pass : pattern.passes)
      parts += static_cast<int>(pass.parts.size());
    parts_per_group_ = std::max(parts_per_group_, parts);
    passes_ = std::max(passes_, static_cast<int>(pattern.passes.size()));
  }

  Table table;
  table.ints().assign(static_cast<std::size_t>(groups_) * (passes_ + 1), 0);
  std::vector<Offsets> offsets(static_cast<std::size_t>(groups_) * parts_per_group_, Offsets{});
  key_tiles_.assign(parts_per_group_, 0);
  for (int g = 0; g < groups_; ++g) {
    const PatternWork work = pattern_work(per_group[g]);
    const int heads_here = (heads - g + groups_ - 1) / groups_;
    keys_ += work.keys * heads_here;
    tiles_ += work.tiles * heads_here;
    Offsets* own = offsets.data() + g * parts_per_group_;
    add_pattern(table, per_group[g], passes_, own, static_cast<std::size_t>(g) * (passes_ + 1));
    for (int part = 0; part < parts_per_group_; ++part)
      key_tiles_[part] = std::max(key_tiles_[part], own[part].key_tiles);
  }

  table_ = Buffer<int>(static_cast<std::int64_t>(table.ints().size()), "weft::attention::plan");
  copy_to_device(table_.data(), table.ints().data(), table_.bytes());
  std::vector<detail::PartTables> parts;
  for (const Offsets& at : offsets)
    parts.push_back(at.tables(table_.data()));
  parts_ = Buffer<unsigned char>(static_cast<std::int64_t>(parts.size() * sizeof(detail::PartTables)),
                                 "weft::attention::plan_parts");
  if (!parts.empty())
    copy_to_device(parts_.data(), parts.data(), parts_.bytes());
}

const detail::PartTables* AttentionPlan::part_tables() const {
  return reinterpret_cast<const detail::PartTables*>(parts_.data());
}

} // namespace weft
