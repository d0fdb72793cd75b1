// Promise: rows mixed along the sequence are those of the reference, whatever lies in rows that are not seen.
#include "kernels/low_rank/mix_rows.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded;

namespace {

WEFT_STORAGE_SUITE(MixRows);

const MixShape shapes[] = {{1, 1, 1, 1, 3, 1},     {3, 7, 2, 5, 9, 6},    {2, 70, 16, 24, 40, 24},
                           {4, 33, 5, 64, 64, 70}, {2, 10, 17, 9, 11, 9}, {1, 131, 64, 100, 100, 100}};

std::int64_t words(const MixShape& s) { return (s.length + 31) / 32; }

/// Sequence 1 of them has holes, sequence 2 sees nothing; the others see all. Bits from N on are set.
std::vector<std::uint32_t> some_seen(const MixShape& s) {
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(s.sequences * words(s)), ~0u);
  for (std::int64_t b = 1; b < std::min<std::int64_t>(3, s.sequences); ++b)
    for (std::int64_t i = 0; i < s.length; ++i)
      if (b == 2 || i % 3 == 1)
        seen[static_cast<std::size_t>(b * words(s) + i / 32)] &= ~(1u << (i % 32));
  return seen;
}
bool is_set(const std::vector<std::uint32_t>& seen, const MixShape& s, std::int64_t row) {
  return (seen[static_cast<std::size_t>(row / s.length * words(s) + row % s.length / 32)] >> (row % s.length % 32) &
          1u) != 0;
}

struct Numbers {
  Doubles e, x, dp, p, dx, de;
};
/// Inputs rounded to T, and what the reference makes of them.
template <class T>
Numbers numbers_of(const MixShape& s, const std::uint32_t* seen) {
  Numbers n;
  n.e = rounded<float>(random_doubles(s.length * s.rank, 1));
  n.x = rounded<T>(random_doubles(s.sequences * s.length * s.width, 2));
  n.dp = rounded<T>(random_doubles(s.sequences * s.rank * s.width, 3));
  n.p.resize(n.dp.size());
  n.dx.resize(n.x.size());
  n.de.resize(n.e.size());
  reference::mix_rows_forward(s, n.p.data(), n.e.data(), n.x.data(), seen);
  reference::mix_rows_backward(s, n.dx.data(), n.de.data(), n.e.data(), n.dp.data(), n.x.data(), seen);
  return n;
}

/// Rows of `width` at a stride, sentinels between them.
template <class T>
std::vector<T> spread(const Doubles& dense, std::int64_t width, std::int64_t stride) {
  std::vector<T> out(dense.size() / static_cast<std::size_t>(width) * static_cast<std::size_t>(stride),
                     Guarded<T>::sentinel());
  for (std::size_t at = 0; at < dense.size(); ++at)
    out[at / static_cast<std::size_t>(width) * static_cast<std::size_t>(stride) +
        at % static_cast<std::size_t>(width)] = store<T>(static_cast<float>(dense[at]));
  return out;
}
/// The same back; NaN where a gap was written to.
template <class T>
Doubles gathered(const std::vector<T>& rows, std::int64_t width, std::int64_t stride) {
  Doubles out;
  for (std::size_t at = 0; at < rows.size(); ++at)
    if (static_cast<std::int64_t>(at) % stride < width)
      out.push_back(static_cast<double>(load(rows[at])));
    else if (!Guarded<T>::is_sentinel(rows[at]))
      out.push_back(NAN);
  return out;
}

template <class T>
Numbers run(const MixShape& s, const Numbers& from, const std::vector<std::uint32_t>* seen, bool& clean,
            Into into = Into::overwrite) {
  Guarded<float> e(test::stored<float>(from.e)), de(std::vector<float>(from.e.size(), 2.0f));
  Guarded<T> x(spread<T>(from.x, s.width, s.row_stride)), dp(spread<T>(from.dp, s.width, s.mixed_stride));
  Guarded<T> p(dp.size()), dx(x.size());
  Buffer<std::uint32_t> bits(seen ? static_cast<std::int64_t>(seen->size()) : 0, "test");
  if (seen)
    copy_to_device(bits.data(), seen->data(), bits.bytes());
  const std::uint32_t* at = seen ? bits.data() : nullptr;
  mix_rows_forward(s, p.data(), e.data(), x.data(), at);
  mix_rows_backward_rows(s, dx.data(), e.data(), dp.data(), at);
  mix_rows_backward_matrix(s, de.data(), dp.data(), x.data(), at, into);
  clean = p.guards_survive() && dx.guards_survive() && de.guards_survive();
  Numbers got;
  got.p = gathered(p.get(), s.width, s.mixed_stride);
  got.dx = gathered(dx.get(), s.width, s.row_stride);
  got.de = test::widened(de.get());
  return got;
}

TEST(Reference, MixedRowsGradientsAreThoseOfFiniteDifferences) {
  const MixShape s{3, 5, 3, 4, 4, 4};
  const auto seen = some_seen(s);
  const Numbers n = numbers_of<float>(s, seen.data());
  const auto value = [&](const Doubles& e, const Doubles& x) {
    Doubles p(n.p.size());
    reference::mix_rows_forward(s, p.data(), e.data(), x.data(), seen.data());
    return dot(p, n.dp);
  };
  EXPECT_AT_MOST(relative_error(n.dx, finite_difference([&](const Doubles& at) { return value(n.e, at); }, n.x)), 1e-9);
  EXPECT_AT_MOST(relative_error(n.de, finite_difference([&](const Doubles& at) { return value(at, n.x); }, n.e)), 1e-9);
}

TYPED_TEST(MixRows, AreThoseOfTheReference) {
  for (const MixShape& s : shapes)
    for (const bool bits : {false, true}) {
      const auto seen = some_seen(s);
      const Numbers want = numbers_of<TypeParam>(s, bits ? seen.data() : nullptr);
      bool clean = false;
      const Numbers got = run<TypeParam>(s, want, bits ? &seen : nullptr, clean);
      EXPECT_TRUE(clean);
      EXPECT_AT_MOST(relative_error(got.p, want.p), TestFixture::limit) << s.length;
      EXPECT_AT_MOST(relative_error(got.dx, want.dx), TestFixture::limit) << s.length;
      EXPECT_AT_MOST(relative_error(got.de, want.de), 3e-6) << s.length;
      const Numbers added = run<TypeParam>(s, want, bits ? &seen : nullptr, clean, Into::add);
      for (std::size_t i = 0; i < got.de.size(); ++i)
        EXPECT_NEAR(added.de[i], got.de[i] + 2, 1e-5);
    }
}

/// So that Linformer with as many keys as positions and unit matrices is full attention, to the bit: the engine gives
/// keys in rows of their own the bits of a plain call (attention_table_test.cpp).
TYPED_TEST(MixRows, TheUnitMatrixGivesTheRowsBack) {
  const MixShape s{2, 37, 37, 24, 24, 24};
  Numbers n = numbers_of<TypeParam>(s, nullptr);
  for (std::size_t at = 0; at < n.e.size(); ++at)
    n.e[at] = at / 37 == at % 37 ? 1 : 0;
  bool clean = false;
  const Numbers got = run<TypeParam>(s, n, nullptr, clean);
  EXPECT_EQ(got.p, n.x);
  EXPECT_EQ(got.dx, n.dp);
}

TYPED_TEST(MixRows, RowsThatAreNotSeenAreNotRead) {
  for (const MixShape& s : shapes) {
    const auto seen = some_seen(s);
    Numbers n = numbers_of<TypeParam>(s, seen.data());
    bool clean = false;
    const Numbers before = run<TypeParam>(s, n, &seen, clean);
    for (std::size_t at = 0; at < n.x.size(); ++at)
      if (!is_set(seen, s, static_cast<std::int64_t>(at) / s.width))
        n.x[at] = NAN;
    const Numbers after = run<TypeParam>(s, n, &seen, clean);
    EXPECT_EQ(after.p, before.p);
    EXPECT_EQ(after.de, before.de);
  }
}

TYPED_TEST(MixRows, ASequenceHasTheSameBitsAloneAndBesideOthers) {
  const MixShape together = shapes[3];
  MixShape alone = together;
  alone.sequences = 1;
  const Numbers n = numbers_of<TypeParam>(together, nullptr);
  Numbers last = n;
  last.x.assign(n.x.end() - together.length * together.width, n.x.end());
  last.dp.assign(n.dp.end() - together.rank * together.width, n.dp.end());
  bool clean = false;
  const Numbers a = run<TypeParam>(together, n, nullptr, clean), b = run<TypeParam>(alone, last, nullptr, clean);
  EXPECT_EQ(b.p, Doubles(a.p.end() - together.rank * together.width, a.p.end()));
  EXPECT_EQ(b.dx, Doubles(a.dx.end() - together.length * together.width, a.dx.end()));
}

std::string hash_of_all() {
  test::Hash hash;
  for (const MixShape& s : shapes) {
    bool clean = false;
    const Numbers n = run<bf16>(s, numbers_of<bf16>(s, nullptr), nullptr, clean);
    hash.add(n.p, n.dx, n.de);
  }
  return hash.text();
}
TEST(MixRowsThreads, DISABLED_PrintHash) { std::printf("%s\n", hash_of_all().c_str()); }
TEST(MixRowsThreads, AnyNumberGivesTheSameBits) {
  test::expect_from_threads("MixRowsThreads.DISABLED_PrintHash", hash_of_all(), {1, 2, 3});
}

} // namespace
