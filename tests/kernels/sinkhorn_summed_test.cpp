// Attention to the sum of all blocks, the second term of the released Sinkhorn attention.
#include "kernels/sinkhorn/summed.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/sinkhorn_support.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(SummedKernels);

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

TYPED_TEST(SummedKernels, SummedFollowsTheReference) {
  using T = TypeParam;
  for (const Summed& c : summed_cases)
    for (const bool masked : {false, true})
      for (const float probability : {0.0f, 0.25f}) {
        const std::int64_t rows = c.S * c.N * c.H;
        auto seen = some_seen(c.S, c.N, c.b);
        if (c.S == 3)
          seen[1] = 0x0f3, seen[2] = 0;
        const Buffer<std::uint32_t> dev_seen = buffer_of(seen);
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

TYPED_TEST(SummedKernels, ASequencesBitsDoNotDependOnItsMicroBatch) {
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

TYPED_TEST(SummedKernels, NanOfAKeyStaysInItsSequenceAndHead) {
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

std::string hash_of_one() {
  test::Hash hash;
  const Summed c = summed_cases[3];
  const std::int64_t rows = c.S * c.N * c.H;
  const Doubles v = random_doubles(rows * c.Ev, 3);
  const SummedResult r =
      run_kernels<bf16>(c, v, random_doubles(rows * c.E, 1), random_doubles(rows * c.E, 2), v, v, nullptr, {});
  hash.add(r.out, r.dq, r.dk, r.dv);
  return hash.text();
}

TEST(SummedThreads, DISABLED_PrintBits) { std::printf("%s\n", hash_of_one().c_str()); }
TEST(SummedThreads, HasTheSameBitsWithAnyNumberOfThreads) {
  test::expect_from_threads("SummedThreads.DISABLED_PrintBits", hash_of_one(), {1, 2, 5});
}

} // namespace
