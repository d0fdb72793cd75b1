// Hashes and sorted lists of attention over hash buckets.
#include "tests/kernels/lsh_problem.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

LshHash hash_of(std::vector<int> factors, std::int64_t rounds = 2) {
  LshHash hash;
  hash.rounds = rounds;
  hash.count = static_cast<int>(factors.size());
  std::copy(factors.begin(), factors.end(), hash.factors);
  hash.seed = 5;
  hash.step = 3;
  return hash;
}

std::vector<float> projections_of(const LshHash& hash, std::int64_t heads, std::int64_t width) {
  Buffer<float> g(std::max<std::int64_t>(1, heads * hash.rounds * width * hash.columns()), "test");
  lsh_projections(g.data(), hash, heads, width);
  return host_of(g);
}

TEST(LshHash, ProjectionsAreNormalAndAFunctionOfWhatTheyAreFor) {
  const LshHash hash = hash_of({128}, 4);
  const std::vector<float> g = projections_of(hash, 3, 32);
  double sum = 0, squares = 0, fourth = 0;
  for (const float x : g) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
    fourth += std::pow(static_cast<double>(x), 4);
  }
  const double n = static_cast<double>(g.size());
  EXPECT_NEAR(sum / n, 0, 0.03);
  EXPECT_NEAR(squares / n, 1, 0.04);
  EXPECT_NEAR(fourth / n, 3, 0.3);
  // No two matrices are alike, and each is the same the next time.
  std::set<float> first;
  for (std::size_t matrix = 0; matrix < 12; ++matrix)
    first.insert(g[matrix * 32 * 64]);
  EXPECT_EQ(first.size(), 12u);
  EXPECT_EQ(projections_of(hash, 3, 32), g);
  for (int what = 0; what < 3; ++what) {
    LshHash other = hash;
    (what == 0 ? other.step : other.layer) += what < 2 ? 1 : 0;
    other.seed += what == 2 ? 1 : 0;
    EXPECT_NE(projections_of(other, 3, 32)[0], g[0]) << what;
  }
  LshHash one = hash;
  one.one_for_all_heads = true;
  const std::vector<float> same = projections_of(one, 3, 32);
  EXPECT_TRUE(std::equal(same.begin(), same.begin() + 4 * 32 * 64, same.begin() + 4 * 32 * 64));
  EXPECT_TRUE(std::equal(same.begin(), same.begin() + 4 * 32 * 64, g.begin()));
}

TEST(LshHash, TheMomentOfAReplayedRecordingCounts) {
  LshHash hash = hash_of({6});
  const std::vector<float> want = projections_of(hash, 2, 4);
  Buffer<std::uint32_t> moment = buffer_of(std::vector<std::uint32_t>{3, 9});
  hash.step = 77;
  hash.moment = moment.data();
  EXPECT_EQ(projections_of(hash, 2, 4), want);
}

template <class T>
struct LshBuckets : StorageTest<T> {};
TYPED_TEST_SUITE(LshBuckets, StorageTypes);

TYPED_TEST(LshBuckets, BucketsAreThoseOfTheReference) {
  for (const std::vector<int>& factors :
       {std::vector<int>{1}, {2}, {4}, {10}, {16}, {62}, {6, 4}, {32, 16}, {2, 4, 6, 2}}) {
    const LshHash hash = hash_of(factors);
    const Problem p{"", 2, 37, 2, 11, 3, rule_of(2, 8, ""), static_cast<int>(hash.buckets()), true};
    Trial<TypeParam> run(p);
    const std::vector<float> g = projections_of(hash, p.H, p.E);
    Buffer<float> projections = buffer_of(g);
    Guarded<TypeParam> q = run.laid_out(run.q, p.H * p.E, run.shape.row_stride_qkv);
    Buffer<int> buckets = buffer_of(std::vector<int>(static_cast<std::size_t>(p.S * p.H * 2 * p.N), -1));
    Buffer<std::uint32_t> bits = buffer_of(p.bits());
    lsh_buckets(buckets.data(), hash, run.shape, q.data(), projections.data(), bits.data());
    const std::vector<int> got = host_of(buckets);
    const std::vector<bool> real = p.real();
    const Doubles wide(g.begin(), g.end());
    int different = 0;
    for (std::int64_t row = 0; row < p.S * p.H * 2; ++row)
      for (std::int64_t i = 0; i < p.N; ++i) {
        const std::int64_t s = row / 2 / p.H, h = row / 2 % p.H, r = row % 2;
        const int want = reference::lsh_bucket(hash, run.q.data() + ((s * p.N + i) * p.H + h) * p.E,
                                               wide.data() + (h * 2 + r) * p.E * hash.columns(), p.E);
        different += got[static_cast<std::size_t>(row * p.N + i)] !=
                     (real[static_cast<std::size_t>(s * p.N + i)] ? want : static_cast<int>(hash.buckets()));
      }
    EXPECT_LE(different, 1) << factors[0]; // a tie up to rounding may go either way
    EXPECT_GE(std::set<int>(got.begin(), got.end()).size(),
              std::min<std::size_t>(20, static_cast<std::size_t>(hash.buckets())));
  }
}

TEST(LshHash, AZeroVectorAndNanGoToBucketZero) {
  const LshHash hash = hash_of({10}, 1);
  const AttentionShape shape{1, 3, 1, 2, 2, 2, 2};
  Buffer<float> q = buffer_of(std::vector<float>{0, 0, NAN, 1, 1, NAN}), g = buffer_of(projections_of(hash, 1, 2));
  Buffer<int> buckets(3, "test");
  lsh_buckets(buckets.data(), hash, shape, q.data(), g.data(), nullptr);
  EXPECT_EQ(host_of(buckets), std::vector<int>(3, 0));
}

TEST(LshSort, IsAStablePermutation) {
  for (const Problem& p : problems()) {
    const std::vector<int> buckets = p.random_buckets();
    const std::int64_t lists = p.S * p.H * p.rule.rounds;
    Buffer<int> from = buffer_of(buckets), order(lists * p.N, "test"), chunk_of(lists * p.N, "test"), real(p.S, "test"),
                work(lsh_sort_workspace(p.shape(), p.rule.rounds, p.buckets), "test");
    lsh_sort(order.data(), chunk_of.data(), real.data(), from.data(), p.shape(), p.rule.rounds, p.buckets, p.rule.chunk,
             work.data());
    const std::vector<int> sorted = host_of(order), chunks = host_of(chunk_of), counts = host_of(real);
    for (std::int64_t list = 0; list < lists; ++list) {
      const int *at = sorted.data() + list * p.N, *bucket = buckets.data() + list * p.N;
      EXPECT_EQ(std::set<int>(at, at + p.N).size(), static_cast<std::size_t>(p.N));
      for (std::int64_t n = 0; n < p.N; ++n) {
        EXPECT_EQ(chunks[static_cast<std::size_t>(list * p.N + at[n])], n / p.rule.chunk);
        if (n == 0)
          continue;
        EXPECT_LT(std::make_pair(bucket[at[n - 1]], at[n - 1]), std::make_pair(bucket[at[n]], at[n]));
      }
      EXPECT_EQ(counts[static_cast<std::size_t>(list / p.H / p.rule.rounds)],
                std::count_if(bucket, bucket + p.N, [&](int b) { return b < p.buckets; }));
    }
  }
}

} // namespace
