// Sinkhorn's normalisation, sums and mixtures of blocks, and attention to the sum of all blocks.
#include "kernels/attention/attention_reference.hpp"
#include "kernels/attention/pattern.hpp"
#include "kernels/sinkhorn/blocks.hpp"
#include "kernels/sinkhorn/sinkhorn.hpp"
#include "kernels/sinkhorn/summed.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded;
using weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(SinkhornKernels);

std::size_t size_of(std::int64_t n) { return static_cast<std::size_t>(n); }

template <class U>
Buffer<U> on_device(const std::vector<U>& values) {
  Buffer<U> out(static_cast<std::int64_t>(values.size()), "test");
  copy_to_device(out.data(), values.data(), out.bytes());
  return out;
}

// ---- normalisation

struct Matrices {
  SinkhornShape shape;
  Doubles logits;                   ///< (S, n, H, M), exact in fp32
  std::vector<unsigned char> alive; ///< (S, n)
};

Matrices some_matrices(std::int64_t S, std::int64_t H, std::int64_t n, std::int64_t M, std::int64_t iterations,
                       float tau, double scale = 2) {
  Matrices m{{S, H, n, M, iterations, tau}, rounded<float>(random_doubles(S * n * H * M, 7, scale)), {}};
  for (std::int64_t s = 0; s < S; ++s)
    for (std::int64_t i = 0; i < n; ++i)
      m.alive.push_back(s == 2 ? 0 : s == 1 ? i % 3 != 1 : 1); // all, some, none
  return m;
}

/// The logits of one matrix as the reference takes them.
Doubles one_matrix(const Matrices& m, std::int64_t s, std::int64_t h) {
  const SinkhornShape& a = m.shape;
  Doubles out;
  for (std::int64_t i = 0; i < a.blocks; ++i)
    for (std::int64_t k = 0; k < a.blocks; ++k)
      out.push_back(m.logits[size_of(((s * a.blocks + i) * a.heads + h) * a.most + k)]);
  return out;
}

struct Normalised {
  Doubles p, dlogits;
  bool clean;
};

template <class T>
Normalised normalise(const Matrices& m, const Doubles& dp, bool some_dead, const Dropout* noise = nullptr) {
  const SinkhornShape& a = m.shape;
  Guarded<float> logits(test::stored<float>(m.logits)), p(size_of(a.entries())), x(size_of(a.entries())),
      potentials(size_of(a.potentials())), slopes(test::stored<float>(dp));
  Guarded<T> dlogits(m.logits.size());
  const Buffer<unsigned char> alive = on_device(m.alive);
  const unsigned char* lives = some_dead ? alive.data() : nullptr;
  sinkhorn_forward(a, p.data(), x.data(), potentials.data(), logits.data(), lives, noise);
  sinkhorn_backward(a, dlogits.data(), slopes.data(), p.data(), x.data(), potentials.data());
  return {widened(p.get()), widened(dlogits.get()),
          logits.guards_survive() && p.guards_survive() && x.guards_survive() && potentials.guards_survive() &&
              slopes.guards_survive() && dlogits.guards_survive()};
}

TEST(Sinkhorn, GradientIsThatOfFiniteDifferences) {
  const std::int64_t n = 5;
  const Doubles logits = random_doubles(n * n, 1), dp = random_doubles(n * n, 2);
  const std::vector<unsigned char> some = {1, 0, 1, 1, 1};
  for (const unsigned char* alive : {static_cast<const unsigned char*>(nullptr), some.data()})
    for (const std::int64_t iterations : {1, 7}) {
      Doubles dlogits(logits.size());
      reference::sinkhorn_backward(dlogits.data(), dp.data(), logits.data(), n, iterations, 0.75, alive);
      const Doubles slope = finite_difference(
          [&](const Doubles& at) {
            Doubles p(at.size());
            reference::sinkhorn_forward(p.data(), at.data(), n, iterations, 0.75, alive);
            return dot(p, dp);
          },
          logits);
      EXPECT_AT_MOST(relative_error(dlogits, slope), 1e-8);
    }
}

TEST(Sinkhorn, RowsAndColumnsSumToOneAfterTwentySteps) {
  const std::int64_t n = 40;
  const Matrices m = some_matrices(2, 2, n, n, 20, 0.75f, 1);
  const Normalised got = normalise<float>(m, Doubles(size_of(m.shape.entries()), 1), true);
  for (std::int64_t s = 0; s < 2; ++s)
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t i = 0; i < n; ++i) {
        double row = 0, column = 0;
        for (std::int64_t k = 0; k < n; ++k) {
          row += got.p[size_of(((s * 2 + h) * n + i) * n + k)];
          column += got.p[size_of(((s * 2 + h) * n + k) * n + i)];
        }
        const double want = m.alive[size_of(s * n + i)];
        EXPECT_NEAR(row, want, 1e-3);
        EXPECT_NEAR(column, want, 1e-5); // the last step was theirs
      }
}

TYPED_TEST(SinkhornKernels, NormalisationFollowsTheReference) {
  for (const Matrices& m : {some_matrices(3, 2, 1, 1, 1, 1.0f), some_matrices(3, 1, 5, 9, 1, 0.5f),
                            some_matrices(3, 2, 33, 40, 8, 0.75f), some_matrices(1, 3, 80, 80, 5, 2.0f)})
    for (const bool some_dead : {false, true}) {
      const SinkhornShape& a = m.shape;
      const std::int64_t nn = a.blocks * a.blocks;
      const Doubles dp = rounded<float>(random_doubles(a.entries(), 3));
      const Normalised got = normalise<TypeParam>(m, dp, some_dead);
      EXPECT_TRUE(got.clean);
      Doubles want(got.p.size()), dwant(m.logits.size(), 0);
      for (std::int64_t s = 0; s < a.sequences; ++s)
        for (std::int64_t h = 0; h < a.heads; ++h) {
          const std::int64_t at = (s * a.heads + h) * nn;
          const unsigned char* alive = some_dead ? m.alive.data() + s * a.blocks : nullptr;
          const Doubles logits = one_matrix(m, s, h);
          Doubles dlogits(logits.size());
          reference::sinkhorn_forward(want.data() + at, logits.data(), a.blocks, a.iterations,
                                      static_cast<double>(a.temperature), alive);
          reference::sinkhorn_backward(dlogits.data(), dp.data() + at, logits.data(), a.blocks, a.iterations,
                                       static_cast<double>(a.temperature), alive);
          for (std::int64_t i = 0; i < a.blocks; ++i)
            for (std::int64_t k = 0; k < a.blocks; ++k)
              dwant[size_of(((s * a.blocks + i) * a.heads + h) * a.most + k)] = dlogits[size_of(i * a.blocks + k)];
        }
      EXPECT_AT_MOST(test::difference(got.p, want), 5e-6);
      if (a.blocks > 1) { // alone, a block is its own place whatever the logits say
        EXPECT_AT_MOST(relative_error(got.dlogits, dwant), 2 * this->limit + 5e-6);
      }
      for (std::size_t i = 0; i < got.p.size(); ++i)
        ASSERT_EQ(got.p[i] == 0, want[i] == 0) << "a dead block is sorted";
    }
}

TYPED_TEST(SinkhornKernels, NanOfALogitStaysInItsMatrix) {
  Matrices m = some_matrices(2, 2, 6, 6, 3, 1.0f);
  m.logits[size_of(((0 * 6 + 2) * 2 + 1) * 6 + 4)] = NAN; // sequence 0, row 2, head 1, column 4
  const Normalised got = normalise<TypeParam>(m, Doubles(size_of(m.shape.entries()), 1), false);
  for (std::size_t i = 0; i < got.p.size(); ++i)
    EXPECT_EQ(std::isnan(got.p[i]), i / 36 == 1) << i;
}

TEST(Sinkhorn, NoiseIsGumbelsAndAFunctionOfItsPlace) {
  // With one step over two blocks P shows the difference of two noises; many of them have a logistic distribution.
  const std::int64_t S = 50, H = 40;
  Matrices m{{S, H, 2, 2, 1, 1.0f}, Doubles(size_of(S * 2 * H * 2), 0.0), {}};
  m.alive.assign(size_of(2 * S), 1);
  Dropout noise;
  noise.seed = 5;
  noise.step = 3;
  noise.first_sample = 8;
  noise.tensor = 2;
  const Doubles dp(size_of(m.shape.entries()), 0.0), p = normalise<float>(m, dp, false, &noise).p;
  EXPECT_EQ(normalise<float>(m, dp, false, &noise).p, p);
  double mean = 0, square = 0;
  for (std::int64_t i = 0; i < S * H; ++i) {
    // Rows first: log (p00 p11 / (p01 p10)) keeps g00 + g11 - g01 - g10, whose variance is 4 pi^2 / 6.
    const double *one = &p[size_of(4 * i)], d = std::log(one[0] * one[3] / (one[1] * one[2]));
    mean += d / static_cast<double>(S * H);
    square += d * d / static_cast<double>(S * H);
  }
  EXPECT_NEAR(mean, 0, 0.25);
  EXPECT_NEAR(square, 4 * M_PI * M_PI / 6, 0.6);
  // The same sequence elsewhere in a micro-batch, and in a shorter one.
  Dropout later = noise;
  later.first_sample = 9;
  const Doubles moved = normalise<float>(m, dp, false, &later).p;
  for (std::size_t i = 0; i < size_of(4 * H * (S - 1)); ++i)
    ASSERT_EQ(moved[i], p[i + size_of(4 * H)]);
  later = noise;
  later.step = 4;
  EXPECT_NE(normalise<float>(m, dp, false, &later).p, p);
}

// ---- blocks

struct Blocks {
  BlockShape shape;
  std::int64_t heads, width;
  std::int64_t C() const { return heads * width; }
  HeadRows lie() const { return {heads, width, shape.length, C() + 3, shape.whole() + 2, C() + 5}; }
};
const Blocks block_cases[] = {
    {{1, 1, 1}, 1, 1}, {{3, 7, 3}, 2, 3}, {{2, 64, 16}, 2, 8}, {{2, 131, 50}, 3, 40}, {{1, 9, 1}, 1, 9}};

/// Sequence 1 begins with padding, others have some here and there, and a dead block at their end.
std::vector<std::uint32_t> some_seen(std::int64_t sequences, std::int64_t length, std::int64_t block) {
  const std::int64_t words = (length + 31) / 32;
  std::vector<std::uint32_t> seen(size_of(sequences * words), 0);
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t i = 0; i < 32 * words; ++i)
      if (i >= length || (s == 1 ? i >= block : i % 5 != 3 && i < length - block))
        seen[size_of(s * words + i / 32)] |= 1u << (i % 32);
  return seen;
}
bool bit(const std::vector<std::uint32_t>& seen, std::int64_t length, std::int64_t s, std::int64_t i) {
  return i < length && (seen[size_of(s * ((length + 31) / 32) + i / 32)] >> (i % 32) & 1u) != 0;
}
/// Rows of `length` per sequence at a stride, from dense ones of `rows` per sequence; sentinels in the gaps.
template <class T>
std::vector<T> laid_out(const Doubles& dense, std::int64_t sequences, std::int64_t rows, std::int64_t width,
                        std::int64_t length, std::int64_t stride) {
  std::vector<T> out(size_of(sequences * length * stride), Guarded<T>::sentinel());
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < width; ++j)
        out[size_of((s * length + i) * stride + j)] =
            store<T>(static_cast<float>(dense[size_of((s * rows + i) * width + j)]));
  return out;
}
template <class T>
Doubles gathered(const std::vector<T>& x, std::int64_t sequences, std::int64_t rows, std::int64_t width,
                 std::int64_t length, std::int64_t stride) {
  Doubles out;
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < width; ++j)
        out.push_back(load(x[size_of((s * length + i) * stride + j)]));
  return out;
}
/// x with NaN in the rows that are not real.
Doubles spoilt(Doubles x, const std::vector<std::uint32_t>& seen, std::int64_t length, std::int64_t width) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t row = static_cast<std::int64_t>(i) / width;
    if (!bit(seen, length, row / length, row % length))
      x[i] = NAN;
  }
  return x;
}

TEST(Blocks, FlagsAndBitsSayWhatIsRealAndSorted) {
  for (const Blocks& c : block_cases) {
    const BlockShape& a = c.shape;
    const auto seen = some_seen(a.sequences, a.length, a.block);
    const std::int64_t n = a.blocks(), begin = a.length + 5, end = begin + a.whole(), words = (end + 31) / 32;
    const Buffer<std::uint32_t> from = on_device(seen);
    Buffer<unsigned char> alive(a.sequences * n, "test"), places(a.sequences * a.block, "test");
    Buffer<std::uint32_t> bits(a.sequences * words, "test");
    block_flags(a, alive.data(), places.data(), from.data());
    sorted_block_bits(a, begin, bits.data(), from.data(), alive.data(), places.data());
    std::vector<std::uint32_t> got(size_of(a.sequences * words));
    copy_to_host(got.data(), bits.data(), bits.bytes());
    for (std::int64_t s = 0; s < a.sequences; ++s) {
      const auto lives = [&](std::int64_t k) {
        bool any = false;
        for (std::int64_t o = 0; o < a.block; ++o)
          any = any || bit(seen, a.length, s, k * a.block + o);
        return any;
      };
      const auto place = [&](std::int64_t o) {
        bool any = false;
        for (std::int64_t k = 0; k < n; ++k)
          any = any || bit(seen, a.length, s, k * a.block + o);
        return any;
      };
      for (std::int64_t i = 0; i < 32 * words; ++i) {
        const std::int64_t at = i - begin;
        const bool want = at < 0 ? bit(seen, a.length, s, i) : i < end && lives(at / a.block) && place(at % a.block);
        EXPECT_EQ((got[size_of(s * words + i / 32)] >> (i % 32) & 1u) != 0, want) << a.length << " " << s << " " << i;
      }
    }
  }
}

TEST(Blocks, GradientsAreThoseOfFiniteDifferences) {
  const Blocks c = block_cases[1];
  const BlockShape& a = c.shape;
  const auto seen = some_seen(a.sequences, a.length, a.block);
  const std::int64_t n = a.blocks();
  const Doubles rows = random_doubles(a.sequences * a.length * c.C(), 1),
                p = random_doubles(a.sequences * c.heads * n * n, 2),
                dsorted = random_doubles(a.sequences * a.whole() * c.C(), 3),
                dsums = random_doubles(a.sequences * n * c.C(), 4);
  for (const std::uint32_t* bits : std::initializer_list<const std::uint32_t*>{nullptr, seen.data()}) {
    Doubles drows(rows.size(), 0), dp(p.size(), 0), dx(rows.size(), 0);
    reference::mix_blocks_backward(a, c.heads, c.width, drows.data(), dp.data(), dsorted.data(), rows.data(), p.data(),
                                   bits);
    reference::block_sums_backward(a, c.C(), dx.data(), dsums.data(), bits);
    const auto mixed = [&](const Doubles& at_rows, const Doubles& at_p) {
      Doubles sorted(dsorted.size());
      reference::mix_blocks_forward(a, c.heads, c.width, sorted.data(), at_rows.data(), at_p.data(), bits);
      return dot(sorted, dsorted);
    };
    EXPECT_AT_MOST(relative_error(drows, finite_difference([&](const Doubles& x) { return mixed(x, p); }, rows)), 1e-8);
    EXPECT_AT_MOST(relative_error(dp, finite_difference([&](const Doubles& x) { return mixed(rows, x); }, p)), 1e-8);
    EXPECT_AT_MOST(relative_error(dx, finite_difference(
                                          [&](const Doubles& x) {
                                            Doubles sums(dsums.size());
                                            reference::block_sums_forward(a, c.C(), sums.data(), x.data(), bits);
                                            return dot(sums, dsums);
                                          },
                                          rows)),
                   1e-8);
  }
}

TYPED_TEST(SinkhornKernels, SumsFollowTheReferenceAndReadRealRowsOnly) {
  using T = TypeParam;
  for (const Blocks& c : block_cases)
    for (const bool masked : {false, true}) {
      const BlockShape& a = c.shape;
      const auto seen = some_seen(a.sequences, a.length, a.block);
      const Buffer<std::uint32_t> dev_seen = on_device(seen);
      const std::uint32_t *bits = masked ? seen.data() : nullptr, *dev_bits = masked ? dev_seen.data() : nullptr;
      const std::int64_t n = a.blocks(), D = c.C();
      const Doubles x = rounded<T>(random_doubles(a.sequences * a.length * D, 1)),
                    before = rounded<T>(random_doubles(a.sequences * a.length * D, 2)),
                    dsums = rounded<T>(random_doubles(a.sequences * n * D, 3));
      Doubles sums(dsums.size()), dx = before;
      reference::block_sums_forward(a, D, sums.data(), x.data(), bits);
      reference::block_sums_backward(a, D, dx.data(), dsums.data(), bits);
      Guarded<T> from(test::stored<T>(masked ? spoilt(x, seen, a.length, D) : x)), slopes(test::stored<T>(dsums)),
          got(sums.size()), got_dx(test::stored<T>(before));
      block_sums_forward(a, D, got.data(), static_cast<const T*>(from.data()), dev_bits);
      block_sums_backward(a, D, got_dx.data(), static_cast<const T*>(slopes.data()), dev_bits);
      EXPECT_AT_MOST(relative_error(widened(got.get()), sums), this->limit);
      EXPECT_AT_MOST(relative_error(widened(got_dx.get()), dx), this->limit);
      EXPECT_TRUE(got.guards_survive() && got_dx.guards_survive());
    }
}

TYPED_TEST(SinkhornKernels, MixturesFollowTheReferenceAndReadRealRowsOnly) {
  using T = TypeParam;
  for (const Blocks& c : block_cases)
    for (const bool masked : {false, true}) {
      const BlockShape& a = c.shape;
      const HeadRows lie = c.lie();
      const auto seen = some_seen(a.sequences, a.length, a.block);
      const Buffer<std::uint32_t> dev_seen = on_device(seen);
      const std::uint32_t *bits = masked ? seen.data() : nullptr, *dev_bits = masked ? dev_seen.data() : nullptr;
      const std::int64_t S = a.sequences, N = a.length, n = a.blocks(), W = a.whole(), C = c.C();
      const Doubles rows = rounded<T>(random_doubles(S * N * C, 1)), before = rounded<T>(random_doubles(S * N * C, 2)),
                    dsorted = rounded<T>(random_doubles(S * W * C, 3)),
                    p = rounded<float>(random_doubles(S * c.heads * n * n, 4)),
                    old_dp = rounded<float>(random_doubles(S * c.heads * n * n, 5));
      Doubles sorted(dsorted.size()), drows = before, dp = old_dp;
      reference::mix_blocks_forward(a, c.heads, c.width, sorted.data(), rows.data(), p.data(), bits);
      reference::mix_blocks_backward(a, c.heads, c.width, drows.data(), dp.data(), dsorted.data(), rows.data(),
                                     p.data(), bits);
      Guarded<T> from(laid_out<T>(masked ? spoilt(rows, seen, N, C) : rows, S, N, C, lie.length, lie.stride)),
          slopes(laid_out<T>(dsorted, S, W, C, lie.sorted_length, lie.sorted_stride)),
          got(size_of(S * lie.sorted_length * lie.sorted_stride)),
          got_rows(laid_out<T>(before, S, N, C, lie.length, lie.stride));
      Guarded<float> weights(test::stored<float>(p)), got_dp(test::stored<float>(old_dp)), fresh(p.size());
      const T *of = from.data(), *slope = slopes.data();
      mix_blocks_forward(a, lie, got.data(), of, weights.data(), dev_bits);
      mix_blocks_backward_rows(a, lie, got_rows.data(), slope, weights.data(), dev_bits);
      mix_blocks_backward_weights(a, lie, got_dp.data(), slope, of, dev_bits, Into::add);
      mix_blocks_backward_weights(a, lie, fresh.data(), slope, of, dev_bits, Into::overwrite);
      const std::vector<T> all = got.get(), all_rows = got_rows.get();
      EXPECT_AT_MOST(relative_error(gathered(all, S, W, C, lie.sorted_length, lie.sorted_stride), sorted), this->limit);
      EXPECT_AT_MOST(relative_error(gathered(all_rows, S, N, C, lie.length, lie.stride), drows), this->limit);
      EXPECT_AT_MOST(relative_error(widened(got_dp.get()), dp), 3e-6);
      Doubles alone = dp;
      for (std::size_t i = 0; i < dp.size(); ++i)
        alone[i] -= old_dp[i];
      EXPECT_AT_MOST(relative_error(widened(fresh.get()), alone), 3e-6);
      EXPECT_TRUE(got.guards_survive() && got_rows.guards_survive() && got_dp.guards_survive());
      EXPECT_TRUE(test::same_bits(all, laid_out<T>(gathered(all, S, W, C, lie.sorted_length, lie.sorted_stride), S, W,
                                                   C, lie.sorted_length, lie.sorted_stride)))
          << "gaps between rows were written";
    }
}

// ---- the identity as a sort matrix

TEST(Blocks, SortedByTheIdentityTheyDoubleTheKeysOfLocalAttention) {
  const BlockShape a{1, 12, 4};
  const std::int64_t N = 12, E = 3, n = 3;
  const Doubles q = random_doubles(N * E, 1), k = random_doubles(N * E, 2), v = random_doubles(N * E, 3);
  Doubles identity(size_of(n * n), 0);
  for (std::int64_t i = 0; i < n; ++i)
    identity[size_of(i * n + i)] = 1;
  // Keys of both kinds behind each other, as the layer lays them out.
  Doubles all_q = q, all_k = k, all_v = v, sorted(k.size());
  all_q.resize(2 * q.size(), 0.0);
  for (Doubles* x : {&all_k, &all_v}) {
    reference::mix_blocks_forward(a, 1, E, sorted.data(), x->data(), identity.data(), nullptr);
    x->insert(x->end(), sorted.begin(), sorted.end());
  }
  const Pattern pattern = sorted_blocks(12, 4, 12), local_pattern = block_bidirectional(12, 4);
  reference::Attention joint{1, 24, 1, E, E, {{}}}, local{1, 12, 1, E, E, {{}}};
  for (int i = 0; i < 24; ++i)
    joint.keys[0].push_back(keys_of(pattern, i));
  for (int i = 0; i < 12; ++i)
    local.keys[0].push_back(keys_of(local_pattern, i));
  Doubles out(all_q.size()), lse(24), want(q.size()), local_lse(12);
  reference::attention_forward(joint, out.data(), lse.data(), all_q.data(), all_k.data(), all_v.data());
  reference::attention_forward(local, want.data(), local_lse.data(), q.data(), k.data(), v.data());
  for (std::size_t i = 0; i < 12; ++i)
    EXPECT_NEAR(lse[i], local_lse[i] + std::log(2.0), 1e-13);
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(out[i], want[i], 1e-13);
}

// ---- attention to the sum of all blocks

struct Summed {
  std::int64_t S, N, b, H, E, Ev;
  SummedShape shape() const { return {S, N, b, H, E, Ev, H * (2 * E + Ev) + 3}; }
};
const Summed summed_cases[] = {{1, 1, 1, 1, 1, 1}, {3, 12, 4, 2, 3, 5}, {2, 128, 64, 2, 8, 8}, {2, 150, 50, 3, 9, 40}};

struct SummedResult {
  Doubles out, dq, dk, dv;
  bool clean = true;
};

SummedResult run_reference(const Summed& c, const Doubles& local, const Doubles& q, const Doubles& k, const Doubles& v,
                           const Doubles& dout, const std::uint32_t* seen, const Dropout& dropout) {
  SummedResult r{local, Doubles(q.size(), 0), Doubles(k.size(), 0), Doubles(v.size(), 0)};
  reference::summed_forward(c.shape(), r.out.data(), q.data(), k.data(), v.data(), seen, dropout);
  reference::summed_backward(c.shape(), r.dq.data(), r.dk.data(), r.dv.data(), dout.data(), q.data(), k.data(),
                             v.data(), seen, dropout);
  return r;
}

template <class T>
SummedResult run_kernels(const Summed& c, const Doubles& local, const Doubles& q, const Doubles& k, const Doubles& v,
                         const Doubles& dout, const std::uint32_t* seen, const Dropout& dropout) {
  const SummedShape a = c.shape();
  const std::int64_t rows = c.S * c.N, wk = c.H * c.E, wv = c.H * c.Ev;
  std::vector<T> inputs(size_of(rows * a.row_stride), Guarded<T>::sentinel()), zeros = inputs;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto put = [&](const Doubles& x, std::int64_t width, std::int64_t column) {
      for (std::int64_t j = 0; j < width; ++j) {
        inputs[size_of(r * a.row_stride + column + j)] = store<T>(static_cast<float>(x[size_of(r * width + j)]));
        zeros[size_of(r * a.row_stride + column + j)] = store<T>(0.0f);
      }
    };
    put(q, wk, 0);
    put(k, wk, wk);
    put(v, wv, 2 * wk);
  }
  Guarded<T> qkv(inputs), dqkv(zeros), of(test::stored<T>(local)), slopes(test::stored<T>(dout)), out(local.size());
  Guarded<float> sums(size_of(a.sums())), weights(size_of(a.weights()));
  Buffer<std::uint32_t> pairs(a.pair_words(), "test");
  const T *x = qkv.data(), *d = slopes.data();
  if (seen)
    summed_pairs(a, pairs.data(), seen);
  const std::uint32_t* bits = seen ? pairs.data() : nullptr;
  summed_forward(a, out.data(), static_cast<const T*>(of.data()), x, x + wk, x + 2 * wk, bits, dropout, sums.data(),
                 weights.data());
  summed_backward(a, dqkv.data(), dqkv.data() + wk, dqkv.data() + 2 * wk, d, x, x + wk, x + 2 * wk, bits, dropout,
                  sums.data(), weights.data());
  SummedResult r;
  r.out = widened(out.get());
  const std::vector<T> all = dqkv.get();
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t j = 0; j < a.row_stride; ++j) {
      const T value = all[size_of(row * a.row_stride + j)];
      if (j < 2 * wk + wv)
        (j < wk ? r.dq : j < 2 * wk ? r.dk : r.dv).push_back(load(value));
      else
        r.clean = r.clean && Guarded<T>::is_sentinel(value);
    }
  r.clean = r.clean && out.guards_survive() && dqkv.guards_survive() && sums.guards_survive() &&
            weights.guards_survive() && test::same_bits(qkv.get(), inputs);
  return r;
}

TEST(Summed, GradientIsThatOfFiniteDifferences) {
  const Summed c = summed_cases[1];
  auto seen = some_seen(c.S, c.N, c.b);
  seen[1] = 0x0f3; // black pixels here and there: not every pair of slots meets
  seen[2] = 0;     // and a sequence of padding, all of it uniform
  const std::int64_t rows = c.S * c.N * c.H;
  const Doubles q = random_doubles(rows * c.E, 1), k = random_doubles(rows * c.E, 2),
                v = random_doubles(rows * c.Ev, 3), dout = random_doubles(rows * c.Ev, 4), local(dout.size(), 0.0);
  Dropout dropout;
  dropout.seed = 3;
  for (const float probability : {0.0f, 0.3f})
    for (const std::uint32_t* bits : std::initializer_list<const std::uint32_t*>{nullptr, seen.data()}) {
      dropout.probability = probability;
      const SummedResult r = run_reference(c, local, q, k, v, dout, bits, dropout);
      const auto value = [&](const Doubles& at_q, const Doubles& at_k, const Doubles& at_v) {
        return dot(run_reference(c, local, at_q, at_k, at_v, dout, bits, dropout).out, dout);
      };
      EXPECT_AT_MOST(relative_error(r.dq, finite_difference([&](const Doubles& x) { return value(x, k, v); }, q)),
                     1e-7);
      EXPECT_AT_MOST(relative_error(r.dk, finite_difference([&](const Doubles& x) { return value(q, x, v); }, k)),
                     1e-7);
      EXPECT_AT_MOST(relative_error(r.dv, finite_difference([&](const Doubles& x) { return value(q, k, x); }, v)),
                     1e-7);
    }
}

TYPED_TEST(SinkhornKernels, SummedFollowsTheReference) {
  using T = TypeParam;
  for (const Summed& c : summed_cases)
    for (const bool masked : {false, true})
      for (const float probability : {0.0f, 0.25f}) {
        const std::int64_t rows = c.S * c.N * c.H;
        auto seen = some_seen(c.S, c.N, c.b);
        if (c.S == 3)
          seen[1] = 0x0f3, seen[2] = 0;
        const Buffer<std::uint32_t> dev_seen = on_device(seen);
        // Keys are sums of C rows: small ones, or one key takes all the weight.
        const Doubles q = rounded<T>(random_doubles(rows * c.E, 1)), k = rounded<T>(random_doubles(rows * c.E, 2, 0.3)),
                      v = rounded<T>(random_doubles(rows * c.Ev, 3)), dout = rounded<T>(random_doubles(rows * c.Ev, 4)),
                      local = rounded<T>(random_doubles(rows * c.Ev, 5));
        Dropout dropout;
        dropout.probability = probability;
        dropout.seed = 3;
        dropout.step = 4;
        const SummedResult want = run_reference(c, local, q, k, v, dout, masked ? seen.data() : nullptr, dropout),
                           got = run_kernels<T>(c, local, q, k, v, dout, masked ? dev_seen.data() : nullptr, dropout);
        EXPECT_TRUE(got.clean);
        EXPECT_AT_MOST(relative_error(got.out, want.out), this->limit);
        if (c.b > 1) { // a single slot has weight 1 whatever its score
          EXPECT_AT_MOST(relative_error(got.dq, want.dq), 2 * this->limit) << c.N << masked;
          EXPECT_AT_MOST(relative_error(got.dk, want.dk), 2 * this->limit) << c.N << masked;
        }
        EXPECT_AT_MOST(relative_error(got.dv, want.dv), this->limit) << c.N << masked;
      }
}

TYPED_TEST(SinkhornKernels, ASequencesBitsDoNotDependOnItsMicroBatch) {
  using T = TypeParam;
  const Summed two = {2, 150, 50, 2, 16, 16}, one = {1, 150, 50, 2, 16, 16};
  const std::int64_t rows = two.N * two.H;
  const Doubles q = random_doubles(2 * rows * 16, 1), k = random_doubles(2 * rows * 16, 2, 0.3),
                v = random_doubles(2 * rows * 16, 3), dout = random_doubles(2 * rows * 16, 4);
  const auto second = [&](const Doubles& x) {
    return Doubles(x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
  };
  Dropout dropout, later;
  dropout.probability = later.probability = 0.2f;
  later.first_sample = 1;
  const SummedResult both = run_kernels<T>(two, dout, q, k, v, dout, nullptr, dropout),
                     alone = run_kernels<T>(one, second(dout), second(q), second(k), second(v), second(dout), nullptr,
                                            later);
  EXPECT_EQ(second(both.out), alone.out);
  EXPECT_EQ(second(both.dq), alone.dq);
  EXPECT_EQ(second(both.dk), alone.dk);
  EXPECT_EQ(second(both.dv), alone.dv);
}

TYPED_TEST(SinkhornKernels, NanOfAKeyStaysInItsSequenceAndHead) {
  using T = TypeParam;
  const Summed c = {2, 12, 4, 2, 3, 3};
  const std::int64_t rows = c.S * c.N * c.H;
  Doubles k = random_doubles(rows * 3, 2);
  const Doubles q = random_doubles(rows * 3, 1), v = random_doubles(rows * 3, 3), dout = random_doubles(rows * 3, 4);
  k[size_of((5 * 2 + 1) * 3)] = NAN; // sequence 0, position 5, head 1
  const SummedResult got = run_kernels<T>(c, dout, q, k, v, dout, nullptr, {});
  for (std::size_t i = 0; i < got.out.size(); ++i)
    EXPECT_EQ(std::isnan(got.out[i]), i < got.out.size() / 2 && i / 3 % 2 == 1) << i;
}

/// All kernels at one size each.
std::string hash_of_all() {
  test::Hash hash;
  const Matrices m = some_matrices(2, 3, 40, 41, 7, 0.75f);
  const Normalised n = normalise<bf16>(m, random_doubles(m.shape.entries(), 3), true);
  hash.add(n.p);
  hash.add(n.dlogits);
  const Summed c = summed_cases[3];
  const std::int64_t rows = c.S * c.N * c.H;
  const Doubles v = random_doubles(rows * c.Ev, 3);
  const SummedResult r =
      run_kernels<bf16>(c, v, random_doubles(rows * c.E, 1), random_doubles(rows * c.E, 2), v, v, nullptr, {});
  for (const Doubles* x : {&r.out, &r.dq, &r.dk, &r.dv})
    hash.add(*x);
  const Blocks b = block_cases[3];
  const HeadRows lie = b.lie();
  const Doubles x = random_doubles(2 * lie.length * lie.stride, 4), p = random_doubles(2 * 3 * 3 * 3, 5);
  const Buffer<bf16> from = to_device<bf16>(x);
  const Buffer<float> weights = to_device<float>(p);
  Buffer<bf16> sorted = to_device<bf16>(random_doubles(2 * lie.sorted_length * lie.sorted_stride, 6));
  Buffer<float> dp(static_cast<std::int64_t>(p.size()), "test");
  mix_blocks_backward_weights(b.shape, lie, dp.data(), static_cast<const bf16*>(sorted.data()), from.data(), nullptr,
                              Into::overwrite);
  mix_blocks_forward(b.shape, lie, sorted.data(), from.data(), weights.data(), nullptr);
  hash.add(to_doubles(sorted));
  hash.add(to_doubles(dp));
  return hash.text();
}

TEST(SinkhornThreads, DISABLED_PrintBits) { std::printf("%s\n", hash_of_all().c_str()); }

TEST(SinkhornThreads, ChangeNoBit) {
  test::expect_from_threads("SinkhornThreads.DISABLED_PrintBits", hash_of_all(), {1, 2, 5});
}

} // namespace
