// Promise: attention takes keys that have rows of their own (M of them), and adds a table of scores of each head, whose
// gradient is the sum over the sequences in order; both in every version, and neither moves a bit where it is off.
#include "tests/kernels/attention_differences.hpp"
#include "tests/kernels/attention_plain.hpp"
#include "tests/kernels/attention_widened.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cmath>
#include <limits>

namespace weft::test {
namespace {

/// keys: M, 0: N. stride: of the table's rows, 0: no table.
struct TableCase {
  std::string name;
  std::function<std::vector<Pattern>(int length)> groups;
  int length, keys, stride;
  std::int64_t width, value_width;
};

std::vector<TableCase> table_cases() {
  const auto causal = [](int n) { return std::vector{dense(n)}; };
  const auto both = [](int n) { return std::vector{dense_bidirectional(n)}; };
  const auto sets = [](int n) { return std::vector{strided_merged(n, 12), fixed_summary(n, 16, 8, 0)}; };
  const auto of = [](int keys) { return [keys](int n) { return std::vector{every_key(n, keys)}; }; };
  return {
      {"causal table", causal, 70, 0, 70, 16, 24},
      {"table of a longer sequence", both, 33, 0, 41, 8, 16},
      {"table alone", both, 70, 0, 71, 0, 16},
      {"causal table alone", causal, 37, 0, 37, 0, 40},
      {"gathered keys with a table", sets, 70, 0, 75, 16, 8},
      {"one position", both, 1, 0, 1, 8, 8},
      {"fewer keys", of(5), 70, 5, 0, 16, 16},
      {"more keys", of(70), 9, 70, 0, 24, 8},
      {"as many keys", of(33), 33, 33, 0, 8, 40},
      {"more keys and a table", of(45), 33, 45, 45, 16, 16},
      {"one key", of(1), 40, 1, 0, 8, 8},
      {"keys up to the query's own", [](int n) { return std::vector{earlier_keys(n, 33, 2)}; }, 70, 33, 0, 8, 16},
  };
}

template <class T>
AttentionCase<T> make(const TableCase& t, std::int64_t batch = 2, unsigned seed = 71) {
  AttentionCase<T> c(t.groups(t.length), batch, 3, t.width, t.value_width, seed, t.keys);
  if (t.stride > 0)
    c.tabulate(t.stride, seed + 9);
  return c;
}

TEST(AttentionTableReference, GradientsMatchFiniteDifferences) {
  for (const TableCase& t : table_cases()) {
    if (t.length * std::max(t.keys, 1) == 1 || t.keys == 1) // one key has weight 1: no gradient of scores
      continue;
    SCOPED_TRACE(t.name);
    AttentionCase<float> c(t.groups(11), 2, 3, t.width, 3, 31, t.keys);
    if (t.stride > 0)
      c.tabulate(std::max(t.keys, 13), 40);
    c.reference.scale = 0.4;
    c.drop(some_dropout());
    expect_gradients_of_differences(c);
  }
}

class AttentionTable : public AttentionPathTest {};
INSTANTIATE_TEST_SUITE_P(Path, AttentionTable, testing::ValuesIn(all_paths()),
                         [](const auto& it) { return path_name(it.param); });

/// Without and with dropout, key bits, and a scale.
template <class T>
void expect_reference(AttentionPath path, double limit) {
  for (const TableCase& t : table_cases())
    for (const int extras : {0, 1}) {
      SCOPED_TRACE(t.name + (extras ? ", with extras" : ""));
      AttentionCase<T> c = make<T>(t);
      if (extras) {
        c.drop(some_dropout(0.3f), 80);
        c.reference.scale = 0.3;
        if (t.keys == 0)
          c.see([](int b, int i) { return i % 7 != 3 + b; });
      }
      expect_near(run_attention(c, path), run_reference(c), limit);
    }
}
TEST_P(AttentionTable, MatchesTheReferenceInFp32) { expect_reference<float>(GetParam(), 2e-5); }
TEST_P(AttentionTable, MatchesTheReferenceInBf16) { expect_reference<bf16>(GetParam(), std::ldexp(1.0, -6)); }
TEST_P(AttentionTable, MatchesTheReferenceInFp16) {
  if (GetParam() != AttentionPath::best && GetParam() != AttentionPath::portable)
    GTEST_SKIP() << "SKIPPED: a host has one version for fp16";
  expect_reference<fp16>(GetParam(), std::ldexp(1.0, -9));
}

/// Against an evaluation in plain loops that stores every matrix in bf16.
TEST_P(AttentionTable, Bf16ErrorIsAtMostTwiceThatOfAPlainEvaluation) {
  for (const TableCase& t : table_cases()) {
    if (t.length == 1 || t.keys == 1) // scores without a gradient: nothing but noise to compare
      continue;
    SCOPED_TRACE(t.name);
    AttentionCase<bf16> c = make<bf16>(t);
    expect_errors_of_plain_loops(c, GetParam());
  }
}

TEST_P(AttentionTable, ATableOfZerosAndKeysInTheirOwnRowsAreTheBitsOfAPlainCall) {
  for (const TableCase& t : table_cases()) {
    if (t.width == 0 || (t.keys != 0 && t.keys != t.length))
      continue;
    SCOPED_TRACE(t.name);
    AttentionCase<bf16> widened = make<bf16>(t), plain(t.groups(t.length), 2, 3, t.width, t.value_width, 71);
    std::fill(widened.reference.table.begin(), widened.reference.table.end(), 0.0);
    const AttentionResult a = run_attention(widened, GetParam(), false), b = run_attention(plain, GetParam(), false);
    EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse));
  }
}

TEST_P(AttentionTable, EqualScoresGiveTheMeanOfTheRealValues) {
  AttentionCase<float> c = make<float>(table_cases()[2]); // a table alone
  std::fill(c.reference.table.begin(), c.reference.table.end(), 0.0);
  c.see([](int, int i) { return i < 50; });
  const AttentionResult r = run_attention(c, GetParam(), false);
  for (std::size_t at = 0; at < r.out.size(); ++at) {
    double sum = 0;
    for (std::size_t j = 0; j < 50; ++j)
      sum += c.v[(at / (70 * 48) * 70 + j) * 48 + at % 48];
    ASSERT_NEAR(r.out[at], sum / 50, 1e-6);
  }
}

/// A pair that the pattern does not have: its score may be NaN, and its gradient is 0.
TEST_P(AttentionTable, ScoresOfLaterKeysAreNotLookedAt) {
  const TableCase t = table_cases()[0];
  AttentionCase<float> c = make<float>(t), spoilt = make<float>(t);
  const auto later = [&](std::size_t at) { return at % 70 > at / 70 % 70; };
  for (std::size_t at = 0; at < spoilt.reference.table.size(); ++at)
    if (later(at))
      spoilt.reference.table[at] = std::numeric_limits<double>::quiet_NaN();
  const AttentionResult before = run_attention(c, GetParam()), after = run_attention(spoilt, GetParam());
  expect_same_bits(after, before);
  for (std::size_t at = 0; at < before.dtable.size(); ++at)
    ASSERT_TRUE(!later(at) || before.dtable[at] == 0) << at;
  EXPECT_GT(largest(before.dtable), 1e-3);
}

TEST_P(AttentionTable, ANaNScoreReachesItsQueryAlone) {
  AttentionCase<float> c = make<float>(table_cases()[0]);
  c.reference.table[(1 * 70 + 50) * 70 + 20] = std::numeric_limits<double>::quiet_NaN(); // head 1, query 50, key 20
  const AttentionResult r = run_attention(c, GetParam(), false);
  for (std::size_t at = 0; at < r.out.size(); ++at)
    ASSERT_EQ(std::isnan(r.out[at]), at / 24 % 3 == 1 && at / 72 % 70 == 50) << at;
}

TEST_P(AttentionTable, ASequenceHasTheSameBitsAloneAndBesideOthers) {
  for (const TableCase& t : table_cases()) {
    if (t.stride == 0)
      continue;
    SCOPED_TRACE(t.name);
    AttentionCase<bf16> both = make<bf16>(t), second = make<bf16>(t, 1);
    for (auto [to, from] :
         {std::pair{&second.q, &both.q}, {&second.k, &both.k}, {&second.v, &both.v}, {&second.dout, &both.dout}})
      std::copy(from->end() - static_cast<std::ptrdiff_t>(to->size()), from->end(), to->begin());
    const AttentionResult a = run_attention(both, GetParam()), b = run_attention(second, GetParam());
    for (auto numbers : {&AttentionResult::out, &AttentionResult::dq, &AttentionResult::dk, &AttentionResult::dv})
      EXPECT_TRUE(std::equal((b.*numbers).begin(), (b.*numbers).end(),
                             (a.*numbers).end() - static_cast<std::ptrdiff_t>((b.*numbers).size())));
  }
}

class AttentionTableOnHost : public AttentionPathTest {};
INSTANTIATE_TEST_SUITE_P(Isa, AttentionTableOnHost, testing::ValuesIn(host_paths()),
                         [](const auto& it) { return path_name(it.param); });
TEST_P(AttentionTableOnHost, HasTheBitsOfAvx2InFp32) {
  for (const TableCase& t : table_cases()) {
    SCOPED_TRACE(t.name);
    AttentionCase<float> c = make<float>(t);
    expect_same_bits(run_attention(c, GetParam()), run_attention(c, AttentionPath::avx2));
  }
}

std::string hash_of_all() {
  return hash_of(table_cases(), [](const TableCase& t) { return make<bf16>(t, 3); });
}
TEST(AttentionTableThreads, DISABLED_PrintHash) { std::printf("%s\n", hash_of_all().c_str()); }
TEST(AttentionTableThreads, AnyNumberGivesTheSameBits) {
  expect_from_threads("AttentionTableThreads.DISABLED_PrintHash", hash_of_all(), {1, 2, 3});
}

TEST(AttentionTableShapes, WrongOnesAreRefused) {
  AttentionCase<float> c({dense(10)}, 1, 2, 8, 8, 3);
  const float table[1] = {};
  AttentionExtras extras;
  extras.table = table;
  extras.table_stride = 9;
  expect_refused(c, extras);
  expect_refused(AttentionCase<float>({dense(10)}, 1, 1, 8, 8, 3), extras); // nor with a single head
  c.shape.key_width = 0;
  expect_refused(c, {}); // no scores at all
  EXPECT_THROW(every_key(3, 0), std::invalid_argument);
  EXPECT_THROW(earlier_keys(3, 2, -1), std::invalid_argument);
}

} // namespace
} // namespace weft::test
