// Keys that are made of queries, by each convention.
#include "kernels/lsh/keys.hpp"
#include "tests/kernels/lsh_problem.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

template <class T>
struct SharedKeysKernels : StorageTest<T> {};
TYPED_TEST_SUITE(SharedKeysKernels, StorageTypes);

constexpr SharedKeys conventions[] = {SharedKeys::unit, SharedKeys::trax, SharedKeys::raw};

TEST(Reference, SharedKeysGradientsAreThoseOfFiniteDifferences) {
  const std::int64_t rows = 3, E = 5;
  const Doubles q = random_doubles(rows * E, 1), dk = random_doubles(rows * E, 2), base = random_doubles(rows * E, 3);
  for (const SharedKeys kind : conventions) {
    Doubles dq = base;
    reference::shared_keys_backward(kind, dq.data(), dk.data(), q.data(), rows, E);
    for (std::size_t n = 0; n < dq.size(); ++n)
      dq[n] -= base[n];
    EXPECT_AT_MOST(relative_error(dq, finite_difference(
                                          [&](const Doubles& x) {
                                            Doubles k(x.size());
                                            reference::shared_keys_forward(kind, k.data(), x.data(), rows, E);
                                            return dot(k, dk);
                                          },
                                          q)),
                   1e-8);
  }
  Doubles k(5), zero(5, 0);
  reference::shared_keys_forward(SharedKeys::unit, k.data(), q.data(), 1, E);
  EXPECT_NEAR(dot(k, k), 1, 1e-12);
  reference::shared_keys_forward(SharedKeys::unit, k.data(), zero.data(), 1, E);
  EXPECT_EQ(k, zero);
}

TYPED_TEST(SharedKeysKernels, SharedKeysFollowTheReference) {
  for (const std::int64_t E : {1, 5, 40}) {
    const Problem p{"", 2, 9, 2, E, 3, rule_of(1, 4, ""), 2};
    const AttentionShape shape = p.shape();
    for (const SharedKeys kind : conventions) {
      Trial<TypeParam> run(p);
      std::fill(run.q.begin(), run.q.begin() + E, 0.0); // a key without a direction
      const Doubles by_q = rounded<float>(random_doubles(p.keys(), 5)),
                    by_k = rounded<float>(random_doubles(p.keys(), 6));
      Guarded<TypeParam> q = run.laid_out(run.q, p.H * E, shape.row_stride_qkv),
                         k(static_cast<std::size_t>(p.S * p.N * shape.row_stride_qkv)),
                         dq(static_cast<std::size_t>(p.S * p.N * shape.row_stride_qkv));
      const Doubles by_v = rounded<TypeParam>(random_doubles(p.values(), 7));
      Buffer<float> from_q = to_device<float>(by_q), from_k = to_device<float>(by_k), from_v = to_device<float>(by_v);
      shared_keys_forward(kind, shape, k.data(), q.data());
      shared_keys_backward(kind, shape, dq.data(), dq.data() + p.H * E, from_q.data(), from_k.data(), from_v.data(),
                           q.data());
      Doubles want_k(run.q.size()), want_dq = by_q;
      reference::shared_keys_forward(kind, want_k.data(), run.q.data(), p.S * p.N * p.H, E);
      reference::shared_keys_backward(kind, want_dq.data(), by_k.data(), run.q.data(), p.S * p.N * p.H, E);
      // Columns [from, from + width) of all rows; behind `written` nobody may have been.
      const auto part = [&](const Guarded<TypeParam>& rows, std::int64_t from, std::int64_t width,
                            std::int64_t written) {
        Doubles dense;
        const std::vector<TypeParam> all = rows.get();
        for (std::int64_t n = 0; n < p.S * p.N * shape.row_stride_qkv; ++n) {
          const std::int64_t column = n % shape.row_stride_qkv;
          const TypeParam x = all[static_cast<std::size_t>(n)];
          if (column >= from && column < from + width)
            dense.push_back(static_cast<double>(load(x)));
          EXPECT_TRUE(column < written || Guarded<TypeParam>::is_sentinel(x));
        }
        return dense;
      };
      const std::int64_t qs = p.H * E, vs = p.H * p.Ev;
      EXPECT_AT_MOST(relative_error(part(k, 0, qs, qs), want_k), this->limit) << E;
      EXPECT_EQ(part(dq, qs, vs, qs + vs), by_v);
      if (kind != SharedKeys::trax) { // there the derivative at 0 is 1000 / sqrt(E)
        EXPECT_AT_MOST(relative_error(part(dq, 0, qs, qs + vs), want_dq), this->limit) << E;
      }
      EXPECT_TRUE(k.guards_survive() && dq.guards_survive());
    }
  }
}

} // namespace
