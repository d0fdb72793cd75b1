// The sizes that every path of the attention is tested at.
#pragma once
#include "tests/kernels/attention_support.hpp"
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>

namespace weft::test {

struct Size {
  int length, key_width, value_width, batch, heads;
};

/// The team version is slow on a host: a few sizes, ragged tiles and both widths among them.
inline std::vector<Size> few_sizes() {
  return {{5, 8, 8, 1, 2}, {33, 16, 16, 2, 3}, {100, 40, 72, 1, 3}, {65, 128, 9, 1, 3}};
}

/// Every length at a small width, every width at one length; batch times heads on both sides of the task count.
inline std::vector<Size> sizes() {
  std::vector<Size> all = few_sizes();
  if (std::getenv("WEFT_TEST_FEW_SIZES") != nullptr) // in an emulator (scripts/avx512_check.sh)
    return all;
  for (const int n : {1, 5, 31, 32, 64, 100, 257})
    all.push_back({n, 16, n % 2 == 0 ? 16 : 24, 2, 3});
  for (const int e : {1, 8, 13, 24, 64, 80, 128, 256})
    all.push_back({100, e, e, 1, 2});
  all.push_back({100, 8, 24, 1, 5});
  all.push_back({100, 32, 64, 1, 3});
  all.push_back({65, 128, 9, 6, 3});
  all.push_back({40, 13, 256, 1, 1});
  return all;
}

inline std::string text(const PatternCase& p, const Size& s) {
  return p.name + " N=" + std::to_string(s.length) + " E=" + std::to_string(s.key_width) + "/" +
         std::to_string(s.value_width) + " B=" + std::to_string(s.batch) + " H=" + std::to_string(s.heads);
}

/// u = 2^-24. A score of normal vectors sums E products of size 1 and divides by sqrt(E): its rounding errors walk to
/// about u sqrt(E / 2). It shifts p, and with it everything else, by that much relative; sums over up to N keys add
/// u sqrt(N). The factor 4 is for the largest among many.
inline double fp32_limit(const Size& s) {
  const double u = std::ldexp(1.0, -24), e = std::max(s.key_width, s.value_width);
  return 4 * u * (std::sqrt(e) + std::sqrt(static_cast<double>(s.length)));
}

/// Tests for every instruction set that a host may have, and for the sources of the larger ones compiled for the
/// smallest: all of them at all sizes.
class AttentionOnHost : public testing::TestWithParam<AttentionPath> {
 protected:
  void SetUp() override {
    if (!attention_path_runs(GetParam()))
      GTEST_SKIP() << "this build or processor has no " << path_name(GetParam());
  }
};

} // namespace weft::test
