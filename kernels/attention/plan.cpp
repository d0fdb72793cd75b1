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

struct Offsets {
  std::size_t query_position, key_position, key_begin, key_entries, query_begin, query_entries, masks;
  int key_tiles;
};

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
  key_tiles_.assign(parts_per_group_, 0);

  Table table;
  table.ints().assign(static_cast<std::size_t>(groups_) * (passes_ + 1), 0);
  std::vector<Offsets> offsets(static_cast<std::size_t>(groups_) * parts_per_group_, Offsets{});
  for (int g = 0; g < groups_; ++g) {
    const Pattern& pattern = per_group[g];
    const PatternWork work = pattern_work(pattern);
    const int heads_here = (heads - g + groups_ - 1) / groups_;
    keys_ += work.keys * heads_here;
    tiles_ += work.tiles * heads_here;
    const std::size_t masks = table.records(pattern.masks);
    int number = 0;
    for (int p = 0; p < passes_; ++p) {
      table.ints()[g * (passes_ + 1) + p] = number;
      if (p < static_cast<int>(pattern.passes.size())) {
        const PatternPass& pass = pattern.passes[p];
        const std::size_t queries = table.positions(pass.query_order, length_);
        for (const Part& part : pass.parts) {
          const int keys = part.key_order.empty() ? length_ : static_cast<int>(part.key_order.size());
          Offsets& at = offsets[g * parts_per_group_ + number];
          at = {queries,
                table.positions(part.key_order, keys),
                table.begin(part.key_tiles),
                table.records(part.key_tiles.entries),
                table.begin(part.query_tiles),
                table.records(part.query_tiles.entries),
                masks,
                (keys + key_tile - 1) / key_tile};
          key_tiles_[number] = std::max(key_tiles_[number], at.key_tiles);
          ++number;
        }
      }
      table.ints()[g * (passes_ + 1) + p + 1] = number;
    }
  }

  table_ = Buffer<int>(static_cast<std::int64_t>(table.ints().size()), "weft::attention::plan");
  copy_to_device(table_.data(), table.ints().data(), table_.bytes());
  std::vector<detail::PartTables> parts(offsets.size());
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const int* base = table_.data();
    const Offsets& at = offsets[p];
    parts[p] = {base + at.query_position,
                base + at.key_position,
                base + at.key_begin,
                reinterpret_cast<const TileEntry*>(base + at.key_entries),
                base + at.query_begin,
                reinterpret_cast<const TileEntry*>(base + at.query_entries),
                reinterpret_cast<const TileMask*>(base + at.masks),
                at.key_tiles};
  }
  parts_ = Buffer<unsigned char>(static_cast<std::int64_t>(parts.size() * sizeof(detail::PartTables)),
                                 "weft::attention::plan_parts");
  if (!parts.empty())
    copy_to_device(parts_.data(), parts.data(), parts_.bytes());
}

const detail::PartTables* AttentionPlan::part_tables() const {
  return reinterpret_cast<const detail::PartTables*>(parts_.data());
}

} // namespace weft
