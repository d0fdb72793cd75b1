// Fixed attention, Child et al. 2019 (arXiv:1904.10509), section 4.3. Set 1: the query's own block of l positions.
// Set 2: summary columns, c positions of every block, gathered into one dense list. `group` says which c: 0 the last
// ones, 1 those before, ... so that heads can have sub-blocks of their own.
#include "kernels/attention/patterns/build.hpp"

namespace weft {
namespace {

struct Block {
  int l;
  bool allowed(int i, int j) const { return j <= i && j / l == i / l; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return q.block >= 0 && q.block == k.block && k.high <= q.low;
  }
};

struct EarlierBlock {
  int l;
  bool allowed(int i, int j) const { return j / l < i / l; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const { return k.high / l < q.low / l; }
};

void check(int length, int l, int c, int group) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a block of 1 position or more");
  build::require(c >= 1 && c <= l, "summary columns c with 1 <= c <= l");
  build::require(group >= 0 && group < summary_groups(l, c), "a summary group in [0, l div c)");
}

void add_block(Pattern& pattern, int l) {
  build::add_part(pattern, Block{l}, build::from_position(pattern.length, [l](int low) { return low / l * l; }));
}

} // namespace

Pattern fixed_block(int length, int l) {
  check(length, l, 1, 0);
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  add_block(pattern, l);
  return pattern;
}

Pattern fixed_summary(int length, int l, int c, int group) {
  check(length, l, c, group);
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  const std::vector<int> columns = build::summary_columns(length, l, c, group);
  build::add_part(pattern, build::Causal{}, columns,
                  build::columns_up_to(length, columns, [](int high) { return high; }));
  return pattern;
}

Pattern fixed_merged(int length, int l, int c, int group) {
  check(length, l, c, group);
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  add_block(pattern, l);
  const std::vector<int> columns = build::summary_columns(length, l, c, group);
  build::add_part(pattern, EarlierBlock{l}, columns,
                  build::columns_up_to(length, columns, [l](int high) { return high / l * l - 1; }));
  build::drop_empty_passes(pattern);
  return pattern;
}

} // namespace weft
