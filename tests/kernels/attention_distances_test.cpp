// Promise: attention adds scores that depend on the distance of key and query alone, and gives their gradient, without
// a table of N x N numbers: in every version, over every pattern, the same as with such a table.
#include "tests/kernels/attention_differences.hpp"
#include "tests/kernels/attention_plain.hpp"
#include "tests/kernels/attention_widened.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cmath>
#include <limits>

namespace weft::test {
namespace {

struct DistanceCase {
  std::string name;
  std::function<std::vector<Pattern>(int length)> groups;
  int length, reach;
  std::int64_t batch, heads, width, value_width;
};

std::vector<DistanceCase> distance_cases() {
  const auto causal = [](int n) { return std::vector{dense(n)}; };
  const auto both = [](int n) { return std::vector{dense_bidirectional(n)}; };
  const auto chunks = [](int n) { return std::vector{block_bidirectional(n, 20)}; };
  const auto sets = [](int n) { return std::vector{strided_merged(n, 12), fixed_summary(n, 16, 8, 0)}; };
  return {
      {"whole tiles", both, 96, 96, 2, 1, 16, 24},
      {"causal, a last tile in part", causal, 70, 70, 3, 1, 8, 16},
      {"reach of a longer one", both, 33, 90, 1, 2, 8, 8},
      {"pairs out of reach", both, 130, 30, 2, 2, 8, 8},
      {"chunks that cut tiles", chunks, 110, 20, 2, 1, 8, 8},
      {"gathered keys", sets, 70, 70, 2, 4, 16, 8},
      {"one position", both, 1, 1, 1, 1, 8, 8},
      {"many sequences", both, 40, 40, 19, 1, 8, 8},
      {"no further than itself", causal, 64, 1, 2, 1, 8, 8},
  };
}

template <class T>
AttentionCase<T> make(const DistanceCase& d, unsigned seed = 83) {
  AttentionCase<T> c(d.groups(d.length), d.batch, d.heads, d.width, d.value_width, seed);
  c.set_distances(d.reach, seed + 9);
  return c;
}

class AttentionDistances : public AttentionPathTest {};
INSTANTIATE_TEST_SUITE_P(Path, AttentionDistances, testing::ValuesIn(all_paths()),
                         [](const auto& it) { return path_name(it.param); });

/// Without and with dropout, key bits and a scale.
template <class T>
void expect_reference(AttentionPath path, double limit) {
  for (const DistanceCase& d : distance_cases())
    for (const bool extras : {false, true}) {
      SCOPED_TRACE(d.name + (extras ? ", with extras" : ""));
      AttentionCase<T> c = make<T>(d);
      if (extras) {
        c.drop(some_dropout(0.3f), 130);
        c.reference.scale = 0.3;
        c.see([](int b, int i) { return i % 7 != 3 + b % 2; });
      }
      expect_near(run_attention(c, path), run_reference(c), limit);
    }
}
TEST_P(AttentionDistances, MatchTheReferenceInFp32) { expect_reference<float>(GetParam(), 2e-5); }
TEST_P(AttentionDistances, MatchTheReferenceInBf16) { expect_reference<bf16>(GetParam(), std::ldexp(1.0, -6)); }
TEST_P(AttentionDistances, MatchTheReferenceInFp16) {
  if (GetParam() != AttentionPath::best && GetParam() != AttentionPath::portable)
    GTEST_SKIP() << "SKIPPED: a host has one version for fp16";
  expect_reference<fp16>(GetParam(), std::ldexp(1.0, -9));
}

TEST_P(AttentionDistances, Bf16ErrorIsAtMostTwiceThatOfAPlainEvaluation) {
  for (const DistanceCase& d : distance_cases()) {
    if (d.length == 1)
      continue;
    SCOPED_TRACE(d.name);
    AttentionCase<bf16> c = make<bf16>(d);
    expect_errors_of_plain_loops(c, GetParam());
  }
}

/// A distance that no pair of the pattern has is not looked at.
TEST_P(AttentionDistances, NaNAtADistanceReachesThePairsThatAreSoFarApartAlone) {
  AttentionCase<float> c = make<float>(distance_cases()[1]);                                     // causal
  c.distances[static_cast<std::size_t>(70 - 1 - 40)] = std::numeric_limits<double>::quiet_NaN(); // 40 back
  c.distances[static_cast<std::size_t>(70 - 1 + 1)] = std::numeric_limits<double>::quiet_NaN();  // a later key
  const AttentionResult r = run_attention(c, GetParam(), false);
  for (std::size_t at = 0; at < r.out.size(); ++at)
    ASSERT_EQ(std::isnan(r.out[at]), at / 16 % 70 >= 40) << at;
}

TEST_P(AttentionDistances, ZerosAreTheBitsOfAPlainCall) {
  for (const DistanceCase& d : distance_cases()) {
    SCOPED_TRACE(d.name);
    AttentionCase<bf16> widened = make<bf16>(d),
                        plain(d.groups(d.length), d.batch, d.heads, d.width, d.value_width, 83);
    std::fill(widened.distances.begin(), widened.distances.end(), 0.0);
    const AttentionResult a = run_attention(widened, GetParam()), b = run_attention(plain, GetParam());
    for (auto numbers : {&AttentionResult::out, &AttentionResult::lse, &AttentionResult::dq, &AttentionResult::dk,
                         &AttentionResult::dv})
      EXPECT_TRUE(same_bits(a.*numbers, b.*numbers));
  }
}

class AttentionDistancesOnHost : public AttentionPathTest {};
INSTANTIATE_TEST_SUITE_P(Isa, AttentionDistancesOnHost, testing::ValuesIn(host_paths()),
                         [](const auto& it) { return path_name(it.param); });
TEST_P(AttentionDistancesOnHost, HaveTheBitsOfAvx2InFp32) {
  for (const DistanceCase& d : distance_cases()) {
    SCOPED_TRACE(d.name);
    AttentionCase<float> c = make<float>(d);
    expect_same_bits(run_attention(c, GetParam()), run_attention(c, AttentionPath::avx2));
  }
}

std::string hash_of_all() {
  return hash_of(distance_cases(), [](const DistanceCase& d) { return make<bf16>(d); });
}
TEST(AttentionDistancesThreads, DISABLED_PrintHash) { std::printf("%s\n", hash_of_all().c_str()); }
TEST(AttentionDistancesThreads, AnyNumberGivesTheSameBits) {
  expect_from_threads("AttentionDistancesThreads.DISABLED_PrintHash", hash_of_all(), {1, 2, 3});
}

TEST(AttentionDistancesShapes, WrongOnesAreRefused) {
  AttentionCase<float> c({dense(10)}, 1, 2, 8, 8, 3);
  const float numbers[1] = {};
  AttentionExtras extras;
  extras.distances = numbers;
  expect_refused(c, extras); // no reach
  extras.reach = 1;
  extras.table = numbers;
  extras.table_stride = 10;
  expect_refused(c, extras); // both
}

TEST(AttentionDistancesShapes, WorkspaceDoesNotGrowWithTheSquareOfTheLength) {
  const auto bytes = [](int n) {
    const AttentionPlan plan({block_bidirectional(n, 64)}, 1);
    return attention_workspace_bytes(plan, {1, n, 1, 8, 8, 24, 8}, true, n);
  };
  EXPECT_LE(bytes(4096), 2.1 * bytes(2048));
}

} // namespace
} // namespace weft::test
