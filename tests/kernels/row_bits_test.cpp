// The bits of the row-wise kernels are those of their input alone: not of the number of threads.
#include "kernels/activation/activation.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/loss/loss.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/pairs/pairs.hpp"
#include "kernels/pool/attention_pool.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

struct Hash : test::Hash {
  template <class T>
  void add(const Buffer<T>& x) {
    std::vector<T> host(static_cast<std::size_t>(x.size()));
    copy_to_host(host.data(), x.data(), x.bytes());
    test::Hash::add(host.data(), x.bytes());
  }
};

template <class T>
Buffer<T> some(std::int64_t n, unsigned seed) {
  return to_device<T>(random_doubles(n, seed));
}
template <class T>
Buffer<T> words(std::int64_t n, unsigned modulus) {
  std::vector<T> host;
  for (std::int64_t i = 0; i < n; ++i)
    host.push_back(static_cast<T>(static_cast<std::uint64_t>(i * i + 3) * 2654435761u % modulus));
  Buffer<T> out(n, "test");
  copy_to_device(out.data(), host.data(), out.bytes());
  return out;
}

constexpr std::int64_t S = 6, N = 331, D = 75;
const PoolShape pool{S, N, D};

template <class T>
void add_pools(Hash& hash) {
  const auto x = some<T>(S * N * D, 1), dout = some<T>(S * D, 2);
  const auto scores = some<float>(S * N, 3), v = some<float>(D, 4);
  const auto seen = words<std::uint32_t>(S * seen_words(N), 0xffffffffu);
  Buffer<T> out(S * D, "test"), dx(S * N * D, "test"), features(S / 2 * 4 * D, "test"), dpairs(S * D, "test");
  Buffer<float> weights(S * N, "test"), dscores(S * N, "test"), dv(D, "test"),
      partial(std::max(attention_pool_workspace(pool), column_sum_workspace(S * N, D)), "test");
  pool_mean_forward(out.data(), x.data(), seen.data(), 0.0f, pool, partial.data());
  hash.add(out);
  pool_mean_backward(dx.data(), dout.data(), seen.data(), 0.0f, pool);
  hash.add(dx);
  attention_pool_forward(out.data(), weights.data(), x.data(), scores.data(), seen.data(), pool, partial.data());
  hash.add(out);
  attention_pool_backward_scores(dscores.data(), dout.data(), x.data(), weights.data(), pool);
  hash.add(dscores);
  tanh_scores_backward(dx.data(), dv.data(), dscores.data(), x.data(), v.data(), S * N, D, partial.data());
  hash.add(dx);
  hash.add(dv);
  pairs_forward(features.data(), out.data(), PairFeatures::four, S / 2, D);
  hash.add(features);
  pairs_backward(dpairs.data(), features.data(), out.data(), PairFeatures::four, S / 2, D);
  hash.add(dpairs);
}

template <class T>
void add_rows(Hash& hash) {
  const std::int64_t rows = S * N;
  const auto x = some<T>(rows * D, 1), dout = some<T>(rows * D, 2);
  const auto gain = some<float>(D, 3), bias = some<float>(D, 4), logits = some<float>(rows * D, 5),
             shares = to_device<float>(Doubles(static_cast<std::size_t>(rows), 0.5));
  const auto targets = words<std::uint16_t>(rows, D);
  Buffer<T> out(rows * D, "test"), dx(rows * D, "test");
  Buffer<float> first(rows, "test"), second(rows, "test"), dgain(D, "test"), dbias(D, "test"), dtable(D * D, "test"),
      partial(std::max(norm_workspace(rows, D), column_sum_workspace(rows, D)), "test");
  for (const Activation kind : {Activation::sigmoid_gelu, Activation::gelu_tanh, Activation::gelu, Activation::relu,
                                Activation::silu, Activation::tanh}) {
    activation_backward(out.data(), dx.data(), dbias.data(), dout.data(), x.data(), rows, D, partial.data(), kind);
    hash.add(out);
    hash.add(dx);
    hash.add(dbias);
  }
  norm_forward(out.data(), first.data(), second.data(), x.data(), gain.data(), bias.data(), rows, D, 1e-6f);
  norm_backward(dx.data(), dgain.data(), dbias.data(), dout.data(), x.data(), first.data(), second.data(), gain.data(),
                rows, D, partial.data(), Into::overwrite);
  hash.add(dx);
  hash.add(dgain);
  cross_entropy(first.data(), second.data(), dx.data(), logits.data(), targets.data(), 0.1f, rows, D, shares.data());
  hash.add(first);
  hash.add(dx);
  const EmbeddingShape shape{S, N - 1, D, D, Slots::front, true, 2.0f};
  Coordinates at;
  at.count = 1;
  at.extents[0] = N;
  Buffer<float> start(D, "test"), position(N * D, "test");
  embedding_backward(EmbeddingTables<float*>{dtable.data(), start.data(), {position.data()}}, shape, at, dout.data(),
                     targets.data());
  hash.add(position);
  hash.add(start);
}

std::string hash_of_results() {
  Hash hash;
  add_pools<float>(hash);
  add_pools<bf16>(hash);
  add_rows<float>(hash);
  add_rows<fp16>(hash);
  return hash.text();
}

// Not a promise of its own: the test below runs it in processes with other numbers of threads.
TEST(RowBits, DISABLED_PrintHash) { std::printf("\n%s\n", hash_of_results().c_str()); }

TEST(RowBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("RowBits.DISABLED_PrintHash", hash_of_results(), {1, 2, 3});
}

} // namespace
