// What lies in the slots of a sequence: every kind of slots with every kind of positions, and the sinusoid.
#include "kernels/embedding/embedding.hpp"
#include "kernels/embedding/sinusoid.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::same_bits, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(Embedding);

constexpr std::int64_t B = 3, N = 13, V = 400, D = 21; // more tokens than a byte holds

/// One setting, its tables in one array (token, start, positions), its tokens.
struct Case {
  EmbeddingShape shape;
  Coordinates at;
  bool fixed = false;
  Doubles tables;
  std::vector<std::uint16_t> tokens;
  std::vector<float> sinusoid;

  Case(Slots slots, bool front_position, int count, bool with_fixed, float scale, bool axial = false)
      : fixed(with_fixed) {
    shape = {B, N, D, V, slots, front_position, scale};
    if (axial) {
      at.widths[0] = 13;
      at.widths[1] = D - 13;
    }
    at.count = count; // one table of all positions, or a grid of 3 x 5
    at.extents[0] = count == 1 ? N + 1 : 3;
    at.extents[1] = 5;
    tables = rounded<float>(random_doubles((V + 1 + (count > 0 ? at.extents[0] : 0) + (count > 1 ? 5 : 0)) * D, 1));
    for (int i = 0; i < B * N; ++i)
      tokens.push_back(static_cast<std::uint16_t>(i * i * 7 % 11 * 39));
    sinusoid.resize((N + 1) * D);
    fill_sinusoid(sinusoid.data(), N + 1, D);
  }
  std::int64_t outputs() const { return B * shape.count() * D; }
  template <class Pointer>
  EmbeddingTables<Pointer> split(Pointer p, const float* table) const {
    EmbeddingTables<Pointer> t{p, p + V * D, {}, fixed ? table : nullptr};
    t.position[0] = p + (V + 1) * D;
    t.position[1] = t.position[0] + at.extents[0] * at.width(0, D);
    return t;
  }
  Doubles forward(const Doubles& values) const {
    Doubles out(static_cast<std::size_t>(outputs()));
    reference::embedding_forward(out.data(), shape, at, split(values.data(), sinusoid.data()), tokens.data());
    return out;
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Slots slots : {Slots::shifted, Slots::plain, Slots::front})
    for (const bool front_position : {true, false})
      for (const auto& [count, fixed] : {std::pair<int, bool>{0, false}, {0, true}, {1, false}, {2, false}})
        if (slots == Slots::front || front_position)
          all.emplace_back(slots, front_position, count, fixed, count == 1 ? 4.5f : 1.0f);
  for (const Slots slots : {Slots::shifted, Slots::plain}) {
    all.emplace_back(slots, true, 2, false, 4.5f, true);
    // The tables are smaller than those of sums.
    all.back().tables.resize((V + 1) * D + 3 * 13 + 5 * (D - 13));
  }
  return all;
}

TEST(Reference, EmbeddingGradientsAreThoseOfFiniteDifferences) {
  for (const Case& c : cases()) {
    const auto dout = random_doubles(c.outputs(), 2);
    Doubles d(c.tables.size(), 0); // plain slots leave the gradient of the start vector alone
    reference::embedding_backward(c.split(d.data(), nullptr), c.shape, c.at, dout.data(), c.tokens.data());
    // The output is linear in the tables: differences of whole random directions judge all of the gradient.
    for (unsigned seed = 3; seed < 11; ++seed) {
      const auto direction = random_doubles(static_cast<std::int64_t>(d.size()), seed);
      const Doubles slope = finite_difference(
          [&](const Doubles& shift) {
            Doubles moved = c.tables;
            for (std::size_t i = 0; i < moved.size(); ++i)
              moved[i] += shift[0] * direction[i];
            return dot(c.forward(moved), dout);
          },
          {0.0});
      EXPECT_AT_MOST(std::fabs(slope[0] - dot(d, direction)) / std::sqrt(dot(d, d)), 1e-7);
    }
  }
}

TEST(Reference, EmbeddingPutsTokensAndPositionsWhereItSays) {
  const auto slot = [](const Case& c, std::int64_t i) {
    const Doubles out = c.forward(c.tables);
    return out[static_cast<std::size_t>((c.shape.count() + i) * D)]; // of sequence 1, the first number
  };
  for (const Case& c : cases()) {
    if (c.at.count != 1)
      continue;
    const auto t = c.split(c.tables.data(), nullptr);
    const auto token = [&](std::int64_t i) { return 4.5 * t.token[c.tokens[static_cast<std::size_t>(N + i)] * D]; };
    const auto position = [&](std::int64_t p) { return t.position[0][p * D]; };
    if (c.shape.slots == Slots::shifted) {
      EXPECT_EQ(c.shape.count(), N);
      EXPECT_EQ(slot(c, 0), t.start[0]);
      EXPECT_EQ(slot(c, 12), token(11) + position(11));
    } else if (c.shape.slots == Slots::plain) {
      EXPECT_EQ(c.shape.count(), N);
      EXPECT_EQ(slot(c, 0), token(0) + position(0));
      EXPECT_EQ(slot(c, 12), token(12) + position(12));
    } else {
      EXPECT_EQ(c.shape.count(), N + 1);
      EXPECT_EQ(slot(c, 0), c.shape.front_position ? t.start[0] + position(0) : t.start[0]);
      EXPECT_EQ(slot(c, 13), token(12) + position(c.shape.front_position ? 13 : 12));
    }
  }
}

TEST(Reference, AxialPositionsStandSideBySide) {
  const Case c = cases().back();
  ASSERT_TRUE(c.at.axial());
  const Doubles out = c.forward(c.tables);
  const auto t = c.split(c.tables.data(), nullptr);
  const std::int64_t i = 7; // coordinates (1, 2) of 3 x 5
  const double* slot = out.data() + i * D;
  const double* token = t.token + c.tokens[static_cast<std::size_t>(i)] * D;
  EXPECT_EQ(slot[12], 4.5 * token[12] + t.position[0][1 * 13 + 12]);
  EXPECT_EQ(slot[13], 4.5 * token[13] + t.position[1][2 * (D - 13)]);
}

TYPED_TEST(Embedding, FollowsTheReference) {
  for (const Case& c : cases()) {
    const auto dout = rounded<TypeParam>(random_doubles(c.outputs(), 2));
    const Doubles out = c.forward(c.tables);
    Doubles d(c.tables.size(), 0);
    reference::embedding_backward(c.split(d.data(), nullptr), c.shape, c.at, dout.data(), c.tokens.data());
    Guarded<float> tables(test::stored<float>(c.tables)), table(c.sinusoid),
        got_d(test::stored<float>(Doubles(d.size(), NAN)));
    Guarded<TypeParam> from(test::stored<TypeParam>(dout)), got(out.size());
    Buffer<std::uint16_t> tokens(B * N, "test");
    copy_to_device(tokens.data(), c.tokens.data(), tokens.bytes());
    const auto on_device = c.split(static_cast<const float*>(tables.data()), table.data());
    embedding_forward(got.data(), c.shape, c.at, on_device, tokens.data());
    embedding_backward(c.split(got_d.data(), nullptr), c.shape, c.at, from.data(), tokens.data());
    EXPECT_AT_MOST(relative_error(widened(got.get()), out), this->limit);
    Doubles gradient = widened(got_d.get());
    if (c.shape.slots == Slots::plain)
      for (std::size_t j = V * D; j < (V + 1) * D; ++j) {
        EXPECT_TRUE(std::isnan(gradient[j])); // not touched
        gradient[j] = 0;
      }
    EXPECT_AT_MOST(relative_error(gradient, d), 3e-6);
    EXPECT_TRUE(got.guards_survive() && got_d.guards_survive());
    // Slot by slot: the same bits.
    const std::vector<TypeParam> whole = got.get();
    Guarded<TypeParam> slot(B * D);
    for (std::int64_t i = 0; i < c.shape.count(); ++i) {
      std::vector<std::uint16_t> of(B, 0xffff);
      std::vector<TypeParam> want;
      for (std::int64_t b = 0; b < B; ++b) {
        if (c.shape.token_of(i) >= 0)
          of[static_cast<std::size_t>(b)] = c.tokens[static_cast<std::size_t>(b * N + c.shape.token_of(i))];
        const auto begin = whole.begin() + static_cast<std::ptrdiff_t>((b * c.shape.count() + i) * D);
        want.insert(want.end(), begin, begin + D);
      }
      copy_to_device(tokens.data(), of.data(), B * sizeof(std::uint16_t));
      embedding_slot(slot.data(), c.shape, c.at, on_device, tokens.data(), i);
      ASSERT_TRUE(same_bits(slot.get(), want)) << i;
    }
    EXPECT_TRUE(slot.guards_survive());
  }
}

TEST(Sinusoid, IsSineOnEvenAndCosineOnOddColumns) {
  const std::int64_t n = 1001;
  for (const std::int64_t width : {4, 7}) {
    std::vector<float> table(static_cast<std::size_t>(n * width), NAN);
    fill_sinusoid(table.data(), n, width);
    double worst = 0;
    for (std::int64_t p = 0; p < n; ++p)
      for (std::int64_t j = 0; j < width; ++j) {
        const double wavelength = std::pow(10000.0, 2 * static_cast<double>(j / 2) / static_cast<double>(width));
        const double angle = static_cast<double>(p) / wavelength, want = j % 2 ? std::cos(angle) : std::sin(angle);
        worst = std::max(worst, std::fabs(static_cast<double>(table[static_cast<std::size_t>(p * width + j)]) - want));
      }
    EXPECT_AT_MOST(worst, 1e-7);
  }
  std::vector<float> table(2 * 4);
  fill_sinusoid(table.data(), 2, 4); // position 1, width 4: sin 1, cos 1, sin 0.01, cos 0.01
  EXPECT_NEAR(table[4], 0.841471, 1e-6);
  EXPECT_NEAR(table[5], 0.540302, 1e-6);
  EXPECT_NEAR(table[6], 0.0099998, 1e-7);
  EXPECT_NEAR(table[7], 0.99995, 1e-6);
}

} // namespace
