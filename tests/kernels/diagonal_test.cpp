// The diagonal recurrence: the reference against finite differences, the scans against the reference, which is a
// convolution, and what a row must not see.
#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/diagonal.hpp"
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

WEFT_STORAGE_SUITE(DiagonalOf);

// One row, one lane short of two groups, chunks and spans with and without a rest.
const DiagonalShape shapes[] = {{1, 1, 1, 1},    {2, 5, 3, 2},   {2, 64, 15, 1}, {3, 70, 8, 2},
                                {1, 131, 20, 2}, {2, 513, 9, 1}, {1, 1100, 8, 2}};

std::string text(const DiagonalShape& d) {
  return std::to_string(d.sequences) + " sequences of " + std::to_string(d.length) + " rows, " +
         std::to_string(d.states) + " states, " + std::to_string(d.directions) + " directions";
}

/// One vector for each argument of the operation.
struct Values {
  Doubles u, dh, nu, theta, gain;

  DiagonalTensors<const double*> tensors() const { return {nu.data(), theta.data(), gain.data()}; }
};

/// Sizes of lambda from 0.3 to 0.95, angles from 0 to pi.
template <class T>
Values values_of(const DiagonalShape& d, unsigned seed = 1) {
  const std::int64_t R = d.sequences * d.length;
  std::mt19937 random(seed + 2);
  const auto uniform = [&](double low, double high) { return low + (high - low) * (random() / 4294967296.0); };
  Values v{rounded<T>(random_doubles(R * d.inputs(), seed)),
           rounded<T>(random_doubles(R * d.outputs(), seed + 1)),
           {},
           {},
           rounded<float>(random_doubles(d.states, seed + 3, 0.5))};
  for (std::int64_t j = 0; j < d.states; ++j) {
    v.nu.push_back(std::log(-std::log(uniform(0.3, 0.95))));
    v.theta.push_back(std::log(uniform(1e-3, 3.14)));
  }
  v.nu = rounded<float>(v.nu);
  v.theta = rounded<float>(v.theta);
  return v;
}

std::vector<std::uint32_t> some_seen(const DiagonalShape& d) { return test::some_seen(d.sequences, d.length); }
Doubles spoilt(const Doubles& x, const std::vector<std::uint32_t>& seen, const DiagonalShape& d, double with = NAN) {
  return test::spoilt_rows(x, seen, d.sequences, d.length, with);
}

struct Result {
  Doubles h, du, nu, theta, gain;
  bool clean = true;
};

Result reference_of(const DiagonalShape& d, const Values& v, const std::uint32_t* seen) {
  const auto like = [](const Doubles& x) { return Doubles(x.size(), NAN); };
  Result r{like(v.dh), like(v.u), like(v.nu), like(v.theta), like(v.gain)};
  reference::diagonal_forward(d, r.h.data(), v.u.data(), seen, v.tensors());
  reference::diagonal_backward(d, r.du.data(), {r.nu.data(), r.theta.data(), r.gain.data()}, v.dh.data(), v.u.data(),
                               seen, v.tensors());
  return r;
}

template <class T>
Result kernels_of(const DiagonalShape& d, const Values& v, const std::vector<std::uint32_t>* seen = nullptr) {
  Guarded<T> u(test::stored<T>(v.u)), dh(test::stored<T>(v.dh)), h(v.dh.size()), du(v.u.size());
  Guarded<float> nu(test::stored<float>(v.nu)), theta(test::stored<float>(v.theta)), gain(test::stored<float>(v.gain));
  Guarded<float> dnu(nu.size()), dtheta(nu.size()), dgain(nu.size()),
      workspace(static_cast<std::size_t>(diagonal_workspace(d)));
  const Buffer<std::uint32_t> bits = buffer_of(seen ? *seen : std::vector<std::uint32_t>(1));
  const std::uint32_t* words = seen ? bits.data() : nullptr;
  const DiagonalTensors<const float*> tensors{nu.data(), theta.data(), gain.data()};
  diagonal_forward(d, h.data(), u.data(), words, tensors, workspace.data());
  diagonal_backward(d, du.data(), {dnu.data(), dtheta.data(), dgain.data()}, dh.data(), u.data(), words, tensors,
                    workspace.data());
  const bool clean = u.guards_survive() && dh.guards_survive() && h.guards_survive() && du.guards_survive() &&
                     dnu.guards_survive() && dtheta.guards_survive() && dgain.guards_survive() &&
                     workspace.guards_survive();
  return {widened(h.get()), widened(du.get()), widened(dnu.get()), widened(dtheta.get()), widened(dgain.get()), clean};
}

TEST(Reference, DiagonalGradientsAreThoseOfFiniteDifferences) {
  for (const std::int64_t directions : {1, 2})
    for (const bool masked : {false, true}) {
      const DiagonalShape d{2, 9, 3, directions};
      const Values v = values_of<float>(d);
      const auto seen = some_seen(d);
      const std::uint32_t* bits = masked ? seen.data() : nullptr;
      const Result got = reference_of(d, v, bits);
      const auto check = [&](const Doubles& gradient, Doubles Values::*of, const char* name) {
        const Doubles want = finite_difference_by(
            of, v,
            [&](const Values& at) {
              Doubles h(v.dh.size());
              reference::diagonal_forward(d, h.data(), at.u.data(), bits, at.tensors());
              return dot(h, v.dh);
            },
            3e-4); // angles turn fast
        EXPECT_AT_MOST(relative_error(gradient, want), 1e-9) << name;
      };
      check(got.du, &Values::u, "u");
      check(got.nu, &Values::nu, "nu");
      check(got.theta, &Values::theta, "theta");
      check(got.gain, &Values::gain, "gain");
    }
}

TEST(Reference, DiagonalIsTheRecurrenceOfThePaper) {
  // Two states from both ends, written as the paper has it.
  const DiagonalShape d{1, 40, 2, 2};
  const Values v = values_of<float>(d);
  Doubles want(v.dh.size()), got(v.dh.size());
  for (const std::size_t k : {0, 1})
    for (const std::size_t j : {0, 1}) {
      const std::complex<double> lambda = std::exp(std::complex<double>(-std::exp(v.nu[j]), std::exp(v.theta[j])));
      std::complex<double> h = 0;
      for (std::size_t step = 0; step < 40; ++step) {
        const std::size_t t = k == 0 ? step : 39 - step;
        h = lambda * h + std::exp(v.gain[j]) * std::complex<double>(v.u[t * 4 + j], v.u[t * 4 + 2 + j]);
        want[t * 8 + k * 4 + j] = h.real();
        want[t * 8 + k * 4 + 2 + j] = h.imag();
      }
    }
  reference::diagonal_forward(d, got.data(), v.u.data(), nullptr, v.tensors());
  EXPECT_AT_MOST(relative_error(got, want), 1e-14);
}

TYPED_TEST(DiagonalOf, EveryCaseFollowsTheReferenceAndReadsSeenRowsOnly) {
  for (const DiagonalShape& d : shapes)
    for (const bool masked : {false, true}) {
      SCOPED_TRACE(text(d) + (masked ? ", masked" : ""));
      Values v = values_of<TypeParam>(d);
      const auto seen = some_seen(d);
      const Result want = reference_of(d, v, masked ? seen.data() : nullptr);
      if (masked) {
        v.u = spoilt(v.u, seen, d);
        v.dh = spoilt(v.dh, seen, d);
      }
      const Result got = kernels_of<TypeParam>(d, v, masked ? &seen : nullptr);
      EXPECT_TRUE(got.clean);
      EXPECT_AT_MOST(relative_error(got.h, want.h), (std::is_same_v<TypeParam, float> ? 1e-6 : this->limit));
      EXPECT_AT_MOST(relative_error(got.du, want.du), this->limit);
      if (d.length > 1) { // nothing before the first row
        EXPECT_AT_MOST(relative_error(got.nu, want.nu), 3e-6);
        EXPECT_AT_MOST(relative_error(got.theta, want.theta), 3e-6);
      }
      EXPECT_AT_MOST(relative_error(got.gain, want.gain), 3e-6);
      if (masked) {
        EXPECT_EQ(spoilt(got.h, seen, d, 0), got.h);
        EXPECT_EQ(spoilt(got.du, seen, d, 0), got.du);
      }
    }
}

TEST(Diagonal, LongMemoryFollowsTheReference) {
  // What fp32 leaves of a factor of 0.9999: its own rounding, once for every position that is remembered.
  const DiagonalShape d{1, 2000, 2, 2};
  Values v = values_of<float>(d);
  v.nu = rounded<float>(Doubles(2, std::log(-std::log(0.9999))));
  v.theta = rounded<float>({std::log(0.01), std::log(6.2)});
  v.gain = rounded<float>(Doubles(2, 0.5 * std::log(1 - 0.9999 * 0.9999)));
  const Result want = reference_of(d, v, nullptr), got = kernels_of<float>(d, v);
  EXPECT_AT_MOST(relative_error(got.h, want.h), 1e-4);
  EXPECT_AT_MOST(relative_error(got.du, want.du), 1e-4);
  EXPECT_AT_MOST(relative_error(got.nu, want.nu), 1e-3);
  EXPECT_AT_MOST(relative_error(got.theta, want.theta), 1e-3);
}

TEST(Diagonal, ReversedInputSwapsTheDirections) {
  const DiagonalShape d{2, 150, 9, 2};
  const Values v = values_of<float>(d);
  const auto turned = [&](const Doubles& x, bool swapped) {
    const std::size_t width = x.size() / 300, half = width / 2;
    Doubles out(x.size());
    for (std::size_t row = 0; row < 300; ++row)
      for (std::size_t j = 0; j < width; ++j)
        out[row * width + j] = x[(row / 150 * 150 + 149 - row % 150) * width + (swapped ? (j + half) % width : j)];
    return out;
  };
  Values mirrored = v;
  mirrored.u = turned(v.u, false);
  mirrored.dh = turned(v.dh, true);
  const Result a = kernels_of<float>(d, v), b = kernels_of<float>(d, mirrored);
  EXPECT_AT_MOST(relative_error(turned(b.h, true), a.h), 1e-6);
  EXPECT_AT_MOST(relative_error(turned(b.du, false), a.du), 2e-6);
  EXPECT_AT_MOST(relative_error(b.nu, a.nu), 3e-6);
  EXPECT_AT_MOST(relative_error(b.theta, a.theta), 3e-6);
}

TYPED_TEST(DiagonalOf, FromTheFrontAloneNothingLeaksBack) {
  const DiagonalShape d{1, 200, 9, 1};
  const Values v = values_of<TypeParam>(d);
  const Doubles whole = kernels_of<TypeParam>(d, v).h;
  for (const std::size_t from : {1, 63, 64, 130, 199}) {
    Values spoilt_tail = v;
    std::fill(spoilt_tail.u.begin() + static_cast<std::ptrdiff_t>(from * 18), spoilt_tail.u.end(), NAN);
    const Doubles h = kernels_of<TypeParam>(d, spoilt_tail).h;
    for (std::size_t i = 0; i < h.size(); ++i) {
      ASSERT_EQ(std::isnan(h[i]), i >= from * 18) << i;
      ASSERT_TRUE(i >= from * 18 || h[i] == whole[i]) << i;
    }
  }
}

TYPED_TEST(DiagonalOf, ShowsNanWhereItReachesOnly) {
  const DiagonalShape d{2, 100, 9, 2};
  Values v = values_of<TypeParam>(d);
  v.u[70 * 18 + 4] = NAN;                // sequence 0, the real part of state 4
  v.dh[(100 + 30) * 36 + 18 + 16] = NAN; // sequence 1, from the end, the imaginary part of state 7
  const Result r = kernels_of<TypeParam>(d, v);
  for (std::size_t i = 0; i < r.h.size(); ++i) {
    const std::size_t row = i / 36, direction = i % 36 / 18, state = i % 9;
    const bool real_part = i % 18 < 9, reached = row == 70 || (row < 100 && (direction == 0) == (row > 70));
    ASSERT_EQ(std::isnan(r.h[i]), state == 4 && reached && (row != 70 || real_part)) << i;
  }
  for (std::size_t i = 0; i < r.du.size(); ++i) {
    const std::size_t row = i / 18, state = i % 9;
    // What comes from the end at row 30 has read rows 30 and behind.
    ASSERT_EQ(std::isnan(r.du[i]), row >= 130 && state == 7 && (row != 130 || i % 18 >= 9)) << i;
  }
  for (std::size_t j = 0; j < 9; ++j) {
    ASSERT_EQ(std::isnan(r.nu[j]), j == 4 || j == 7) << j;
    ASSERT_EQ(std::isnan(r.theta[j]), j == 4 || j == 7) << j;
    ASSERT_EQ(std::isnan(r.gain[j]), j == 4 || j == 7) << j;
  }
}

TYPED_TEST(DiagonalOf, PaddedSequencesHaveTheBitsOfShortOnes) {
  for (const std::int64_t length : {64, 90, 128})
    for (const std::int64_t directions : {1, 2}) {
      const DiagonalShape shorter{1, length, 9, directions}, d{3, 150, 9, directions};
      Values v = values_of<TypeParam>(d), one = v;
      std::vector<std::uint32_t> seen(static_cast<std::size_t>(3 * seen_words(150)), ~0u);
      for (std::int64_t i = length; i < 150; ++i)
        seen[static_cast<std::size_t>(seen_words(150) + i / 32)] &= ~(1u << (i % 32));
      // Sequence 1 of three.
      const auto first = [](const Doubles& x) { return x.begin() + static_cast<std::ptrdiff_t>(x.size() / 3); };
      for (Doubles Values::*of : {&Values::u, &Values::dh}) {
        const auto from = first(v.*of);
        (one.*of).assign(from, from + static_cast<std::ptrdiff_t>((v.*of).size() / 450) * length);
        v.*of = spoilt(v.*of, seen, d);
      }
      const Result padded = kernels_of<TypeParam>(d, v, &seen), ragged = kernels_of<TypeParam>(shorter, one);
      EXPECT_TRUE(std::equal(ragged.h.begin(), ragged.h.end(), first(padded.h))) << length;
      EXPECT_TRUE(std::equal(ragged.du.begin(), ragged.du.end(), first(padded.du))) << length;
    }
}

TEST(DiagonalMemory, HoldsNoStatesButAtTheBordersOfChunks) {
  EXPECT_LE(diagonal_workspace({2, 16384, 64, 2}), 2 * 16384 * 128 / 15) << "floats, against the numbers of u";
}

std::string bits() {
  test::Hash hash;
  for (const DiagonalShape& d : shapes) {
    const Result r = kernels_of<bf16>(d, values_of<bf16>(d));
    hash.add(r.h, r.du, r.nu, r.theta, r.gain);
  }
  return hash.text();
}

TEST(DiagonalBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(DiagonalBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("DiagonalBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
