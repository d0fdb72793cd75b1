#include "kernels/attention/patterns/big_bird.hpp"
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace weft {
namespace {

constexpr int table_reach = 1024; ///< tokens from which the table draws

/// NumPy's legacy generator, as far as permutations want it.
class LegacyRandom {
 public:
  explicit LegacyRandom(int seed) : generator_(static_cast<std::uint32_t>(seed)) {}

  std::vector<int> permutation(std::vector<int> items) {
    for (std::size_t i = items.size(); i-- > 1;)
      std::swap(items[i], items[up_to(static_cast<std::uint32_t>(i))]);
    return items;
  }

 private:
  /// Uniform in 0 .. highest.
  std::uint32_t up_to(std::uint32_t highest) {
    std::uint32_t mask = highest, value;
    for (int shift = 1; shift < 32; shift *= 2)
      mask |= mask >> shift;
    do
      value = static_cast<std::uint32_t>(generator_()) & mask;
    while (value > highest);
    return value;
  }
  std::mt19937 generator_;
};

bool by_table(int whole, const BigBird& b) {
  const std::int64_t padded = std::int64_t{big_bird_blocks(whole, b.block, b.form)} * b.block;
  return b.form == BigBirdForm::released || padded == 1024 || padded == 3072 || padded == 4096;
}

std::vector<int> candidates(int row, int blocks, int block) {
  const std::int64_t padded = std::int64_t{blocks} * block;
  const int last = static_cast<int>(std::min<std::int64_t>(padded, table_reach)) / block - 1;
  std::vector<int> all;
  const auto add = [&](int first, int end) {
    for (int j = first; j <= std::min(end, blocks - 2); ++j)
      all.push_back(j);
  };
  if (row == 1)
    add(3, last);
  else if (row == 2)
    add(4, last);
  else if (row == blocks - 3)
    add(1, last - 4);
  else if (row == blocks - 2)
    add(1, last - 3);
  else {
    add(1, std::min(row - 2, last));
    add(row + 2, last);
  }
  return all;
}

/// The first r of what the plan lets a row draw.
std::vector<int> planned(LegacyRandom& random, int row, int r) {
  const int end = 2 * r + 5;
  std::vector<int> order(static_cast<std::size_t>(end)), chosen;
  std::iota(order.begin(), order.end(), 0);
  for (const int j : random.permutation(order)) {
    const bool seen_anyway = j == 0 || j == end - 1 || (j >= row - 1 && j <= row + 1);
    const bool corner = (row == 1 && j == end - 2) || (row == end - 2 && j == 1);
    if (!seen_anyway && !corner && static_cast<int>(chosen.size()) < r)
      chosen.push_back(j);
  }
  return chosen;
}

} // namespace

int big_bird_blocks(int whole, int block, BigBirdForm form) {
  return form == BigBirdForm::released ? whole / block + 1 : (whole - 1) / block + 1;
}

bool big_bird_is_dense(int whole, const BigBird& b) {
  return b.form == BigBirdForm::paper && whole <= (5 + 2 * std::int64_t{b.random}) * b.block;
}

bool big_bird_fits(int whole, const BigBird& b) {
  if (big_bird_is_dense(whole, b))
    return true;
  const int blocks = big_bird_blocks(whole, b.block, b.form);
  if (!by_table(whole, b))
    return true;  // the plan leaves 2r in every row
  if (blocks < 5) // rows 1, 2, nB - 3 and nB - 2 would be the same
    return false;
  for (int row = 1; row <= blocks - 2; ++row)
    if (static_cast<int>(candidates(row, blocks, b.block).size()) < b.random)
      return false;
  return true;
}

std::vector<int> big_bird_random_blocks(int whole, const BigBird& b) {
  build::require(big_bird_fits(whole, b), "enough blocks to draw r random ones in every row");
  const int rows = big_bird_blocks(whole, b.block, b.form) - 2;
  const auto r = static_cast<std::size_t>(b.random);
  LegacyRandom random(b.layer);
  std::vector<int> all(static_cast<std::size_t>(b.heads) * static_cast<std::size_t>(rows) * r);
  const auto put = [&](int head, int row, const std::vector<int>& chosen) {
    const auto at = static_cast<std::size_t>(head) * static_cast<std::size_t>(rows) + static_cast<std::size_t>(row - 1);
    std::copy_n(chosen.begin(), r, all.begin() + static_cast<std::ptrdiff_t>(at * r));
  };
  if (by_table(whole, b)) {
    for (int head = 0; head < b.heads; ++head)
      for (int row = 1; row <= rows; ++row)
        put(head, row, random.permutation(candidates(row, rows + 2, b.block)));
  } else {
    for (int row = 1; row <= rows; ++row)
      for (int head = 0; head < b.heads; ++head)
        put(head, row, planned(random, row, b.random));
  }
  return all;
}

} // namespace weft
