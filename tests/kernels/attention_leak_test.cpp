// Never leak the future, and always the same bits.
#include "tests/kernels/attention_support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <limits>

namespace weft::test {
namespace {

/// Columns of position j in a dense [B,N,W] array.
template <class Change>
void change_row(std::vector<double>& x, std::int64_t length, std::int64_t width, std::int64_t j, Change change) {
  for (std::size_t at = static_cast<std::size_t>(j * width); at < x.size();
       at += static_cast<std::size_t>(length * width))
    for (std::int64_t e = 0; e < width; ++e)
      x[at + static_cast<std::size_t>(e)] = change(x[at + static_cast<std::size_t>(e)]);
}

/// Which rows (b, i, h) of out and lse differ in any bit.
template <class T>
std::vector<bool> moved_rows(const AttentionCase<T>& c, const AttentionResult& a, const AttentionResult& b) {
  const auto bits = [](double x) {
    std::uint64_t y;
    std::memcpy(&y, &x, sizeof y);
    return y;
  };
  const AttentionShape& s = c.shape;
  std::vector<bool> moved;
  for (std::int64_t batch = 0; batch < s.batch; ++batch)
    for (std::int64_t i = 0; i < s.length; ++i)
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const auto row = static_cast<std::size_t>(((batch * s.length + i) * s.heads + h) * s.value_width);
        const auto statistic = static_cast<std::size_t>((batch * s.heads + h) * s.length + i);
        bool differs = bits(a.lse[statistic]) != bits(b.lse[statistic]);
        for (std::int64_t e = 0; e < s.value_width; ++e)
          differs = differs ||
                    bits(a.out[row + static_cast<std::size_t>(e)]) != bits(b.out[row + static_cast<std::size_t>(e)]);
        moved.push_back(differs);
      }
  return moved;
}

bool sees(const std::vector<int>& keys, int j) { return std::binary_search(keys.begin(), keys.end(), j); }

/// Changes row j of q, k and v at every j and looks at every output row: rows that neither are j nor see j keep their
/// bits (so no row before j moves), rows that see j move.
template <class T, class Change>
void expect_no_leak(AttentionPath path, int length, Change change) {
  for (const PatternCase& p : pattern_cases()) {
    SCOPED_TRACE(p.name);
    AttentionCase<T> c(p.groups(length), 2, 3, 8, 8, 41);
    const AttentionResult before = run_attention(c, path, false);
    for (int j = 0; j < length; ++j) {
      AttentionCase<T> changed(p.groups(length), 2, 3, 8, 8, 41);
      for (auto* x : {&changed.q, &changed.k, &changed.v})
        change_row(*x, length, 3 * 8, j, change);
      const std::vector<bool> moved = moved_rows(c, before, run_attention(changed, path, false));
      std::size_t row = 0;
      for (int b = 0; b < 2; ++b)
        for (int i = 0; i < length; ++i)
          for (int h = 0; h < 3; ++h, ++row) {
            const bool seen = sees(c.reference.keys[h % c.reference.keys.size()][i], j);
            if (i < j) {
              ASSERT_FALSE(moved[row]) << "input " << j << " reached output " << i << " of head " << h;
            }
            if (i == j)
              continue;
            ASSERT_EQ(moved[row], seen) << "input " << j << ", output " << i << " of head " << h;
          }
    }
  }
}

TEST(AttentionLeak, ChangingAnInputMovesNoEarlierOutput) {
  expect_no_leak<float>(AttentionPath::best, 101, [](double x) { return -3 * x + 1; });
}
TEST(AttentionLeak, ChangingAnInputMovesNoEarlierOutputInTheTeamVersion) {
  expect_no_leak<float>(AttentionPath::portable, 35, [](double x) { return -3 * x + 1; });
}
TEST(AttentionLeak, NaNMovesNoEarlierOutput) {
  expect_no_leak<float>(AttentionPath::best, 70, [](double) { return std::numeric_limits<double>::quiet_NaN(); });
}
TEST(AttentionLeak, InfinityMovesNoEarlierOutput) {
  expect_no_leak<bf16>(AttentionPath::best, 70, [](double x) { return x * std::numeric_limits<double>::infinity(); });
}
TEST(AttentionLeak, InfinityMovesNoEarlierOutputInFp16) {
  expect_no_leak<fp16>(AttentionPath::best, 70, [](double x) { return x * std::numeric_limits<double>::infinity(); });
}
TEST(AttentionLeak, NaNMovesNoEarlierOutputInTheTeamVersion) {
  expect_no_leak<bf16>(AttentionPath::portable, 35, [](double) { return std::numeric_limits<double>::quiet_NaN(); });
}

class AttentionLeakOnHost : public testing::TestWithParam<AttentionPath> {
 protected:
  void SetUp() override {
    if (!attention_path_runs(GetParam()))
      GTEST_SKIP() << "this build or processor has no " << path_name(GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, AttentionLeakOnHost, testing::ValuesIn(host_paths()),
                         [](const auto& it) { return path_name(it.param); });
TEST_P(AttentionLeakOnHost, ChangingAnInputMovesNoEarlierOutput) {
  expect_no_leak<float>(GetParam(), 70, [](double x) { return -3 * x + 1; });
}
TEST_P(AttentionLeakOnHost, NaNMovesNoEarlierOutputInBf16) {
  expect_no_leak<bf16>(GetParam(), 70, [](double) { return std::numeric_limits<double>::quiet_NaN(); });
}
TEST_P(AttentionLeakOnHost, InfinityMovesNoEarlierOutputInBf16) {
  expect_no_leak<bf16>(GetParam(), 37, [](double x) { return x * std::numeric_limits<double>::infinity(); });
}

TEST(AttentionBits, AreTheSameInEveryRun) {
  for (const PatternCase& p : pattern_cases()) {
    AttentionCase<float> c(p.groups(200), 1, 3, 16, 16, 51);
    const AttentionResult a = run_attention(c), b = run_attention(c);
    EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse)) << p.name;
    EXPECT_TRUE(same_bits(a.dq, b.dq) && same_bits(a.dk, b.dk) && same_bits(a.dv, b.dv)) << p.name;
  }
}

/// Of everything that a call computes, for every pattern.
std::string hash_of_results() {
  Hash hash;
  for (const PatternCase& p : pattern_cases())
    for (const int heads : {1, 5}) {
      AttentionCase<float> c(p.groups(300), 1, heads, 16, 24, 61);
      const AttentionResult r = run_attention(c);
      hash.add(r.out, r.lse, r.dq, r.dk, r.dv);
    }
  return hash.text();
}

// Not a promise of its own: the test below runs it in processes with other numbers of threads.
TEST(AttentionBits, DISABLED_PrintHash) { std::printf("\n%s\n", hash_of_results().c_str()); }

TEST(AttentionBits, DoNotDependOnTheNumberOfThreads) {
  expect_from_threads("AttentionBits.DISABLED_PrintHash", hash_of_results(), {1, 2, 3});
}

} // namespace
} // namespace weft::test
