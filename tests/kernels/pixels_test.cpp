// Grey values as rows: the reference against finite differences, the kernels against the reference.
#include "kernels/embedding/pixels.hpp"
#include "tests/kernels/kernel_test.hpp"
#include <cstdio>

namespace {

WEFT_STORAGE_SUITE(Pixels);

const PixelShape shapes[] = {{1, 1, 0.5f, 0.5f}, {5, 7, 0.48f, 0.24f}, {64, 32, 0.5f, 0.5f}, {131, 300, 0.25f, 1}};

std::vector<std::uint16_t> tokens_of(const PixelShape& s) {
  std::mt19937 random(3);
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(s.rows));
  for (std::uint16_t& token : tokens)
    token = static_cast<std::uint16_t>(random() % 256);
  return tokens;
}

TEST(Reference, PixelsAreNormalised) {
  const std::uint16_t tokens[] = {0, 255, 51};
  const Doubles w = {2}, b = {1};
  Doubles out(3);
  reference::pixels_forward({3, 1, 0.5f, 0.25f}, out.data(), tokens, w.data(), b.data());
  EXPECT_AT_MOST(relative_error(out, {-3, 5, -1.4}), 1e-15);
}

TEST(Reference, PixelGradientsAreThoseOfFiniteDifferences) {
  const PixelShape s{4, 3, 0.48f, 0.24f};
  const auto tokens = tokens_of(s);
  const Doubles w = random_doubles(3, 1), b = random_doubles(3, 2), dout = random_doubles(12, 4);
  Doubles dw(3, NAN), db(3, NAN);
  reference::pixels_backward(s, dw.data(), db.data(), dout.data(), tokens.data());
  const auto loss = [&](const Doubles& slope, const Doubles& shift) {
    Doubles out(12);
    reference::pixels_forward(s, out.data(), tokens.data(), slope.data(), shift.data());
    return dot(out, dout);
  };
  EXPECT_AT_MOST(relative_error(dw, finite_difference([&](const Doubles& x) { return loss(x, b); }, w)), 1e-9);
  EXPECT_AT_MOST(relative_error(db, finite_difference([&](const Doubles& x) { return loss(w, x); }, b)), 1e-9);
}

struct Result {
  Doubles out, dw, db;
  bool clean;
};
template <class T>
Result kernels_of(const PixelShape& s, const Doubles& dout) {
  const Buffer<std::uint16_t> tokens = buffer_of(tokens_of(s));
  Guarded<float> w(test::stored<float>(random_doubles(s.width, 1))), b(test::stored<float>(random_doubles(s.width, 2))),
      dw(w.size()), db(w.size()), partial(static_cast<std::size_t>(pixels_workspace(s)));
  Guarded<T> d(test::stored<T>(dout)), out(dout.size());
  pixels_forward<T>(s, out.data(), tokens.data(), w.data(), b.data());
  pixels_backward<T>(s, dw.data(), db.data(), d.data(), tokens.data(), partial.data());
  return {widened(out.get()), widened(dw.get()), widened(db.get()),
          out.guards_survive() && dw.guards_survive() && db.guards_survive() && partial.guards_survive()};
}

TYPED_TEST(Pixels, FollowTheReference) {
  for (const PixelShape& s : shapes) {
    const Doubles w = rounded<float>(random_doubles(s.width, 1)), b = rounded<float>(random_doubles(s.width, 2)),
                  dout = rounded<TypeParam>(random_doubles(s.rows * s.width, 4));
    const auto tokens = tokens_of(s);
    Doubles out(dout.size()), dw(w.size()), db(w.size());
    reference::pixels_forward(s, out.data(), tokens.data(), w.data(), b.data());
    reference::pixels_backward(s, dw.data(), db.data(), dout.data(), tokens.data());
    const Result got = kernels_of<TypeParam>(s, dout);
    EXPECT_TRUE(got.clean);
    EXPECT_AT_MOST(relative_error(got.out, out), this->limit);
    EXPECT_AT_MOST(relative_error(got.dw, dw), 3e-6);
    EXPECT_AT_MOST(relative_error(got.db, db), 3e-6);
  }
}

TYPED_TEST(Pixels, ShowNanInItsOwnColumnOnly) {
  const PixelShape s{70, 9, 0.5f, 0.5f};
  Doubles dout = random_doubles(630, 4);
  dout[66 * 9 + 4] = NAN;
  const Result got = kernels_of<TypeParam>(s, dout);
  for (std::size_t j = 0; j < 9; ++j) {
    EXPECT_EQ(std::isnan(got.dw[j]), j == 4);
    EXPECT_EQ(std::isnan(got.db[j]), j == 4);
  }
}

std::string bits() {
  test::Hash hash;
  for (const PixelShape& s : shapes) {
    const Result r = kernels_of<bf16>(s, random_doubles(s.rows * s.width, 4));
    hash.add(r.out, r.dw, r.db);
  }
  return hash.text();
}

TEST(PixelsBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(PixelsBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("PixelsBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
