// Promise: padded queries of the arena's released form have the mean of all values, and its derivative.
#include "kernels/attention/padded_rows.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

struct Problem {
  std::int64_t B, N, H, E, sets = 1;
  std::int64_t C() const { return H * E; }
  AttentionShape shape() const { return {B, N, H, E, E, 3 * C() + 1, C() + 2}; }
};
const Problem problems[] = {{1, 1, 1, 1},    {3, 7, 2, 3},       {2, 70, 3, 40},
                            {3, 8, 2, 3, 4}, {2, 70, 3, 40, 14}, {2, 9, 1, 3, 9}};

std::vector<std::uint32_t> some_seen(const Problem& p) {
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(p.B * ((p.N + 31) / 32)), 0);
  for (std::int64_t b = 0; b < p.B; ++b)
    for (std::int64_t i = 0; i < p.N; ++i)
      if (b != 1 && (i * 7 + b) % 3 != 0) // the second sequence is padding throughout
        seen[static_cast<std::size_t>(b * ((p.N + 31) / 32) + i / 32)] |= 1u << (i % 32);
  return seen;
}
bool real(const std::vector<std::uint32_t>& seen, const Problem& p, std::int64_t row) {
  const std::int64_t b = row / p.N, i = row % p.N;
  return (seen[static_cast<std::size_t>(b * ((p.N + 31) / 32) + i / 32)] >> (i % 32) & 1u) != 0;
}
/// (B N, stride) with `dense` (B N, C) in the first columns and 9 in the gaps.
Doubles strided(const Doubles& dense, std::int64_t width, std::int64_t stride) {
  Doubles out;
  for (std::size_t row = 0; row < dense.size() / static_cast<std::size_t>(width); ++row)
    for (std::int64_t j = 0; j < stride; ++j)
      out.push_back(j < width ? dense[row * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)] : 9.0);
  return out;
}

TEST(Reference, PaddedRowsGradientIsThatOfFiniteDifferences) {
  for (const Problem& p : {problems[1], problems[3]}) {
    const auto seen = some_seen(p);
    const auto n = static_cast<std::size_t>(p.B * p.N * p.C());
    const Doubles v = random_doubles(static_cast<std::int64_t>(n), 1),
                  dout = random_doubles(static_cast<std::int64_t>(n), 2);
    Doubles dv(n, 0), direction = random_doubles(static_cast<std::int64_t>(n), 3);
    reference::padded_rows_backward(dv.data(), dout.data(), seen.data(), p.B, p.N, p.C(), p.sets);
    const auto at = [&](double h) {
      Doubles moved = v, out(n, 0);
      for (std::size_t i = 0; i < n; ++i)
        moved[i] += h * direction[i];
      reference::padded_rows_forward(out.data(), moved.data(), seen.data(), p.B, p.N, p.C(), p.sets);
      return dot(out, dout);
    };
    const double h = 1e-3, slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    EXPECT_AT_MOST(std::abs(slope - dot(dv, direction)) / std::abs(slope), 1e-9);
  }
}

template <class T>
struct PaddedRows : ::testing::Test {
  static constexpr double limit = std::is_same_v<T, float> ? 1e-6 : std::is_same_v<T, bf16> ? 8e-3 : 1e-3;
};
using Types = ::testing::Types<float, bf16, fp16>;
TYPED_TEST_SUITE(PaddedRows, Types);

TYPED_TEST(PaddedRows, AreThoseOfTheReferenceAndTheOthersStay) {
  using T = TypeParam;
  for (const Problem& p : problems) {
    const AttentionShape s = p.shape();
    const auto seen = some_seen(p);
    Buffer<std::uint32_t> bits(static_cast<std::int64_t>(seen.size()), "test");
    copy_to_device(bits.data(), seen.data(), bits.bytes());
    const std::int64_t n = p.B * p.N * p.C();
    const Doubles v = rounded<T>(random_doubles(n, 1)), before = rounded<T>(random_doubles(n, 2));
    Buffer<float> workspace(padded_rows_workspace(s, p.sets), "test");
    Buffer<T> values = to_device<T>(strided(v, p.C(), s.row_stride_qkv)),
              out = to_device<T>(strided(before, p.C(), s.row_stride_out));
    padded_rows_forward(s, out.data(), values.data(), bits.data(), workspace.data(), p.sets);
    Doubles want = before;
    reference::padded_rows_forward(want.data(), v.data(), seen.data(), p.B, p.N, p.C(), p.sets);
    EXPECT_AT_MOST(relative_error(to_doubles(out), strided(want, p.C(), s.row_stride_out)), TestFixture::limit);
    // Backward: dout's padded rows are taken away and come back as a share of every dv.
    Buffer<T> dout = to_device<T>(strided(before, p.C(), s.row_stride_out)),
              dv = to_device<T>(strided(v, p.C(), s.row_stride_qkv));
    padded_rows_take(s, dout.data(), bits.data(), workspace.data(), p.sets);
    padded_rows_give(s, dv.data(), workspace.data(), p.sets);
    Buffer<T> cleared = to_device<T>(strided(before, p.C(), s.row_stride_out));
    padded_rows_clear(s, cleared.data(), bits.data());
    EXPECT_EQ(to_doubles(cleared), to_doubles(dout)) << "zeros in the same rows";
    Doubles left = before, given = v;
    for (std::int64_t row = 0; row < p.B * p.N; ++row)
      for (std::int64_t c = 0; c < p.C() && !real(seen, p, row); ++c)
        left[static_cast<std::size_t>(row * p.C() + c)] = 0;
    reference::padded_rows_backward(given.data(), before.data(), seen.data(), p.B, p.N, p.C(), p.sets);
    EXPECT_EQ(to_doubles(dout), strided(left, p.C(), s.row_stride_out));
    EXPECT_AT_MOST(relative_error(to_doubles(dv), strided(given, p.C(), s.row_stride_qkv)), TestFixture::limit);
  }
}

} // namespace
