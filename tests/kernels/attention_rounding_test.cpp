// Attention in bf16 and fp16: its error is that of the roundings it makes, and no more.
//
// One sample cannot tell: the error of a row hangs on the rounding of its own out, which enters delta, so two right
// evaluations that round at different places differ by more than a factor two in the largest error of a small tensor.
// So errors are taken over many samples, and the evaluation beside it makes the same roundings in the same places.
#include "kernels/common/isa.hpp"
#include "tests/kernels/attention_plain.hpp"
#include "tests/kernels/attention_sizes.hpp"

namespace weft::test {
namespace {

/// The errors of one tensor over many samples.
class Errors {
 public:
  void add(const std::vector<double>& got, const std::vector<double>& want) {
    largest_ = weft::test::largest({largest_, difference(got, want)}); // NaN stays
    if (got.size() != want.size())
      return;
    for (std::size_t i = 0; i < got.size(); ++i)
      squares_ += (got[i] - want[i]) * (got[i] - want[i]);
    count_ += static_cast<double>(got.size());
  }
  double largest() const { return largest_; }
  double rms() const { return std::sqrt(squares_ / count_); }

 private:
  double largest_ = 0, squares_ = 0, count_ = 0;
};

struct Tensor {
  const char* name;
  std::vector<double> AttentionResult::*numbers;
};
constexpr Tensor tensors[] = {{"out", &AttentionResult::out},
                              {"dv", &AttentionResult::dv},
                              {"dq", &AttentionResult::dq},
                              {"dk", &AttentionResult::dk}};

/// Of a path and of two plain evaluations: with the path's roundings, and with every matrix stored in T.
struct Comparison {
  Errors got, same, everything;

  /// Roundings at the same places give the same distribution of errors: over some hundred rows, of which early ones
  /// with few keys and large errors count most, the root mean squares agree within 5 %. A number that is wrong by more
  /// than its rounding shows in the largest error. Where the roundings are the same in distribution only, that is the
  /// largest of other draws from a distribution with long tails: the two evaluations together are the sample that it is
  /// held against. `fp32`: what fp32 adds to the largest of many numbers.
  void expect_no_more(const std::string& name, double fp32, Roundings roundings) const {
    const double most =
        roundings == Roundings::factors ? weft::test::largest({same.largest(), everything.largest()}) : same.largest();
    EXPECT_TRUE(got.rms() <= 1.05 * same.rms() + fp32 / 4) << name << " rms " << got.rms() << " " << same.rms();
    EXPECT_TRUE(got.largest() <= 2 * most + fp32) << name << " " << got.largest() << " " << most;
    EXPECT_TRUE(got.rms() <= 2 * everything.rms() + fp32 / 4)
        << name << " rms " << got.rms() << " " << everything.rms();
  }
};

template <class T>
Roundings roundings_of(AttentionPath path) {
  const bool best_is_pairs = path == AttentionPath::best && device_is_host && attention_isa() == Isa::avx512_bf16;
  const bool pairs = path == AttentionPath::avx512_bf16 || path == AttentionPath::avx512_bf16_emulated || best_is_pairs;
  return std::is_same_v<T, bf16> && pairs ? Roundings::factors : Roundings::results;
}

/// Where the results alone are rounded, both evaluations round the same numbers up to fp32: one sample is enough. Where
/// factors are, exp(s - max) is rounded with the maximum of the tiles up to there: the same in distribution only, and
/// it takes some hundred rows and some thousand numbers for their root mean squares to come within 5 %.
int samples(Roundings roundings, const Size& s) {
  const int rows = s.length * s.batch * s.heads, numbers = rows * std::min(s.key_width, s.value_width);
  return roundings == Roundings::results ? 1 : std::max((600 + rows - 1) / rows, (4800 + numbers - 1) / numbers);
}

template <class T>
void expect_low(AttentionPath path, const std::vector<Size>& all) {
  for (const PatternCase& p : kinds_of_patterns())
    for (const Size& s : all) {
      SCOPED_TRACE(text(p, s));
      const Roundings roundings = roundings_of<T>(path);
      Comparison of[std::size(tensors)];
      double scale = 0;
      for (int n = 0; n < samples(roundings, s); ++n) {
        AttentionCase<T> c(p.groups(s.length), s.batch, s.heads, s.key_width, s.value_width, 21 + 4 * n);
        const AttentionResult want = run_reference(c), got = run_attention(c, path);
        const AttentionResult same = PlainAttention<T>(c, roundings).run();
        const AttentionResult everything = PlainAttention<T>(c, Roundings::everything).run();
        EXPECT_TRUE(got.clean);
        scale = largest({scale, largest(want.out), largest(want.dv), largest(want.dq), largest(want.dk)});
        for (std::size_t t = 0; t < std::size(tensors); ++t) {
          of[t].got.add(got.*tensors[t].numbers, want.*tensors[t].numbers);
          of[t].same.add(same.*tensors[t].numbers, want.*tensors[t].numbers);
          of[t].everything.add(everything.*tensors[t].numbers, want.*tensors[t].numbers);
        }
      }
      for (std::size_t t = 0; t < std::size(tensors); ++t)
        of[t].expect_no_more(tensors[t].name, fp32_limit(s) * scale, roundings);
    }
}

TEST(AttentionRounding, Bf16ErrorIsThatOfItsRoundings) { expect_low<bf16>(AttentionPath::best, sizes()); }

TEST(AttentionRounding, Fp16ErrorIsThatOfItsRoundings) { expect_low<fp16>(AttentionPath::best, sizes()); }

TEST(AttentionRounding, TeamVersionInFp16) { expect_low<fp16>(AttentionPath::portable, few_sizes()); }

TEST(AttentionRounding, TeamVersionInBf16) { expect_low<bf16>(AttentionPath::portable, few_sizes()); }

INSTANTIATE_TEST_SUITE_P(Isa, AttentionOnHost, testing::ValuesIn(host_paths()),
                         [](const auto& it) { return path_name(it.param); });

TEST_P(AttentionOnHost, Bf16ErrorIsThatOfItsRoundings) { expect_low<bf16>(GetParam(), sizes()); }

// With pairs, p is rounded after it was added to the row's sum: out may leave the convex hull of the values by that
// rounding, 2^-9 at most, and by the rounding of out itself.
TEST_P(AttentionOnHost, OutputsOfEqualValuesAreThatValueInBf16) {
  AttentionCase<bf16> c({strided_merged(150, 12)}, 1, 2, 64, 64, 7);
  for (double& x : c.v)
    x = 1;
  for (const double x : run_attention(c, GetParam(), false).out)
    ASSERT_TRUE(std::abs(x - 1) <= std::ldexp(1.0, -8)) << x;
}

// The criterion must be able to say no.

TEST(RoundingErrors, AreNaNWhereANumberIsAndInfiniteWhereSizesDiffer) {
  Errors nan, size;
  nan.add({1, std::nan(""), 2}, {1, 2, 2});
  nan.add({1}, {1});
  EXPECT_FALSE(nan.rms() <= 1e30);
  EXPECT_FALSE(nan.largest() <= 1e30);
  size.add({1}, {1, 2});
  EXPECT_FALSE(size.largest() <= 1e30);
  Errors two;
  two.add({1, 5}, {2, 2});
  two.add({0, 0}, {-1, 1});
  EXPECT_EQ(two.largest(), 3);
  EXPECT_EQ(two.rms(), std::sqrt(12.0 / 4));
}

// One more rounding of p and ds is seen in every tensor that they enter.
TEST(RoundingErrors, TellOneMoreRounding) {
  Comparison of[std::size(tensors)];
  for (int n = 0; n < 4; ++n) {
    AttentionCase<bf16> c({dense(100)}, 1, 2, 32, 32, 5 + 4 * n);
    const AttentionResult want = run_reference(c), few = PlainAttention<bf16>(c, Roundings::results).run();
    const AttentionResult more = PlainAttention<bf16>(c, Roundings::factors).run();
    for (std::size_t t = 0; t < std::size(tensors); ++t) {
      of[t].got.add(more.*tensors[t].numbers, want.*tensors[t].numbers);
      of[t].same.add(few.*tensors[t].numbers, want.*tensors[t].numbers);
    }
  }
  for (std::size_t t = 0; t < std::size(tensors); ++t)
    EXPECT_GT(of[t].got.rms(), 1.05 * of[t].same.rms()) << tensors[t].name;
}

} // namespace
} // namespace weft::test
