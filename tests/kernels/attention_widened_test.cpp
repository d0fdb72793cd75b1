// Key bits: a key that is not real has no weight, no gradient and no influence, and costs no tile.
#include "tests/kernels/attention_widened.hpp"
#include <cmath>
#include <limits>

namespace weft::test {
namespace {

const double not_a_number = std::numeric_limits<double>::quiet_NaN();

class AttentionWidened : public AttentionPathTest {};
INSTANTIATE_TEST_SUITE_P(Path, AttentionWidened, testing::ValuesIn(all_paths()),
                         [](const auto& it) { return path_name(it.param); });

/// Without and with dropout.
template <class T>
void expect_reference(AttentionPath path, const std::vector<int>& lengths, double limit) {
  for (const PatternCase& p : kinds_of_patterns())
    for (const BitsCase& bits : bits_cases())
      for (const int n : lengths)
        for (const float probability : {0.0f, 0.3f}) {
          SCOPED_TRACE(p.name + ", " + bits.name + ", N=" + std::to_string(n) + ", p=" + std::to_string(probability));
          AttentionCase<T> c = widened_case<T>(p, bits, n, n == 70 ? 24 : 16, n == 33 ? 40 : 16);
          c.drop(some_dropout(probability));
          expect_near(run_attention(c, path), run_reference(c), limit);
        }
}

TEST_P(AttentionWidened, MatchesTheReferenceInFp32) { expect_reference<float>(GetParam(), lengths(), 2e-5); }
// A tensor in bf16 has half a unit of 2^-9, and p, ds, out and the gradients are rounded one after the other.
TEST_P(AttentionWidened, MatchesTheReferenceInBf16) {
  expect_reference<bf16>(GetParam(), lengths(), std::ldexp(1.0, -6));
}
TEST_P(AttentionWidened, MatchesTheReferenceInFp16) {
  if (GetParam() != AttentionPath::best && GetParam() != AttentionPath::portable)
    GTEST_SKIP() << "SKIPPED: a host has one version for fp16";
  expect_reference<fp16>(GetParam(), lengths(), std::ldexp(1.0, -9));
}

template <class T>
void expect_free_when_off(AttentionPath path) {
  for (const PatternCase& p : kinds_of_patterns())
    for (const int n : {33, 100}) {
      SCOPED_TRACE(p.name + " N=" + std::to_string(n));
      AttentionCase<T> c(p.groups(n), 2, 3, 16, 24, 71);
      const AttentionResult plain = run_attention(c, path);
      c.see([](int, int) { return true; });
      c.drop(some_dropout(0.0f), 1000);
      expect_same_bits(run_attention(c, path), plain);
    }
}
TEST_P(AttentionWidened, AllBitsSetAndNoDropoutAreTheBitsOfAPlainCall) {
  expect_free_when_off<float>(GetParam());
  expect_free_when_off<bf16>(GetParam());
  expect_free_when_off<fp16>(GetParam());
}

/// Puts `change` of its number into the rows of k and v whose key is not real.
template <class T, class Change>
void change_unseen(AttentionCase<T>& c, const Change& change) {
  for (std::size_t row = 0; row < c.rows(); ++row)
    if (!c.reference.seen[row]) {
      const std::size_t wk = static_cast<std::size_t>(c.shape.heads * c.shape.key_width);
      const std::size_t wv = static_cast<std::size_t>(c.shape.heads * c.shape.value_width);
      for (std::size_t e = 0; e < wk; ++e)
        c.k[row * wk + e] = change(c.k[row * wk + e]);
      for (std::size_t e = 0; e < wv; ++e)
        c.v[row * wv + e] = change(c.v[row * wv + e]);
    }
}

template <class T>
void expect_no_influence(AttentionPath path, float probability) {
  for (const PatternCase& p : kinds_of_patterns())
    for (const BitsCase& bits : bits_cases()) {
      SCOPED_TRACE(p.name + ", " + bits.name);
      AttentionCase<T> c = widened_case<T>(p, bits, 70, 8, 8);
      c.drop(some_dropout(probability));
      const AttentionResult before = run_attention(c, path);
      const double inf = std::numeric_limits<double>::infinity();
      for (int kind = 0; kind < 3; ++kind) {
        AttentionCase<T> changed = widened_case<T>(p, bits, 70, 8, 8);
        changed.drop(some_dropout(probability));
        change_unseen(changed, [=](double x) { return kind == 0 ? -3 * x + 1 : kind == 1 ? not_a_number : x * inf; });
        expect_same_bits(run_attention(changed, path), before);
      }
      for (std::size_t row = 0; row < c.rows(); ++row)
        for (std::size_t e = 0; e < 3 * 8 && !c.reference.seen[row]; ++e) {
          ASSERT_EQ(before.dk[row * 24 + e], 0.0);
          ASSERT_EQ(before.dv[row * 24 + e], 0.0);
        }
    }
}
TEST_P(AttentionWidened, AnUnseenKeyMovesNoBitNotEvenAsNaN) {
  expect_no_influence<float>(GetParam(), 0.0f);
  expect_no_influence<bf16>(GetParam(), 0.0f);
}
TEST_P(AttentionWidened, AnUnseenKeyMovesNoBitUnderDropout) { expect_no_influence<bf16>(GetParam(), 0.4f); }

/// In the backward pass a NaN reaches its tile, but a key that is not real gets 0 all the same.
TEST_P(AttentionWidened, GradientsOfUnseenKeysAreZeroBesideNaN) {
  for (const PatternCase& p : kinds_of_patterns()) {
    SCOPED_TRACE(p.name);
    AttentionCase<float> c = widened_case<float>(p, bits_cases()[0], 70, 8, 8);
    std::fill(c.q.begin(), c.q.end(), not_a_number);
    std::fill(c.dout.begin(), c.dout.end(), not_a_number);
    const AttentionResult r = run_attention(c, GetParam());
    int unseen = 0;
    for (std::size_t row = 0; row < c.rows(); ++row)
      if (!c.reference.seen[row]) {
        ++unseen;
        for (std::size_t e = 0; e < 3 * 8; ++e)
          ASSERT_TRUE(r.dk[row * 24 + e] == 0 && r.dv[row * 24 + e] == 0) << row << " " << e;
      }
    EXPECT_GT(unseen, 20);
  }
}

TEST_P(AttentionWidened, QueriesWithoutARealKeyAreZero) {
  for (const PatternCase& p : kinds_of_patterns()) {
    SCOPED_TRACE(p.name);
    AttentionCase<float> c = widened_case<float>(p, bits_cases()[2], 70, 8, 8); // the second sequence sees nothing
    c.drop(some_dropout());
    const AttentionResult r = run_attention(c, GetParam());
    EXPECT_GT(largest(r.out), 0.1); // the first one does
    for (std::size_t at = 70 * 24; at < 2 * 70 * 24; ++at) {
      ASSERT_EQ(r.out[at], 0.0);
      ASSERT_EQ(r.dq[at], 0.0);
      ASSERT_EQ(r.lse[at / 8], -std::numeric_limits<double>::infinity());
    }
  }
}

/// Never leak the future, with holes among the keys: changes position j of q, k and v at every j.
TEST_P(AttentionWidened, ChangingAnInputMovesOnlyWhoSeesIt) {
  const int n = GetParam() == AttentionPath::portable ? 35 : 67;
  for (const PatternCase& p : pattern_cases()) {
    SCOPED_TRACE(p.name);
    AttentionCase<float> c = widened_case<float>(p, bits_cases()[0], n, 8, 8);
    const AttentionResult before = run_attention(c, GetParam(), false);
    for (int j = 0; j < n; ++j) {
      AttentionCase<float> changed = widened_case<float>(p, bits_cases()[0], n, 8, 8);
      for (auto* x : {&changed.q, &changed.k, &changed.v})
        for (int b = 0; b < 2; ++b)
          for (int e = 0; e < 24; ++e)
            (*x)[static_cast<std::size_t>((b * n + j) * 24 + e)] *= -2;
      const AttentionResult after = run_attention(changed, GetParam(), false);
      for (int b = 0; b < 2; ++b)
        for (int h = 0; h < 3; ++h)
          for (int i = 0; i < n; ++i) {
            if (i == j)
              continue;
            const auto at = static_cast<std::ptrdiff_t>((b * n + i) * 24 + h * 8);
            const bool moved =
                !std::equal(before.out.begin() + at, before.out.begin() + at + 8, after.out.begin() + at);
            const auto& keys = c.reference.keys[static_cast<std::size_t>(h) % c.reference.keys.size()];
            const bool sees = c.reference.seen[static_cast<std::size_t>(b * n + j)] &&
                              std::binary_search(keys[static_cast<std::size_t>(i)].begin(),
                                                 keys[static_cast<std::size_t>(i)].end(), j);
            ASSERT_EQ(moved, sees) << "input " << j << ", output " << i << " of head " << h << " of sequence " << b;
          }
    }
  }
}

/// A key tile without a real key is not looked at: its numbers stay unread, and the time follows the real keys. Here
/// the first is held; the second is a figure of the benchmark.
TEST(AttentionBits, OfALongPrefixAreThoseOfAShorterCall) {
  AttentionCase<float> whole({block_bidirectional(128, 128)}, 1, 2, 16, 16, 5);
  whole.see([](int, int i) { return i < 64; });
  AttentionCase<float> part({block_bidirectional(64, 64)}, 1, 2, 16, 16, 5);
  for (auto [to, from] : {std::pair{&part.q, &whole.q}, {&part.k, &whole.k}, {&part.v, &whole.v}})
    std::copy(from->begin(), from->begin() + static_cast<std::ptrdiff_t>(to->size()), to->begin());
  const AttentionResult a = run_attention(whole, AttentionPath::best, false);
  const AttentionResult b = run_attention(part, AttentionPath::best, false);
  EXPECT_TRUE(std::equal(b.out.begin(), b.out.end(), a.out.begin()));
}

} // namespace
} // namespace weft::test
