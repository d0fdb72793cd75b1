// Dense attention: S_i = {j <= i}, or every j; or of M keys that have rows of their own every one, or the earlier ones.
#include "kernels/attention/patterns/build.hpp"

namespace weft {
namespace {

struct Everything {
  static constexpr int l = 1;
  bool allowed(int, int) const { return true; }
  bool surely_full(const build::TileSpan&, const build::TileSpan&) const { return true; }
};

/// Keys that begin at position `first` of the sequence.
struct Earlier {
  static constexpr int l = 1;
  int first;
  bool allowed(int i, int j) const { return first + j <= i; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const { return first + k.high <= q.low; }
};

} // namespace

Pattern dense(int length) {
  build::require(length >= 1, "a length of 1 or more");
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part(pattern, build::Causal{}, build::from_position(length, [](int) { return 0; }));
  return pattern;
}

Pattern dense_bidirectional(int length) {
  build::require(length >= 1, "a length of 1 or more");
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part(pattern, Everything{}, [length](int, std::vector<int>& tiles) {
    for (int k = 0; k * key_tile < length; ++k)
      tiles.push_back(k);
  });
  return pattern;
}

Pattern earlier_keys(int length, int keys, int first) {
  build::require(length >= 1 && keys >= 1 && first >= 0, "a length and a number of keys of 1 or more, from 0 on");
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part_of(pattern, Earlier{first}, keys, [keys, first](int tile, std::vector<int>& tiles) {
    for (int k = 0; k * key_tile < keys && first + k * key_tile < (tile + 1) * query_tile; ++k)
      tiles.push_back(k);
  });
  return pattern;
}

Pattern every_key(int length, int keys) {
  build::require(length >= 1 && keys >= 1, "a length and a number of keys of 1 or more");
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part_of(pattern, Everything{}, keys, [keys](int, std::vector<int>& tiles) {
    for (int k = 0; k * key_tile < keys; ++k)
      tiles.push_back(k);
  });
  return pattern;
}

} // namespace weft
