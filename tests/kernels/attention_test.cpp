// The tiled attention against the double-precision reference, forward and backward, in fp32;
// attention_rounding_test.cpp has bf16 and fp16.
#include "tests/kernels/attention_sizes.hpp"
#include <limits>

namespace weft::test {
namespace {

void expect_close(const AttentionResult& got, const AttentionResult& want, double limit) {
  EXPECT_TRUE(got.clean) << "written outside the result";
  EXPECT_TRUE(relative_difference(got.out, want.out) <= limit) << "out " << relative_difference(got.out, want.out);
  EXPECT_TRUE(difference(got.lse, want.lse) <= 4 * limit) << "lse " << difference(got.lse, want.lse);
  // Where there is at most one key, dq and dk are 0: compare with the size of dv then.
  const double scale = std::max(largest(want.dv), std::max(largest(want.dq), largest(want.dk)));
  EXPECT_TRUE(difference(got.dq, want.dq) <= 4 * limit * scale) << "dq " << difference(got.dq, want.dq) / scale;
  EXPECT_TRUE(difference(got.dk, want.dk) <= 4 * limit * scale) << "dk " << difference(got.dk, want.dk) / scale;
  EXPECT_TRUE(difference(got.dv, want.dv) <= 4 * limit * scale) << "dv " << difference(got.dv, want.dv) / scale;
}

void expect_fp32(AttentionPath path, const std::vector<Size>& all) {
  for (const PatternCase& p : all_pattern_cases())
    for (const Size& s : all) {
      SCOPED_TRACE(text(p, s));
      AttentionCase<float> c(p.groups(s.length), s.batch, s.heads, s.key_width, s.value_width, 11);
      expect_close(run_attention(c, path), run_reference(c), fp32_limit(s));
    }
}

TEST(Attention, MatchesTheReferenceInFp32) {
  for (const Size& s : sizes())
    EXPECT_LE(fp32_limit(s), 1e-5);
  expect_fp32(AttentionPath::best, sizes());
}

TEST(Attention, TeamVersionMatchesTheReferenceInFp32) { expect_fp32(AttentionPath::portable, few_sizes()); }

INSTANTIATE_TEST_SUITE_P(Isa, AttentionOnHost, testing::ValuesIn(host_paths()),
                         [](const auto& it) { return path_name(it.param); });

TEST_P(AttentionOnHost, MatchesTheReferenceInFp32) { expect_fp32(GetParam(), sizes()); }

// Columns are queries or keys in every version, so lanes do not take part in the order of sums.
TEST_P(AttentionOnHost, HasTheBitsOfAvx2InFp32) {
  for (const PatternCase& p : all_pattern_cases())
    for (const Size& s : sizes()) {
      SCOPED_TRACE(text(p, s));
      AttentionCase<float> c(p.groups(s.length), s.batch, s.heads, s.key_width, s.value_width, 31);
      const AttentionResult a = run_attention(c, AttentionPath::avx2), b = run_attention(c, GetParam());
      EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse));
      EXPECT_TRUE(same_bits(a.dq, b.dq) && same_bits(a.dk, b.dk) && same_bits(a.dv, b.dv));
    }
}

TEST(Attention, RowsWithoutAKeyAreZero) {
  for (const AttentionPath path : {AttentionPath::best, AttentionPath::portable})
    for (const int n : {3, 40, 70}) {
      AttentionCase<float> c({fixed_summary(n, 50, 5, 0)}, 2, 2, 8, 8, 5);
      const AttentionResult r = run_attention(c, path);
      for (int i = 0; i < std::min(n, 45); ++i)
        for (int e = 0; e < 2 * 8; ++e) {
          EXPECT_EQ(r.out[i * 16 + e], 0.0);
          EXPECT_EQ(r.dq[i * 16 + e], 0.0);
          EXPECT_EQ(r.lse[i], -std::numeric_limits<double>::infinity());
        }
      EXPECT_TRUE(r.clean);
    }
}

TEST(Attention, LargeScoresDoNotOverflow) {
  AttentionCase<float> c({dense(70)}, 1, 2, 16, 16, 3);
  for (double& x : c.q)
    x *= 256; // scores of several hundred: exp(score) alone would be infinite
  const AttentionResult got = run_attention(c), want = run_reference(c);
  EXPECT_TRUE(difference(got.out, want.out) <= 1e-3 * largest(want.out));
  EXPECT_TRUE(difference(got.lse, want.lse) <= 1e-6 * largest(want.lse));
}

TEST(Attention, HeadsOfEqualPatternArePermutedByPermutingTheirInputs) {
  AttentionCase<float> c({strided_merged(77, 9)}, 1, 2, 8, 8, 3);
  const AttentionResult first = run_attention(c);
  const auto swap = [](std::vector<double>& x) {
    for (std::size_t r = 0; r < x.size(); r += 16)
      std::swap_ranges(x.begin() + r, x.begin() + r + 8, x.begin() + r + 8);
  };
  for (auto* x : {&c.q, &c.k, &c.v, &c.dout})
    swap(*x);
  AttentionResult second = run_attention(c);
  swap(second.out);
  swap(second.dk);
  EXPECT_TRUE(same_bits(first.out, second.out));
  EXPECT_TRUE(same_bits(first.dk, second.dk));
}

TEST(Attention, WrongShapesAreRefused) {
  AttentionCase<float> c({dense(10)}, 1, 2, 8, 8, 3);
  c.shape.length = 11;
  EXPECT_THROW(attention_forward<float>(c.plan, c.shape, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr),
               std::invalid_argument);
  c.shape.length = 10;
  c.shape.key_width = 257;
  EXPECT_THROW(attention_forward<float>(c.plan, c.shape, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr),
               std::invalid_argument);
  EXPECT_THROW(AttentionPlan({}, 2), std::invalid_argument);
  EXPECT_THROW(AttentionPlan({dense(4), dense(5)}, 2), std::invalid_argument);
}

TEST(Attention, WorkspaceAndTablesGrowLinearly) {
  const auto bytes = [](int n, bool backward) {
    const AttentionPlan plan({strided_merged(n, 128)}, 2);
    return attention_workspace_bytes(plan, {1, n, 2, 64, 64, 384, 128}, backward) + plan.host_bytes();
  };
  for (const bool backward : {false, true})
    EXPECT_LE(static_cast<double>(bytes(16384, backward)), 4.2 * static_cast<double>(bytes(4096, backward)));
}

// The helpers must be able to say no.

TEST(Comparers, RejectNaNAndWrongSizes) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(difference({1, 2}, {1, 2.5}), 0.5);
  EXPECT_EQ(difference({1, -infinity}, {1, -infinity}), 0.0);
  EXPECT_FALSE(difference({1, nan, 3}, {1, 2, 3}) <= 1e30);
  EXPECT_FALSE(difference({1, 2}, {nan, 2}) <= 1e30);
  EXPECT_FALSE(difference({1, infinity}, {1, -infinity}) <= 1e30);
  EXPECT_FALSE(difference({1, 2}, {1, infinity}) <= 1e30);
  EXPECT_FALSE(difference({1}, {1, 2}) <= 1e30);
  EXPECT_FALSE(relative_difference({nan}, {0}) <= 1e30);
  EXPECT_FALSE(relative_difference({1}, {0}) <= 1e30);
  EXPECT_EQ(relative_difference({0}, {0}), 0.0);
  EXPECT_FALSE(largest({1, nan, 2}) <= 1e30);
}

TEST(Comparers, SeeSingleBitsAndStrayWrites) {
  EXPECT_TRUE(same_bits<float>({1, 2}, {1, 2}));
  EXPECT_FALSE(same_bits<float>({0.0f}, {-0.0f}));
  EXPECT_FALSE(same_bits<float>({1}, {1, 1}));
  Guarded<float> x(std::vector<float>{1, 2, 3});
  EXPECT_TRUE(x.guards_survive());
  const float stray = 0;
  copy_to_device(x.data() + 3, &stray, sizeof stray);
  EXPECT_FALSE(x.guards_survive());
}

} // namespace
} // namespace weft::test
