// Attention with weights that are functions of single scores: the reference against finite differences, the kernels
// against the reference, what must not be read, threads.
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

WEFT_STORAGE_SUITE(PointwiseAttentionOf);

struct Case {
  std::int64_t S, N, Z, V, chunk;
  bool causal;
  PointFunction function;
  std::int64_t reach;
  bool padded;
  float dropped = 0;
};
constexpr auto laplace = PointFunction::laplace, relu = PointFunction::squared_relu;
// One number; less and more than a tile; chunks that do and do not divide the length; values wider than a row of
// groups.
const Case cases[] = {
    {1, 1, 1, 1, 0, false, laplace, 1, false},          {2, 20, 7, 9, 0, false, relu, 20, true},
    {2, 70, 8, 16, 32, true, laplace, 32, false},       {2, 150, 12, 20, 0, true, relu, 150, false},
    {3, 150, 12, 33, 0, false, laplace, 150, true},     {2, 150, 9, 20, 70, false, relu, 70, true, 0.2f},
    {2, 131, 9, 20, 65, true, laplace, 40, true, 0.1f}, {1, 140, 5, 300, 100, false, laplace, 0, true}};

/// The call of a case; rows of its first sequence are real but for every fifth, of the others up to a length, and a
/// whole chunk of the last one is not.
struct Call {
  explicit Call(const Case& c)
      : shape{c.S, c.N, c.Z, c.V, 2 * c.Z + c.V + 3}, words((c.N + 31) / 32),
        bits(static_cast<std::size_t>(c.S * words)), seen(c.S * words, "seen") {
    for (std::int64_t b = 0; b < c.S; ++b)
      for (std::int64_t i = 0; i < c.N; ++i)
        if (b == 0 ? i % 5 != 3 : i < c.N - 13 * b)
          bits[static_cast<std::size_t>(b * words + i / 32)] |= 1u << (i % 32);
    shape.chunk = c.chunk;
    shape.causal = c.causal;
    shape.function = c.function;
    shape.reach = c.reach;
    shape.dropout = {c.dropped, 5, 7, 2, 3};
    shape.dropout_stride = c.N + 3;
    copy_to_device(seen.data(), bits.data(), bits.size() * sizeof(bits[0]));
    padded = c.padded;
  }
  bool real(std::int64_t b, std::int64_t i) const {
    return !padded || (bits[static_cast<std::size_t>(b * words + i / 32)] >> (i % 32) & 1u) != 0;
  }
  PointwiseAttention on_host() const {
    PointwiseAttention s = shape;
    s.seen = padded ? bits.data() : nullptr;
    return s;
  }
  PointwiseAttention on_device() {
    PointwiseAttention s = shape;
    s.seen = padded ? seen.data() : nullptr;
    return s;
  }
  std::int64_t rows() const { return shape.sequences * shape.length; }

  PointwiseAttention shape;
  std::int64_t words;
  std::vector<std::uint32_t> bits;
  Buffer<std::uint32_t> seen;
  bool padded;
};

struct Values {
  Doubles q, k, v, dout, bias;
};
template <class T>
Values values_of(const Call& c) {
  const PointwiseAttention& s = c.shape;
  // Scores about as large as the number of keys, so that weights differ.
  const double size = std::sqrt(static_cast<double>(s.length));
  return {rounded<T>(random_doubles(c.rows() * s.key_width, 1, size)),
          rounded<T>(random_doubles(c.rows() * s.key_width, 2)),
          rounded<T>(random_doubles(c.rows() * s.value_width, 3)),
          rounded<T>(random_doubles(c.rows() * s.value_width, 4)),
          rounded<float>(random_doubles(std::max<std::int64_t>(0, 2 * s.reach - 1), 5, 0.3))};
}

struct Result {
  Doubles out, dq, dk, dv, dbias;
  bool clean = true;
};

Result reference_of(const Call& c, const Values& v) {
  const PointwiseAttention s = c.on_host();
  const auto empty = [](const Doubles& like) { return Doubles(like.size(), NAN); };
  Result r{empty(v.dout), empty(v.q), empty(v.k), empty(v.v), empty(v.bias)};
  reference::pointwise_attention_forward(s, r.out.data(), v.q.data(), v.k.data(), v.v.data(), v.bias.data());
  reference::pointwise_attention_backward(s, r.dq.data(), r.dk.data(), r.dv.data(), r.dbias.data(), v.dout.data(),
                                          v.q.data(), v.k.data(), v.v.data(), v.bias.data());
  return r;
}

/// Queries, keys and values side by side in one row, with a gap, and back again.
template <class T>
Result kernels_of(Call& c, const Values& v) {
  const PointwiseAttention s = c.on_device();
  const std::int64_t Z = s.key_width, V = s.value_width, R = c.rows();
  std::vector<T> rows(static_cast<std::size_t>(R * s.stride), Guarded<T>::sentinel());
  const auto put = [&](const Doubles& from, std::int64_t first, std::int64_t width) {
    for (std::int64_t i = 0; i < R * width; ++i)
      rows[static_cast<std::size_t>(i / width * s.stride + first + i % width)] =
          store<T>(static_cast<float>(from[static_cast<std::size_t>(i)]));
  };
  put(v.q, 0, Z);
  put(v.k, Z, Z);
  put(v.v, 2 * Z, V);
  Guarded<T> qkv(rows), dqkv(rows.size()), dout(test::stored<T>(v.dout)), out(v.dout.size());
  Guarded<float> bias(test::stored<float>(v.bias)), dbias(v.bias.size()),
      workspace(static_cast<std::size_t>(pointwise_attention_workspace(s)));
  pointwise_attention_forward<T>(s, out.data(), qkv.data(), qkv.data() + Z, qkv.data() + 2 * Z, bias.data(),
                                 workspace.data());
  pointwise_attention_backward<T>(s, dqkv.data(), dqkv.data() + Z, dqkv.data() + 2 * Z, dbias.data(), dout.data(),
                                  qkv.data(), qkv.data() + Z, qkv.data() + 2 * Z, bias.data(), workspace.data());
  const std::vector<T> gradients = dqkv.get();
  Result r{widened(out.get()), {}, {}, {}, widened(dbias.get())};
  r.clean = out.guards_survive() && dqkv.guards_survive() && dbias.guards_survive() && workspace.guards_survive();
  for (std::int64_t i = 0; i < R * s.stride; ++i) {
    const std::int64_t column = i % s.stride;
    const T x = gradients[static_cast<std::size_t>(i)];
    if (column >= 2 * Z + V)
      r.clean = r.clean && Guarded<T>::is_sentinel(x);
    else
      (column < Z ? r.dq : column < 2 * Z ? r.dk : r.dv).push_back(static_cast<double>(load(x)));
  }
  return r;
}

TEST(Reference, LaplaceAndSquaredReluMeetAtTheRootOfOneHalf) {
  // One query, one key: the weight is f(q k), the value 1.
  for (const PointFunction f : {laplace, relu}) {
    const PointwiseAttention s{1, 1, 1, 1, 0, 0, false, f};
    const double q = std::sqrt(0.5), one = 1;
    double out = NAN, dq = NAN, dk = NAN, dv = NAN;
    reference::pointwise_attention_forward(s, &out, &q, &one, &one, nullptr);
    reference::pointwise_attention_backward(s, &dq, &dk, &dv, nullptr, &one, &q, &one, &one, nullptr);
    EXPECT_NEAR(out, 0.5, 1e-6);
    EXPECT_NEAR(dq, std::sqrt(2), 1e-5);
    EXPECT_NEAR(dv, 0.5, 1e-6);
  }
}

TEST(Reference, PointwiseAttentionGradientsAreThoseOfFiniteDifferences) {
  for (const Case& c : {Case{2, 7, 3, 4, 0, false, laplace, 7, true}, Case{2, 7, 3, 4, 4, true, relu, 3, true, 0.3f},
                        Case{1, 6, 3, 4, 3, true, laplace, 3, false}}) {
    const Call call(c);
    const Values v = values_of<float>(call);
    const Result got = reference_of(call, v);
    const auto check = [&](const Doubles& gradient, Doubles Values::*of, const char* name) {
      const Doubles want = finite_difference(
          [&](const Doubles& x) {
            Values moved = v;
            moved.*of = x;
            return dot(reference_of(call, moved).out, v.dout);
          },
          v.*of);
      EXPECT_AT_MOST(relative_error(gradient, want), c.function == relu ? 1e-7 : 1e-9) << name;
    };
    check(got.dq, &Values::q, "q");
    check(got.dk, &Values::k, "k");
    check(got.dv, &Values::v, "v");
    check(got.dbias, &Values::bias, "bias");
  }
}

TYPED_TEST(PointwiseAttentionOf, EveryCaseFollowsTheReference) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.N + 1000 * c.chunk);
    Call call(c);
    const Values v = values_of<TypeParam>(call);
    const Result want = reference_of(call, v), got = kernels_of<TypeParam>(call, v);
    EXPECT_TRUE(got.clean);
    for (Doubles Result::*of : {&Result::out, &Result::dq, &Result::dk, &Result::dv})
      EXPECT_AT_MOST(relative_error(got.*of, want.*of), this->limit);
    if (c.reach > 0) {
      EXPECT_AT_MOST(relative_error(got.dbias, want.dbias), 5e-6);
    }
  }
}

TYPED_TEST(PointwiseAttentionOf, DoesNotReadWhatIsNotReal) {
  Call call(cases[4]);
  Values v = values_of<TypeParam>(call);
  const Result before = kernels_of<TypeParam>(call, v);
  const std::int64_t Z = call.shape.key_width, V = call.shape.value_width;
  for (std::int64_t row = 0; row < call.rows(); ++row)
    if (!call.real(row / call.shape.length, row % call.shape.length)) {
      for (std::int64_t e = 0; e < Z; ++e)
        v.k[static_cast<std::size_t>(row * Z + e)] = NAN;
      for (std::int64_t e = 0; e < V; ++e)
        v.v[static_cast<std::size_t>(row * V + e)] = INFINITY;
    }
  const Result after = kernels_of<TypeParam>(call, v);
  EXPECT_EQ(after.out, before.out);
  EXPECT_EQ(after.dq, before.dq);
  EXPECT_EQ(after.dk, before.dk);
  EXPECT_EQ(after.dv, before.dv);
  EXPECT_EQ(after.dbias, before.dbias);
}

TYPED_TEST(PointwiseAttentionOf, ShowsNanToThoseThatSeeItAlone) {
  Call call(cases[3]); // causal, one chunk
  Values v = values_of<TypeParam>(call);
  const std::int64_t bad = 100, N = call.shape.length, V = call.shape.value_width;
  v.v[static_cast<std::size_t>((N + bad) * V)] = NAN; // a value of the second sequence
  const Result r = kernels_of<TypeParam>(call, v);
  for (std::int64_t i = 0; i < 2 * N * V; ++i)
    ASSERT_EQ(std::isnan(r.out[static_cast<std::size_t>(i)]), i / V >= N + bad && i % V == 0) << i;
}

TEST(PointwiseAttention, ASequenceDoesNotDependOnTheOthers) {
  Case c = cases[4];
  Call three(c);
  c.S = 1;
  Call one(c);
  const Values v = values_of<float>(three);
  Values first = v;
  const auto cut = [](Doubles& x) { x.resize(x.size() / 3); };
  cut(first.q);
  cut(first.k);
  cut(first.v);
  cut(first.dout);
  const Result all = kernels_of<float>(three, v), alone = kernels_of<float>(one, first);
  for (Doubles Result::*of : {&Result::out, &Result::dq, &Result::dk, &Result::dv})
    EXPECT_TRUE(std::equal((alone.*of).begin(), (alone.*of).end(), (all.*of).begin()));
}

std::string bits() {
  test::Hash hash;
  for (const Case& c : cases) {
    Call call(c);
    const Result r = kernels_of<bf16>(call, values_of<bf16>(call));
    hash.add(r.out, r.dq, r.dk, r.dv, r.dbias);
  }
  return hash.text();
}

TEST(PointwiseAttentionBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(PointwiseAttentionBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("PointwiseAttentionBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
