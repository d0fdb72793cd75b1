// Dense attention: S_i = {j <= i}, or every j; or every one of M keys that have rows of their own.
#include "kernels/attention/patterns/build.hpp"

namespace weft {
namespace {

struct Everything {
  static constexpr int l = 1;
  bool allowed(int, int) const { return true; }
  bool surely_full(const build::TileSpan&, const build::TileSpan&) const { return true; }
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
