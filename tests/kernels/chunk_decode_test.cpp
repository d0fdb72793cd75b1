// Attention of one new position over its chunk: the reference against the whole chunk's, the kernel against the
// reference, and that it reads and writes nothing but its rows.
#include "kernels/pointwise_attention/chunk_decode.hpp"
#include "kernels/pointwise_attention/pointwise_attention.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(ChunkDecodeOf);

struct Case {
  ChunkDecode call;
  std::int64_t place;
};
ChunkDecode call_of(std::int64_t samples, std::int64_t Z, std::int64_t V, std::int64_t capacity, ChunkWeights weights,
                    std::int64_t reach) {
  return {samples, Z, V, capacity, 2 * Z + V + 3, weights, reach};
}
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const ChunkWeights weights : {ChunkWeights::softmax, ChunkWeights::laplace, ChunkWeights::squared_relu}) {
    all.push_back({call_of(1, 1, 1, 1, weights, 0), 0});
    all.push_back({call_of(3, 12, 20, 16, weights, 16), 0});
    all.push_back({call_of(3, 12, 20, 16, weights, 16), 15});
    all.push_back({call_of(2, 37, 301, 70, weights, 9), 40}); // keys behind the reach
    all.push_back({call_of(1, 64, 128, 300, weights, 300), 257});
  }
  return all;
}

struct Values {
  Doubles qkv, keys, values, bias; ///< the caches with the new rows in their places
};
template <class T>
Values values_of(const Case& c) {
  const ChunkDecode& d = c.call;
  Values v{rounded<T>(random_doubles(d.samples * d.row_stride, 1)),
           rounded<T>(random_doubles(d.samples * d.capacity * d.key_width, 2)),
           rounded<T>(random_doubles(d.samples * d.capacity * d.value_width, 3)),
           rounded<float>(random_doubles(std::max<std::int64_t>(1, 2 * d.reach - 1), 4))};
  for (std::int64_t b = 0; b < d.samples; ++b) {
    const auto k = v.qkv.begin() + b * d.row_stride + d.key_width;
    std::copy_n(k, d.key_width, v.keys.begin() + (b * d.capacity + c.place) * d.key_width);
    std::copy_n(k + d.key_width, d.value_width, v.values.begin() + (b * d.capacity + c.place) * d.value_width);
  }
  return v;
}

template <class T>
Doubles kernel_of(const Case& c, const Values& v, bool& clean) {
  const ChunkDecode& d = c.call;
  Doubles keys = v.keys, values = v.values; // NaN in rows that are not there yet
  for (std::int64_t b = 0; b < d.samples; ++b) {
    std::fill(keys.begin() + (b * d.capacity + c.place) * d.key_width,
              keys.begin() + (b + 1) * d.capacity * d.key_width, NAN);
    std::fill(values.begin() + (b * d.capacity + c.place) * d.value_width,
              values.begin() + (b + 1) * d.capacity * d.value_width, NAN);
  }
  Guarded<T> qkv(test::stored<T>(v.qkv)), k(test::stored<T>(keys)), val(test::stored<T>(values)),
      out(static_cast<std::size_t>(d.samples * d.value_width));
  const Buffer<float> bias = to_device<float>(v.bias);
  Guarded<float> workspace(static_cast<std::size_t>(chunk_decode_workspace(d)));
  chunk_decode<T>(d, out.data(), qkv.data(), k.data(), val.data(), bias.data(), c.place, workspace.data());
  clean = out.guards_survive() && k.guards_survive() && val.guards_survive() && workspace.guards_survive();
  const Doubles kept_keys = widened(k.get()), kept_values = widened(val.get());
  for (std::int64_t b = 0; b < d.samples; ++b)
    for (std::int64_t j = 0; j < d.capacity; ++j)
      for (std::int64_t e = 0; e < d.key_width + d.value_width; ++e) {
        const bool key = e < d.key_width;
        const auto at = static_cast<std::size_t>(key ? (b * d.capacity + j) * d.key_width + e
                                                     : (b * d.capacity + j) * d.value_width + e - d.key_width);
        const double kept = key ? kept_keys[at] : kept_values[at], want = key ? v.keys[at] : v.values[at];
        clean = clean && (j <= c.place ? kept == want : std::isnan(kept));
      }
  return widened(out.get());
}

TYPED_TEST(ChunkDecodeOf, FollowsTheReferenceAndKeepsTheNewRows) {
  for (const Case& c : cases()) {
    const Values v = values_of<TypeParam>(c);
    Doubles want(static_cast<std::size_t>(c.call.samples * c.call.value_width), NAN);
    reference::chunk_decode(c.call, want.data(), v.qkv.data(), v.keys.data(), v.values.data(), v.bias.data(), c.place);
    bool clean = false;
    const Doubles got = kernel_of<TypeParam>(c, v, clean);
    EXPECT_TRUE(clean) << c.place;
    EXPECT_AT_MOST(relative_error(got, want), 2 * this->limit) << c.call.key_width << " " << c.place;
  }
}

TYPED_TEST(ChunkDecodeOf, ShowsNanInItsOwnSampleOnly) {
  const Case c{call_of(3, 12, 20, 16, ChunkWeights::softmax, 16), 9};
  Values v = values_of<TypeParam>(c);
  v.keys[static_cast<std::size_t>((16 + 4) * 12)] = NAN;
  bool clean = false;
  const Doubles got = kernel_of<TypeParam>(c, v, clean);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_EQ(std::isnan(got[i]), i / 20 == 1) << i;
}

/// Row by row it is the causal attention of the whole chunk.
TEST(Reference, ChunkDecodeIsARowOfPointwiseAttention) {
  const std::int64_t N = 9, Z = 3, V = 4;
  for (const ChunkWeights weights : {ChunkWeights::laplace, ChunkWeights::squared_relu}) {
    PointwiseAttention whole{1, N, Z, V, Z};
    whole.causal = true;
    whole.reach = N;
    whole.function = weights == ChunkWeights::laplace ? PointFunction::laplace : PointFunction::squared_relu;
    const Doubles q = random_doubles(N * Z, 1), k = random_doubles(N * Z, 2), v = random_doubles(N * V, 3),
                  bias = random_doubles(2 * N - 1, 4);
    Doubles want(static_cast<std::size_t>(N * V));
    reference::pointwise_attention_forward(whole, want.data(), q.data(), k.data(), v.data(), bias.data());
    const ChunkDecode call{1, Z, V, N, Z, weights, N};
    for (std::int64_t i = 0; i < N; ++i) {
      Doubles got(static_cast<std::size_t>(V));
      reference::chunk_decode(call, got.data(), q.data() + i * Z, k.data(), v.data(), bias.data(), i);
      EXPECT_AT_MOST(relative_error(got, Doubles(want.begin() + i * V, want.begin() + (i + 1) * V)), 1e-14) << i;
    }
  }
}

std::string bits() {
  test::Hash hash;
  for (const Case& c : cases()) {
    bool clean = false;
    hash.add(kernel_of<float>(c, values_of<float>(c), clean));
  }
  return hash.text();
}

TEST(ChunkDecodeBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(ChunkDecodeBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("ChunkDecodeBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
