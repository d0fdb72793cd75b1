// The damped moving average: the reference against finite differences, the scans against the reference, which is a
// convolution, and what a row must not see.
#include "kernels/ema/ema.hpp"
#include "kernels/pool/pool.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(EmaOf);

// One row, one lane short of two groups, chunks and spans with and without a rest, states that fill no registers.
const EmaShape shapes[] = {{1, 1, 1, 1, 1},    {2, 5, 3, 16, 2},   {2, 64, 15, 4, 1},  {3, 70, 8, 16, 2},
                           {1, 131, 20, 3, 2}, {2, 513, 9, 16, 1}, {1, 1100, 8, 16, 2}};

std::string text(const EmaShape& e) {
  return std::to_string(e.sequences) + " sequences of " + std::to_string(e.length) + " rows of " +
         std::to_string(e.width) + ", " + std::to_string(e.states) + " states, " + std::to_string(e.directions) +
         " directions";
}

/// One vector for each argument of the operation.
struct Values {
  Doubles x, dout, delta, alpha, beta, gamma, omega;

  EmaTensors<const double*> tensors() const {
    return {delta.data(), alpha.data(), beta.data(), gamma.data(), omega.data()};
  }
};

/// Averages that decay within a few rows and within hundreds.
template <class T>
Values values_of(const EmaShape& e, unsigned seed = 1) {
  const std::int64_t rows = e.sequences * e.length * e.width, n = e.directions * e.width * e.states;
  Values v{rounded<T>(random_doubles(rows, seed)),           rounded<T>(random_doubles(rows, seed + 1)),
           rounded<float>(random_doubles(n, seed + 2, 2)),   rounded<float>(random_doubles(n, seed + 3, 1)),
           rounded<float>(random_doubles(n, seed + 4)),      rounded<float>(random_doubles(n, seed + 5)),
           rounded<float>(random_doubles(e.width, seed + 6))};
  return v;
}

/// Bits: sequence s of three is real up to a length, real here and there, all real. Bits from N on are set.
std::vector<std::uint32_t> some_seen(const EmaShape& e) {
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(e.sequences * seen_words(e.length)), 0);
  for (std::int64_t s = 0; s < e.sequences; ++s)
    for (std::int64_t i = 0; i < 32 * seen_words(e.length); ++i)
      if (i >= e.length || (s % 3 == 0 ? 3 * i < 2 * e.length : s % 3 == 2 || i % 5 != 2))
        seen[static_cast<std::size_t>(s * seen_words(e.length) + i / 32)] |= 1u << (i % 32);
  return seen;
}
bool is_set(const std::vector<std::uint32_t>& seen, const EmaShape& e, std::size_t row) {
  const std::size_t N = static_cast<std::size_t>(e.length), i = row % N;
  return (seen[row / N * static_cast<std::size_t>(seen_words(e.length)) + i / 32] >> (i % 32) & 1u) != 0;
}
Doubles spoilt(Doubles x, const std::vector<std::uint32_t>& seen, const EmaShape& e, double with = NAN) {
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!is_set(seen, e, i / static_cast<std::size_t>(e.width)))
      x[i] = with;
  return x;
}

struct Result {
  Doubles out, dx, delta, alpha, beta, gamma, omega;
  bool clean = true;
};

Result reference_of(const EmaShape& e, const Values& v, const std::uint32_t* seen) {
  const auto like = [](const Doubles& x) { return Doubles(x.size(), NAN); };
  Result r{like(v.x), like(v.x), like(v.delta), like(v.alpha), like(v.beta), like(v.gamma), like(v.omega)};
  reference::ema_forward(e, r.out.data(), v.x.data(), seen, v.tensors());
  const EmaTensors<double*> d{r.delta.data(), r.alpha.data(), r.beta.data(), r.gamma.data(), r.omega.data()};
  reference::ema_backward(e, r.dx.data(), d, v.dout.data(), v.x.data(), seen, v.tensors());
  return r;
}

/// before: what dx holds, to which the gradient is added.
template <class T>
Result kernels_of(const EmaShape& e, const Values& v, const std::vector<std::uint32_t>* seen = nullptr,
                  const Doubles* before = nullptr) {
  Guarded<T> x(test::stored<T>(v.x)), dout(test::stored<T>(v.dout)), out(v.x.size()),
      dx(test::stored<T>(before ? *before : Doubles(v.x.size(), NAN)));
  Guarded<float> delta(test::stored<float>(v.delta)), alpha(test::stored<float>(v.alpha)),
      beta(test::stored<float>(v.beta)), gamma(test::stored<float>(v.gamma)), omega(test::stored<float>(v.omega));
  Guarded<float> ddelta(delta.size()), dalpha(delta.size()), dbeta(delta.size()), dgamma(delta.size()),
      domega(omega.size()), workspace(static_cast<std::size_t>(ema_workspace(e)));
  const Buffer<std::uint32_t> bits = buffer_of(seen ? *seen : std::vector<std::uint32_t>(1));
  const std::uint32_t* words = seen ? bits.data() : nullptr;
  const EmaTensors<const float*> tensors{delta.data(), alpha.data(), beta.data(), gamma.data(), omega.data()};
  const EmaTensors<float*> gradients{ddelta.data(), dalpha.data(), dbeta.data(), dgamma.data(), domega.data()};
  ema_forward(e, out.data(), x.data(), words, tensors, workspace.data());
  const Doubles forward = widened(out.get());
  ema_backward(e, dx.data(), before ? Into::add : Into::overwrite, gradients, dout.data(), x.data(), words, tensors,
               workspace.data());
  const bool clean = x.guards_survive() && dout.guards_survive() && out.guards_survive() && dx.guards_survive() &&
                     ddelta.guards_survive() && dalpha.guards_survive() && dbeta.guards_survive() &&
                     dgamma.guards_survive() && domega.guards_survive() && workspace.guards_survive();
  return {forward,
          widened(dx.get()),
          widened(ddelta.get()),
          widened(dalpha.get()),
          widened(dbeta.get()),
          widened(dgamma.get()),
          widened(domega.get()),
          clean};
}

TEST(Reference, EmaGradientsAreThoseOfFiniteDifferences) {
  for (const std::int64_t directions : {1, 2})
    for (const bool masked : {false, true}) {
      const EmaShape e{2, 9, 2, 3, directions};
      const Values v = values_of<float>(e);
      const auto seen = some_seen(e);
      const std::uint32_t* bits = masked ? seen.data() : nullptr;
      const Result got = reference_of(e, v, bits);
      const auto check = [&](const Doubles& gradient, Doubles Values::*of, const char* name) {
        const Doubles want = finite_difference_by(of, v, [&](const Values& at) {
          Doubles out(v.x.size());
          reference::ema_forward(e, out.data(), at.x.data(), bits, at.tensors());
          return dot(out, v.dout);
        });
        EXPECT_AT_MOST(relative_error(gradient, want), 1e-9) << name;
      };
      check(got.dx, &Values::x, "x");
      check(got.delta, &Values::delta, "delta");
      check(got.alpha, &Values::alpha, "alpha");
      check(got.beta, &Values::beta, "beta");
      check(got.gamma, &Values::gamma, "gamma");
      check(got.omega, &Values::omega, "omega");
    }
}

TEST(Reference, EmaIsTheRecurrenceOfThePaper) {
  // One channel from the front, written as the paper has it.
  const EmaShape e{1, 40, 1, 2, 1};
  const Values v = values_of<float>(e);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  Doubles h(2, 0.0), want, got(40);
  for (std::size_t t = 0; t < 40; ++t) {
    double y = v.omega[0] * v.x[t];
    for (std::size_t n = 0; n < 2; ++n) {
      const double p = sigmoid(v.delta[n]), a = sigmoid(v.alpha[n]);
      h[n] = p * v.beta[n] * v.x[t] + (1 - p * a) * h[n];
      y += v.gamma[n] * h[n] / std::sqrt(2.0);
    }
    want.push_back(y);
  }
  reference::ema_forward(e, got.data(), v.x.data(), nullptr, v.tensors());
  EXPECT_AT_MOST(relative_error(got, want), 1e-14);
}

TYPED_TEST(EmaOf, EveryCaseFollowsTheReferenceAndReadsSeenRowsOnly) {
  for (const EmaShape& e : shapes)
    for (const bool masked : {false, true}) {
      SCOPED_TRACE(text(e) + (masked ? ", masked" : ""));
      Values v = values_of<TypeParam>(e);
      const auto seen = some_seen(e);
      const Result want = reference_of(e, v, masked ? seen.data() : nullptr);
      if (masked) {
        v.x = spoilt(v.x, seen, e);
        v.dout = spoilt(v.dout, seen, e);
      }
      const Result got = kernels_of<TypeParam>(e, v, masked ? &seen : nullptr);
      EXPECT_TRUE(got.clean);
      EXPECT_AT_MOST(relative_error(got.out, want.out), this->limit);
      EXPECT_AT_MOST(relative_error(got.dx, want.dx), this->limit);
      EXPECT_AT_MOST(relative_error(got.delta, want.delta), 3e-6);
      EXPECT_AT_MOST(relative_error(got.alpha, want.alpha), 3e-6);
      EXPECT_AT_MOST(relative_error(got.beta, want.beta), 3e-6);
      EXPECT_AT_MOST(relative_error(got.gamma, want.gamma), 3e-6);
      EXPECT_AT_MOST(relative_error(got.omega, want.omega), 3e-6);
      if (masked) {
        EXPECT_EQ(spoilt(got.out, seen, e, 0), got.out);
        EXPECT_EQ(spoilt(got.dx, seen, e, 0), got.dx);
      }
    }
}

TYPED_TEST(EmaOf, AddsToWhatTheGradientHolds) {
  const EmaShape e{2, 70, 9, 16, 2};
  const Values v = values_of<TypeParam>(e);
  const auto seen = some_seen(e);
  const Doubles before = rounded<TypeParam>(random_doubles(e.sequences * e.length * e.width, 20));
  Doubles want = reference_of(e, v, seen.data()).dx;
  for (std::size_t i = 0; i < want.size(); ++i)
    want[i] += before[i];
  const Doubles got = kernels_of<TypeParam>(e, v, &seen, &before).dx;
  EXPECT_AT_MOST(relative_error(got, want), this->limit);
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_TRUE(is_set(seen, e, i / 9) || got[i] == before[i]) << i;
}

TEST(Ema, ReversedInputSwapsTheDirections) {
  const EmaShape e{2, 150, 9, 16, 2};
  const Values v = values_of<float>(e);
  const auto turned = [&](const Doubles& x) {
    Doubles out(x.size());
    for (std::size_t s = 0; s < 2; ++s)
      for (std::size_t i = 0; i < 150; ++i)
        std::copy_n(x.begin() + static_cast<std::ptrdiff_t>((s * 150 + 149 - i) * 9), 9,
                    out.begin() + static_cast<std::ptrdiff_t>((s * 150 + i) * 9));
    return out;
  };
  const auto swapped = [](Doubles x) {
    std::rotate(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
    return x;
  };
  const Values mirrored{turned(v.x),     turned(v.dout),   swapped(v.delta), swapped(v.alpha),
                        swapped(v.beta), swapped(v.gamma), v.omega};
  const Result a = kernels_of<float>(e, v), b = kernels_of<float>(e, mirrored);
  EXPECT_AT_MOST(relative_error(turned(b.out), a.out), 2e-6);
  EXPECT_AT_MOST(relative_error(turned(b.dx), a.dx), 2e-6);
  EXPECT_AT_MOST(relative_error(swapped(b.delta), a.delta), 3e-6);
  EXPECT_AT_MOST(relative_error(swapped(b.gamma), a.gamma), 3e-6);
}

TYPED_TEST(EmaOf, FromTheFrontAloneNothingLeaksBack) {
  const EmaShape e{1, 200, 9, 16, 1};
  const Values v = values_of<TypeParam>(e);
  const Doubles whole = kernels_of<TypeParam>(e, v).out;
  for (const std::size_t from : {1, 63, 64, 130, 199}) {
    Values spoilt_tail = v;
    std::fill(spoilt_tail.x.begin() + static_cast<std::ptrdiff_t>(from * 9), spoilt_tail.x.end(), NAN);
    const Doubles out = kernels_of<TypeParam>(e, spoilt_tail).out;
    for (std::size_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(std::isnan(out[i]), i >= from * 9) << i;
      ASSERT_TRUE(i >= from * 9 || out[i] == whole[i]) << i;
    }
  }
}

TYPED_TEST(EmaOf, ShowsNanInItsOwnSequenceAndChannelOnly) {
  const EmaShape e{2, 100, 9, 16, 2};
  Values v = values_of<TypeParam>(e);
  v.x[70 * 9 + 4] = NAN; // sequence 0
  v.dout[(100 + 3) * 9 + 7] = NAN;
  const Result r = kernels_of<TypeParam>(e, v);
  for (std::size_t i = 0; i < r.out.size(); ++i) {
    ASSERT_EQ(std::isnan(r.out[i]), i < 900 && i % 9 == 4) << i;
    ASSERT_EQ(std::isnan(r.dx[i]), i >= 900 && i % 9 == 7) << i;
  }
  for (std::size_t i = 0; i < r.gamma.size(); ++i) {
    const std::size_t channel = i / 16 % 9;
    ASSERT_EQ(std::isnan(r.gamma[i]), channel == 4 || channel == 7) << i;
    ASSERT_EQ(std::isnan(r.delta[i]), channel == 4 || channel == 7) << i;
  }
}

TYPED_TEST(EmaOf, PaddedSequencesHaveTheBitsOfShortOnes) {
  for (const std::int64_t length : {64, 90, 128})
    for (const std::int64_t directions : {1, 2}) {
      const EmaShape shorter{1, length, 9, 16, directions}, e{3, 150, 9, 16, directions};
      Values v = values_of<TypeParam>(e), one = v;
      const std::size_t numbers = static_cast<std::size_t>(length * 9);
      for (Doubles Values::*of : {&Values::x, &Values::dout}) {
        (one.*of).assign((v.*of).begin() + 1350, (v.*of).begin() + 1350 + static_cast<std::ptrdiff_t>(numbers));
        std::fill((v.*of).begin() + 1350 + static_cast<std::ptrdiff_t>(numbers), (v.*of).begin() + 2700, NAN);
      }
      std::vector<std::uint32_t> seen(static_cast<std::size_t>(3 * seen_words(150)), ~0u);
      for (std::int64_t i = length; i < 150; ++i)
        seen[static_cast<std::size_t>(seen_words(150) + i / 32)] &= ~(1u << (i % 32));
      const Result padded = kernels_of<TypeParam>(e, v, &seen), ragged = kernels_of<TypeParam>(shorter, one);
      for (std::size_t i = 0; i < numbers; ++i) {
        ASSERT_EQ(padded.out[1350 + i], ragged.out[i]) << i;
        ASSERT_EQ(padded.dx[1350 + i], ragged.dx[i]) << i;
      }
    }
}

TEST(EmaMemory, HoldsNoStatesButAtTheBordersOfChunks) {
  const auto floats = [](std::int64_t length) { return ema_workspace({2, length, 80, 16, 2}); };
  EXPECT_LE(floats(16384), 16 * floats(1024));
  EXPECT_LE(floats(16384), 5 * 2 * 16384 * 80 / 2) << "floats, against the numbers of x";
}

std::string bits() {
  test::Hash hash;
  for (const EmaShape& e : shapes) {
    const Result r = kernels_of<bf16>(e, values_of<bf16>(e));
    hash.add(r.out, r.dx, r.delta, r.alpha, r.beta, r.gamma, r.omega);
  }
  return hash.text();
}

TEST(EmaBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(EmaBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("EmaBits.DISABLED_Print", bits(), {1, 3, 4});
}

/// Position by position over the averages that were kept, as a decoder goes.
TYPED_TEST(EmaOf, StepsFollowTheReference) {
  for (const EmaShape& e : shapes) {
    if (e.directions != 1)
      continue;
    const Values v = values_of<TypeParam>(e);
    Doubles want(v.x.size());
    reference::ema_forward(e, want.data(), v.x.data(), nullptr, v.tensors());
    Guarded<float> coefficients(static_cast<std::size_t>(2 * e.width * e.states)),
        h(std::vector<float>(static_cast<std::size_t>(e.sequences * e.states * e.width), 0.0f));
    Guarded<TypeParam> out(static_cast<std::size_t>(e.sequences * e.width));
    const Buffer<float> delta = to_device<float>(v.delta), alpha = to_device<float>(v.alpha),
                        beta = to_device<float>(v.beta), gamma = to_device<float>(v.gamma),
                        omega = to_device<float>(v.omega);
    ema_step_coefficients(e, coefficients.data(),
                          {delta.data(), alpha.data(), beta.data(), gamma.data(), omega.data()});
    Doubles got(want.size());
    const auto D = static_cast<std::size_t>(e.width), N = static_cast<std::size_t>(e.length);
    for (std::size_t i = 0; i < N; ++i) {
      Doubles row;
      for (std::size_t s = 0; s < static_cast<std::size_t>(e.sequences); ++s)
        row.insert(row.end(), v.x.begin() + static_cast<std::ptrdiff_t>((s * N + i) * D),
                   v.x.begin() + static_cast<std::ptrdiff_t>((s * N + i + 1) * D));
      const Buffer<TypeParam> x = to_device<TypeParam>(row);
      ema_step(e, h.data(), out.data(), x.data(), coefficients.data(), omega.data());
      const Doubles rows = widened(out.get());
      for (std::size_t s = 0; s < static_cast<std::size_t>(e.sequences); ++s)
        std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(s * D), D,
                    got.begin() + static_cast<std::ptrdiff_t>((s * N + i) * D));
    }
    EXPECT_AT_MOST(relative_error(got, want), this->limit) << text(e);
    EXPECT_TRUE(out.guards_survive() && h.guards_survive() && coefficients.guards_survive()) << text(e);
  }
}

} // namespace
