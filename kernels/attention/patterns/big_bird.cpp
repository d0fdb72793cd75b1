// BigBird, Zaheer et al. 2020 (arXiv:2007.14062), section 2 and appendix D: global, window and random blocks.
#include "kernels/attention/patterns/big_bird.hpp"
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>
#include <memory>

namespace weft {
namespace {

/// Block rows and what they see.
struct Blocks {
  int l; ///< b, by which spans count blocks
  int count, random;
  std::shared_ptr<const std::vector<int>> drawn; ///< of all heads
  int head;

  bool at(int q, int k) const {
    if (q == 0 || q == count - 1 || k == 0 || k == count - 1 || (k >= q - 1 && k <= q + 1))
      return true;
    const std::int64_t row = std::int64_t{head} * (count - 2) + q - 1;
    const auto first = drawn->begin() + row * random;
    return std::find(first, first + random, k) != first + random;
  }
  bool allowed(int i, int j) const { return at(i / l, j / l); }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    for (int row = q.low / l; row <= q.high / l; ++row)
      for (int column = k.low / l; column <= k.high / l; ++column)
        if (!at(row, column))
          return false;
    return true;
  }
  bool any(int q_low, int q_high, int k_low, int k_high) const {
    for (int row = q_low / l; row <= q_high / l; ++row)
      for (int column = k_low / l; column <= k_high / l; ++column)
        if (at(row, column))
          return true;
    return false;
  }
};

} // namespace

Pattern big_bird(int length, int whole, const BigBird& sizes) {
  build::require(length >= 1 && whole >= length, "a length of 1 or more, and one of the whole that is no less");
  build::require(sizes.block >= 1 && sizes.random >= 0, "blocks of 1 position or more, and 0 random ones or more");
  build::require(sizes.layer >= 0 && sizes.head >= 0 && sizes.head < sizes.heads, "a head of the layer");
  if (big_bird_is_dense(whole, sizes))
    return dense_bidirectional(length);
  const Blocks rule{sizes.block, big_bird_blocks(whole, sizes.block, sizes.form), sizes.random,
                    std::make_shared<const std::vector<int>>(big_bird_random_blocks(whole, sizes)), sizes.head};
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part(pattern, rule, [rule, length](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    for (int k = 0; k * key_tile < length; ++k)
      if (rule.any(low, high, k * key_tile, std::min((k + 1) * key_tile, length) - 1))
        tiles.push_back(k);
  });
  return pattern;
}

} // namespace weft
