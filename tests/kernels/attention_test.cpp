// The tiled attention against the double-precision reference, forward and backward.
#include "tests/kernels/attention_support.hpp"
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <limits>

namespace weft::test {
namespace {

struct Size {
  int length, key_width, value_width, batch, heads;
};

/// Every length at a small width, every width at one length; batch times heads on both sides of the task count.
std::vector<Size> sizes() {
  std::vector<Size> all;
  for (const int n : {1, 5, 31, 32, 33, 64, 100, 257})
    all.push_back({n, 16, 16, 2, 3});
  for (const int e : {1, 8, 24, 64, 128, 256})
    all.push_back({100, e, e, 1, 2});
  all.push_back({100, 8, 24, 1, 5});
  all.push_back({100, 32, 64, 1, 3});
  all.push_back({65, 128, 9, 6, 3});
  all.push_back({40, 13, 256, 1, 1});
  return all;
}

/// The team version is slow on a host: a few sizes, ragged tiles and both widths among them.
std::vector<Size> few_sizes() { return {{5, 8, 8, 1, 2}, {33, 16, 16, 2, 3}, {100, 40, 72, 1, 3}, {65, 128, 9, 1, 3}}; }

std::string text(const PatternCase& p, const Size& s) {
  return p.name + " N=" + std::to_string(s.length) + " E=" + std::to_string(s.key_width) + "/" +
         std::to_string(s.value_width) + " B=" + std::to_string(s.batch) + " H=" + std::to_string(s.heads);
}

/// u = 2^-24. A score of normal vectors sums E products of size 1 and divides by sqrt(E): its rounding errors walk to
/// about u sqrt(E / 2). It shifts p, and with it everything else, by that much relative; sums over up to N keys add
/// u sqrt(N). The factor 4 is for the largest among many.
double fp32_limit(const Size& s) {
  const double u = std::ldexp(1.0, -24), e = std::max(s.key_width, s.value_width);
  return 4 * u * (std::sqrt(e) + std::sqrt(static_cast<double>(s.length)));
}

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

/// The same tests for every instruction set that a host may have, and for the sources of the larger ones compiled for
/// the smallest.
class AttentionOnHost : public testing::TestWithParam<AttentionPath> {
 protected:
  void SetUp() override {
    if (!attention_path_runs(GetParam()))
      GTEST_SKIP() << "this build or processor has no " << path_name(GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, AttentionOnHost, testing::ValuesIn(host_paths()),
                         [](const auto& it) { return path_name(it.param); });

std::vector<Size> host_sizes() {
  std::vector<Size> all = few_sizes();
  if (std::getenv("WEFT_TEST_FEW_SIZES") != nullptr) // in an emulator (scripts/avx512_check.sh)
    return all;
  for (const int e : {1, 8, 13, 24, 64, 80, 256})
    all.push_back({100, e, e, 1, 2});
  for (const int n : {1, 31, 32, 64, 257})
    all.push_back({n, 16, 24, 2, 3});
  return all;
}

TEST_P(AttentionOnHost, MatchesTheReferenceInFp32) { expect_fp32(GetParam(), host_sizes()); }

// Columns are queries or keys in every version, so lanes do not take part in the order of sums.
TEST_P(AttentionOnHost, HasTheBitsOfAvx2InFp32) {
  for (const PatternCase& p : all_pattern_cases())
    for (const Size& s : host_sizes()) {
      SCOPED_TRACE(text(p, s));
      AttentionCase<float> c(p.groups(s.length), s.batch, s.heads, s.key_width, s.value_width, 31);
      const AttentionResult a = run_attention(c, AttentionPath::avx2), b = run_attention(c, GetParam());
      EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse));
      EXPECT_TRUE(same_bits(a.dq, b.dq) && same_bits(a.dk, b.dk) && same_bits(a.dv, b.dv));
    }
}

/// A plain evaluation that stores every intermediate matrix (scores, p, dp, ds) as T and sums in higher precision.
template <class T>
AttentionResult plain_in(const AttentionCase<T>& c) {
  const auto narrow = [](double x) { return static_cast<double>(load(store<T>(static_cast<float>(x)))); };
  const AttentionShape& s = c.shape;
  AttentionResult r = run_reference(c); // for the sizes
  for (auto* x : {&r.out, &r.dq, &r.dk, &r.dv})
    std::fill(x->begin(), x->end(), 0.0);
  const double scale = 1 / std::sqrt(static_cast<double>(s.key_width));
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t i = 0; i < s.length; ++i) {
        const auto& keys = c.reference.keys[h % c.reference.keys.size()][i];
        const auto key = [&](std::int64_t j, std::int64_t e) {
          return ((b * s.length + j) * s.heads + h) * s.key_width + e;
        };
        const auto value = [&](std::int64_t j, std::int64_t e) {
          return ((b * s.length + j) * s.heads + h) * s.value_width + e;
        };
        std::vector<double> p, dp;
        double sum = 0, mean = 0;
        for (const int j : keys) {
          double x = 0, y = 0;
          for (std::int64_t e = 0; e < s.key_width; ++e)
            x += c.q[key(i, e)] * c.k[key(j, e)];
          for (std::int64_t e = 0; e < s.value_width; ++e)
            y += c.dout[value(i, e)] * c.v[value(j, e)];
          p.push_back(std::exp(narrow(narrow(x) * scale)));
          dp.push_back(narrow(y));
          sum += p.back();
        }
        for (std::size_t n = 0; n < keys.size(); ++n) {
          p[n] = narrow(p[n] / sum);
          mean += p[n] * dp[n];
        }
        for (std::size_t n = 0; n < keys.size(); ++n) {
          const double ds = narrow(p[n] * (dp[n] - mean) * scale);
          for (std::int64_t e = 0; e < s.value_width; ++e) {
            r.out[value(i, e)] += p[n] * c.v[value(keys[n], e)];
            r.dv[value(keys[n], e)] += p[n] * c.dout[value(i, e)];
          }
          for (std::int64_t e = 0; e < s.key_width; ++e) {
            r.dq[key(i, e)] += ds * c.k[key(keys[n], e)];
            r.dk[key(keys[n], e)] += ds * c.q[key(i, e)];
          }
        }
      }
  for (auto* x : {&r.out, &r.dq, &r.dk, &r.dv})
    *x = rounded<T>(*x);
  return r;
}

template <class T>
void expect_low(AttentionPath path, const std::vector<Size>& all) {
  for (const PatternCase& p : all_pattern_cases())
    for (const Size& s : all) {
      if (s.key_width < 8 || s.value_width < 8)
        continue; // of a single product per score, nothing averages out the stored output's rounding in delta
      SCOPED_TRACE(text(p, s));
      AttentionCase<T> c(p.groups(s.length), s.batch, s.heads, s.key_width, s.value_width, 21);
      const AttentionResult got = run_attention(c, path), want = run_reference(c), plain = plain_in(c);
      EXPECT_TRUE(got.clean);
      const double scale = std::max(largest(want.dv), std::max(largest(want.dq), largest(want.dk)));
      const auto check = [&](const char* name, const std::vector<double>& x, const std::vector<double>& y,
                             const std::vector<double>& z) {
        const double error = difference(x, y), limit = 2 * difference(z, y) + fp32_limit(s) * scale;
        EXPECT_TRUE(error <= limit) << name << " " << error << " > " << limit;
      };
      check("out", got.out, want.out, plain.out);
      // The stored output enters delta = dout . out, as in any evaluation that does not keep an fp32 copy: its
      // half unit in the last place moves ds of a row by p times this much.
      check("dv", got.dv, want.dv, plain.dv);
      check("dq", got.dq, want.dq, plain.dq);
      check("dk", got.dk, want.dk, plain.dk);
    }
}

TEST(Attention, Bf16ErrorIsAtMostTwiceThatOfAPlainEvaluation) { expect_low<bf16>(AttentionPath::best, sizes()); }

TEST_P(AttentionOnHost, Bf16ErrorIsAtMostTwiceThatOfAPlainEvaluation) { expect_low<bf16>(GetParam(), host_sizes()); }

// With pairs, p is rounded after it was added to the row's sum: out may leave the convex hull of the values by that
// rounding, 2^-9 at most, and by the rounding of out itself.
TEST_P(AttentionOnHost, OutputsOfEqualValuesAreThatValueInBf16) {
  AttentionCase<bf16> c({strided_merged(150, 12)}, 1, 2, 64, 64, 7);
  for (double& x : c.v)
    x = 1;
  for (const double x : run_attention(c, GetParam(), false).out)
    ASSERT_TRUE(std::abs(x - 1) <= std::ldexp(1.0, -8)) << x;
}

TEST(Attention, Fp16ErrorIsAtMostTwiceThatOfAPlainEvaluation) { expect_low<fp16>(AttentionPath::best, sizes()); }

TEST(Attention, TeamVersionInFp16) { expect_low<fp16>(AttentionPath::portable, few_sizes()); }

TEST(Attention, TeamVersionInBf16) { expect_low<bf16>(AttentionPath::portable, few_sizes()); }

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
