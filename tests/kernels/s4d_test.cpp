// The diagonal state space model: the reference, which is a convolution, against finite differences and a recurrence,
// the kernels against the reference, and what a row must not see.
#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/s4d.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/seen_rows.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <algorithm>
#include <complex>
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(S4dOf);

// One row, one lane short of two groups, modes with and without a rest; chunks, quads and spans with and without a
// rest.
const S4dShape shapes[] = {{1, 1, 1, 1, 1},   {2, 5, 3, 2, 2},    {2, 64, 15, 3, 1},
                           {3, 70, 8, 9, 2},  {1, 131, 9, 4, 1},  {1, 300, 4, 8, 2},
                           {2, 513, 3, 2, 1}, {1, 1100, 5, 3, 2}, {1, 150, 2, 35, 2}};

std::string text(const S4dShape& d) {
  return std::to_string(d.sequences) + " sequences of " + std::to_string(d.length) + " rows, " +
         std::to_string(d.width) + " channels, " + std::to_string(d.modes) + " modes, " + std::to_string(d.directions) +
         " directions";
}

/// One vector for each argument of the operation.
struct Values {
  Doubles x, dy, decay, angle, step, c, skip;

  S4dTensors<const double*> tensors() const { return {decay.data(), angle.data(), step.data(), c.data(), skip.data()}; }
};

/// Decays around 0.5, angles of multiples of pi and between, steps from 0.003 to 0.3.
template <class T>
Values values_of(const S4dShape& d, unsigned seed = 1) {
  const std::int64_t R = d.sequences * d.length;
  std::mt19937 random(seed + 2);
  const auto uniform = [&](double low, double high) { return low + (high - low) * (random() / 4294967296.0); };
  Values v{rounded<T>(random_doubles(R * d.width, seed)),
           rounded<T>(random_doubles(R * d.width, seed + 1)),
           {},
           {},
           {},
           rounded<float>(random_doubles(d.directions * d.width * d.modes * 2, seed + 3)),
           rounded<float>(random_doubles(d.width, seed + 4))};
  for (std::int64_t j = 0; j < d.width; ++j) {
    v.step.push_back(std::log(0.003) + uniform(0, std::log(100.0)));
    for (std::int64_t m = 0; m < d.modes; ++m) {
      v.decay.push_back(std::log(0.5) + uniform(-0.5, 0.5));
      v.angle.push_back(3.14159 * (static_cast<double>(m) + uniform(-0.3, 0.3)));
    }
  }
  v.decay = rounded<float>(v.decay);
  v.angle = rounded<float>(v.angle);
  v.step = rounded<float>(v.step);
  return v;
}

std::vector<std::uint32_t> some_seen(const S4dShape& d) { return test::some_seen(d.sequences, d.length); }
Doubles spoilt(const Doubles& x, const std::vector<std::uint32_t>& seen, const S4dShape& d, double with = NAN) {
  return test::spoilt_rows(x, seen, d.sequences, d.length, with);
}

struct Result {
  Doubles y, dx, decay, angle, step, c, skip;
  bool clean = true;
};

Result reference_of(const S4dShape& d, const Values& v, const std::uint32_t* seen) {
  const auto like = [](const Doubles& x) { return Doubles(x.size(), NAN); };
  Result r{like(v.x), like(v.x), like(v.decay), like(v.angle), like(v.step), like(v.c), like(v.skip)};
  reference::s4d_forward(d, r.y.data(), v.x.data(), seen, v.tensors());
  reference::s4d_backward(d, r.dx.data(), {r.decay.data(), r.angle.data(), r.step.data(), r.c.data(), r.skip.data()},
                          v.dy.data(), v.x.data(), seen, v.tensors());
  return r;
}

template <class T>
Result kernels_of(const S4dShape& d, const Values& v, const std::vector<std::uint32_t>* seen = nullptr) {
  Guarded<T> x(test::stored<T>(v.x)), dy(test::stored<T>(v.dy)), y(v.x.size()), dx(v.x.size());
  std::vector<Guarded<float>> tensors, gradients;
  for (const Doubles* from : {&v.decay, &v.angle, &v.step, &v.c, &v.skip}) {
    tensors.emplace_back(test::stored<float>(*from));
    gradients.emplace_back(from->size());
  }
  Guarded<float> workspace(static_cast<std::size_t>(s4d_workspace(d)));
  const Buffer<std::uint32_t> bits = buffer_of(seen ? *seen : std::vector<std::uint32_t>(1));
  const std::uint32_t* words = seen ? bits.data() : nullptr;
  const S4dTensors<const float*> of{tensors[0].data(), tensors[1].data(), tensors[2].data(), tensors[3].data(),
                                    tensors[4].data()};
  s4d_forward(d, y.data(), x.data(), words, of, workspace.data());
  s4d_backward(
      d, dx.data(),
      {gradients[0].data(), gradients[1].data(), gradients[2].data(), gradients[3].data(), gradients[4].data()},
      dy.data(), x.data(), words, of, workspace.data());
  bool clean = x.guards_survive() && dy.guards_survive() && y.guards_survive() && dx.guards_survive() &&
               workspace.guards_survive();
  for (const auto* list : {&tensors, &gradients})
    for (const Guarded<float>& one : *list)
      clean = clean && one.guards_survive();
  return {widened(y.get()),
          widened(dx.get()),
          widened(gradients[0].get()),
          widened(gradients[1].get()),
          widened(gradients[2].get()),
          widened(gradients[3].get()),
          widened(gradients[4].get()),
          clean};
}

TEST(Reference, S4dGradientsAreThoseOfFiniteDifferences) {
  for (const std::int64_t directions : {1, 2})
    for (const bool masked : {false, true}) {
      const S4dShape d{2, 9, 3, 2, directions};
      const Values v = values_of<float>(d);
      const auto seen = some_seen(d);
      const std::uint32_t* bits = masked ? seen.data() : nullptr;
      const Result got = reference_of(d, v, bits);
      const auto check = [&](const Doubles& gradient, Doubles Values::*of, const char* name) {
        const Doubles want = finite_difference_by(of, v, [&](const Values& at) {
          Doubles y(v.x.size());
          reference::s4d_forward(d, y.data(), at.x.data(), bits, at.tensors());
          return dot(y, v.dy);
        });
        EXPECT_AT_MOST(relative_error(gradient, want), 1e-9) << name;
      };
      check(got.dx, &Values::x, "x");
      check(got.decay, &Values::decay, "decay");
      check(got.angle, &Values::angle, "angle");
      check(got.step, &Values::step, "step");
      check(got.c, &Values::c, "c");
      check(got.skip, &Values::skip, "skip");
    }
}

/// The recurrence, state by state, from both ends.
template <class Number>
Doubles recurrence(const S4dShape& d, const Values& v) {
  using Complex = std::complex<Number>;
  Doubles y(v.x.size());
  for (std::int64_t s = 0; s < d.sequences; ++s)
    for (std::int64_t j = 0; j < d.width; ++j)
      for (std::int64_t k = 0; k < d.directions; ++k) {
        std::vector<Complex> h(static_cast<std::size_t>(d.modes));
        for (std::int64_t step = 0; step < d.length; ++step) {
          const std::int64_t t = k == 0 ? step : d.length - 1 - step;
          const std::size_t at = static_cast<std::size_t>((s * d.length + t) * d.width + j);
          Number sum = k == 0 ? static_cast<Number>(v.skip[static_cast<std::size_t>(j)] * v.x[at]) : 0;
          for (std::int64_t m = 0; m < d.modes; ++m) {
            const std::size_t i = static_cast<std::size_t>(j * d.modes + m);
            const std::size_t of = static_cast<std::size_t>(((k * d.width + j) * d.modes + m) * 2);
            const std::complex<double> a(-std::exp(v.decay[i]), v.angle[i]);
            const std::complex<double> lambda = std::exp(std::exp(v.step[static_cast<std::size_t>(j)]) * a);
            Complex& state = h[static_cast<std::size_t>(m)];
            state = Complex(lambda) * state + Complex(static_cast<Number>(v.x[at]));
            const std::complex<double> w = 2.0 * std::complex<double>(v.c[of], v.c[of + 1]) * (lambda - 1.0) / a;
            sum += (Complex(w) * state).real();
          }
          y[at] += static_cast<double>(sum);
        }
      }
  return y;
}

TEST(Reference, S4dConvolutionIsTheRecurrence) {
  for (const S4dShape& d : {S4dShape{2, 150, 3, 4, 2}, S4dShape{1, 600, 2, 3, 1}}) {
    const Values v = values_of<float>(d);
    Doubles got(v.x.size());
    reference::s4d_forward(d, got.data(), v.x.data(), nullptr, v.tensors());
    EXPECT_AT_MOST(relative_error(got, recurrence<double>(d, v)), 1e-12) << text(d);
    EXPECT_AT_MOST(relative_error(kernels_of<float>(d, v).y, recurrence<double>(d, v)), 1e-6) << text(d);
  }
}

TYPED_TEST(S4dOf, EveryCaseFollowsTheReferenceAndReadsSeenRowsOnly) {
  for (const S4dShape& d : shapes)
    for (const bool masked : {false, true}) {
      SCOPED_TRACE(text(d) + (masked ? ", masked" : ""));
      Values v = values_of<TypeParam>(d);
      const auto seen = some_seen(d);
      const Result want = reference_of(d, v, masked ? seen.data() : nullptr);
      if (masked) {
        v.x = spoilt(v.x, seen, d);
        v.dy = spoilt(v.dy, seen, d);
      }
      const Result got = kernels_of<TypeParam>(d, v, masked ? &seen : nullptr);
      EXPECT_TRUE(got.clean);
      const double limit = std::is_same_v<TypeParam, float> ? 1e-6 : this->limit;
      EXPECT_AT_MOST(relative_error(got.y, want.y), limit);
      EXPECT_AT_MOST(relative_error(got.dx, want.dx), limit);
      EXPECT_AT_MOST(relative_error(got.decay, want.decay), 3e-6);
      EXPECT_AT_MOST(relative_error(got.angle, want.angle), 3e-6);
      EXPECT_AT_MOST(relative_error(got.step, want.step), 1e-5); // sums over modes that cancel
      EXPECT_AT_MOST(relative_error(got.c, want.c), 3e-6);
      EXPECT_AT_MOST(relative_error(got.skip, want.skip), 3e-6);
      if (masked) {
        EXPECT_EQ(spoilt(got.y, seen, d, 0), got.y);
        EXPECT_EQ(spoilt(got.dx, seen, d, 0), got.dx);
      }
    }
}

TEST(S4d, LongMemoryFollowsTheReference) {
  // Powers are rounded once: what a state remembers over 5,000 positions is as exact as what it read just now.
  const S4dShape d{1, 2000, 2, 3, 2};
  Values v = values_of<float>(d);
  v.step = rounded<float>({std::log(1e-3), std::log(1e-4)});
  v.decay = rounded<float>(Doubles(v.decay.size(), std::log(0.2)));
  const Result want = reference_of(d, v, nullptr), got = kernels_of<float>(d, v);
  EXPECT_AT_MOST(relative_error(got.y, want.y), 1e-6);
  EXPECT_AT_MOST(relative_error(got.dx, want.dx), 1e-6);
  EXPECT_AT_MOST(relative_error(got.decay, want.decay), 1e-5);
  EXPECT_AT_MOST(relative_error(got.angle, want.angle), 1e-5);
  EXPECT_AT_MOST(relative_error(got.step, want.step), 1e-5);
}

TEST(S4d, AModeThatHardlyDecaysAndDoesNotTurnIsASum) {
  // (exp(dt A) - 1) / A is dt there: a difference of near numbers would leave nothing of it.
  const S4dShape d{1, 200, 1, 1, 1};
  Values v = values_of<float>(d);
  v.decay = {-40};
  v.angle = {0};
  v.step = {0};
  v.c = {0.5, 0};
  v.skip = {0};
  const Doubles y = kernels_of<float>(d, v).y;
  double sum = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    sum += v.x[i];
    ASSERT_NEAR(y[i], sum, 1e-4) << i;
  }
}

TEST(S4d, WhatHasDecayedIsZero) {
  // Of one number that is forgotten within a few chunks; not a smaller one than fp32 has digits for, which takes long.
  for (const double decay : {0.1, 0.36, 0.7, 2.0, 9.0}) {
    const S4dShape d{1, 1000, 1, 1, 1};
    Values v = values_of<float>(d);
    v.decay = {std::log(decay)};
    v.angle = {1};
    v.step = v.skip = {0};
    v.c = {0.5, 0};
    std::fill(v.x.begin() + 1, v.x.end(), 0.0);
    v.x[0] = 1;
    const Doubles y = kernels_of<float>(d, v).y;
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_TRUE(y[i] == 0 || std::abs(y[i]) >= 1.2e-38) << decay << " " << i << " " << y[i];
    EXPECT_EQ(y.back(), 0) << decay;
  }
}

TEST(S4d, ReversedInputSwapsTheDirections) {
  const S4dShape d{2, 150, 9, 3, 2};
  const Values v = values_of<float>(d);
  const auto turned = [&](const Doubles& x) {
    Doubles out(x.size());
    for (std::size_t row = 0; row < 300; ++row)
      for (std::size_t j = 0; j < 9; ++j)
        out[row * 9 + j] = x[(row / 150 * 150 + 149 - row % 150) * 9 + j];
    return out;
  };
  const auto swapped = [](Doubles c) {
    std::rotate(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(c.size() / 2), c.end());
    return c;
  };
  Values mirrored = v;
  mirrored.x = turned(v.x);
  mirrored.dy = turned(v.dy);
  mirrored.c = swapped(v.c);
  const Result a = kernels_of<float>(d, v), b = kernels_of<float>(d, mirrored);
  EXPECT_AT_MOST(relative_error(turned(b.y), a.y), 1e-6);
  EXPECT_AT_MOST(relative_error(turned(b.dx), a.dx), 1e-6);
  EXPECT_AT_MOST(relative_error(swapped(b.c), a.c), 3e-6);
  EXPECT_AT_MOST(relative_error(b.decay, a.decay), 3e-6);
  EXPECT_AT_MOST(relative_error(b.angle, a.angle), 3e-6);
  EXPECT_AT_MOST(relative_error(b.step, a.step), 3e-6);
}

TYPED_TEST(S4dOf, FromTheFrontAloneNothingLeaksBack) {
  const S4dShape d{1, 200, 9, 3, 1};
  const Values v = values_of<TypeParam>(d);
  const Result whole = kernels_of<TypeParam>(d, v);
  for (const std::size_t from : {1, 2, 63, 64, 65, 130, 199}) {
    Values spoilt_tail = v, spoilt_head = v;
    std::fill(spoilt_tail.x.begin() + static_cast<std::ptrdiff_t>(from * 9), spoilt_tail.x.end(), NAN);
    std::fill_n(spoilt_head.dy.begin(), from * 9, NAN);
    const Doubles y = kernels_of<TypeParam>(d, spoilt_tail).y, dx = kernels_of<TypeParam>(d, spoilt_head).dx;
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(std::isnan(y[i]), i >= from * 9) << i;
      ASSERT_TRUE(i >= from * 9 || y[i] == whole.y[i]) << i;
      ASSERT_EQ(std::isnan(dx[i]), i < from * 9) << i;
      ASSERT_TRUE(i < from * 9 || dx[i] == whole.dx[i]) << i;
    }
  }
}

TYPED_TEST(S4dOf, ShowsNanInItsChannelAndSequenceOnly) {
  for (const std::int64_t directions : {1, 2}) {
    const S4dShape d{2, 100, 9, 3, directions};
    Values v = values_of<TypeParam>(d);
    v.x[70 * 9 + 4] = NAN;          // sequence 0, channel 4
    v.dy[(100 + 30) * 9 + 7] = NAN; // sequence 1, channel 7
    const Result r = kernels_of<TypeParam>(d, v);
    for (std::size_t i = 0; i < r.y.size(); ++i) {
      const std::size_t row = i / 9, j = i % 9;
      ASSERT_EQ(std::isnan(r.y[i]), j == 4 && row < 100 && (directions == 2 || row >= 70)) << i;
      ASSERT_EQ(std::isnan(r.dx[i]), j == 7 && row >= 100 && (directions == 2 || row <= 130)) << i;
    }
    for (std::size_t j = 0; j < 9; ++j) {
      EXPECT_EQ(std::isnan(r.step[j]), j == 4 || j == 7) << j;
      EXPECT_EQ(std::isnan(r.skip[j]), j == 4 || j == 7) << j;
      for (std::size_t m = 0; m < 3; ++m) {
        EXPECT_EQ(std::isnan(r.decay[j * 3 + m]), j == 4 || j == 7) << j;
        EXPECT_EQ(std::isnan(r.angle[j * 3 + m]), j == 4 || j == 7) << j;
        EXPECT_EQ(std::isnan(r.c[(j * 3 + m) * 2]), j == 4 || j == 7) << j;
      }
    }
  }
}

TYPED_TEST(S4dOf, PaddedSequencesHaveTheBitsOfShortOnes) {
  for (const std::int64_t length : {1, 64, 90, 128, 600})
    for (const std::int64_t directions : {1, 2}) {
      const std::int64_t N = 700;
      const S4dShape shorter{1, length, 9, 3, directions}, d{3, N, 9, 3, directions};
      Values v = values_of<TypeParam>(d), one = v;
      std::vector<std::uint32_t> seen(static_cast<std::size_t>(3 * seen_words(N)), ~0u);
      for (std::int64_t i = length; i < N; ++i)
        seen[static_cast<std::size_t>(seen_words(N) + i / 32)] &= ~(1u << (i % 32));
      // Sequence 1 of three.
      const auto first = [](const Doubles& x) { return x.begin() + static_cast<std::ptrdiff_t>(x.size() / 3); };
      for (Doubles Values::*of : {&Values::x, &Values::dy}) {
        const auto from = first(v.*of);
        (one.*of).assign(from, from + static_cast<std::ptrdiff_t>(9 * length));
        v.*of = spoilt(v.*of, seen, d);
      }
      const Result padded = kernels_of<TypeParam>(d, v, &seen), ragged = kernels_of<TypeParam>(shorter, one);
      EXPECT_TRUE(std::equal(ragged.y.begin(), ragged.y.end(), first(padded.y))) << length;
      EXPECT_TRUE(std::equal(ragged.dx.begin(), ragged.dx.end(), first(padded.dx))) << length;
    }
}

TEST(S4dMemory, HoldsNoStatesButAtTheBordersOfChunks) {
  // Floats for each number of x, tables aside, which do not grow with the length.
  const std::int64_t one = s4d_workspace({1, 16384, 64, 32, 2}), two = s4d_workspace({1, 32768, 64, 32, 2});
  EXPECT_LE(two - one, 16384 * 64 * 5);
  EXPECT_EQ(s4d_workspace({1, 16384, 64, 32, 1}), s4d_workspace({1, 16384, 63, 32, 1})) << "whole vectors";
}

std::string bits() {
  test::Hash hash;
  for (const S4dShape& d : shapes) {
    const Result r = kernels_of<bf16>(d, values_of<bf16>(d));
    hash.add(r.y, r.dx, r.decay, r.angle, r.step, r.c, r.skip);
  }
  return hash.text();
}

TEST(S4dBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(S4dBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("S4dBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
