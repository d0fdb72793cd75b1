// The gates of MEGA's attention: the reference against finite differences, the kernels against the reference.
#include "kernels/gate/gate.hpp"
#include "tests/kernels/kernel_test.hpp"
#include <algorithm>
#include <cstdio>

namespace {

WEFT_STORAGE_SUITE(GateOf);

const GateShape shapes[] = {{1, 1, 1, 1}, {5, 9, 7, 15}, {64, 8, 16, 24}, {131, 20, 9, 33}};

/// All arrays that go in, and slopes of what comes out.
struct Values {
  Doubles mixed, v, attended, hidden, x, gain_q, shift_q, gain_k, shift_k, dqkv, dout, dy;

  GateTensors<const double*> tensors() const { return {gain_q.data(), shift_q.data(), gain_k.data(), shift_k.data()}; }
};
template <class T>
Values values_of(const GateShape& g) {
  const auto some = [](std::int64_t n, unsigned seed) { return rounded<T>(random_doubles(n, seed, 1.5)); };
  const auto tensor = [&](unsigned seed) { return rounded<float>(random_doubles(g.shared, seed)); };
  const std::int64_t R = g.rows;
  return {some(R * g.mixed(), 1),
          some(R * g.values, 2),
          some(R * g.values, 3),
          some(R * g.width, 4),
          some(R * g.width, 5),
          tensor(6),
          tensor(7),
          tensor(8),
          tensor(9),
          some(R * g.heads(), 10),
          some(R * g.values, 11),
          some(R * g.width, 12)};
}

struct Result {
  Doubles qkv, out, added, y, dmixed, dv, dattended, dhidden, dx, gain_q, shift_q, gain_k, shift_k;
  bool clean = true;
};

Result reference_of(const GateShape& g, const Values& v) {
  const auto empty = [](const Doubles& like) { return Doubles(like.size(), NAN); };
  Result r{empty(v.dqkv),   empty(v.dout),   v.hidden,       empty(v.dy), empty(v.mixed),
           empty(v.v),      empty(v.dout),   empty(v.dy),    empty(v.dy), empty(v.gain_q),
           empty(v.gain_q), empty(v.gain_q), empty(v.gain_q)};
  reference::gate_heads_forward(g, r.qkv.data(), v.mixed.data(), v.v.data(), v.tensors());
  reference::gate_reset_forward(g, r.out.data(), v.attended.data(), v.mixed.data());
  reference::gate_hidden_forward(g, r.added.data(), v.mixed.data());
  reference::gate_update_forward(g, r.y.data(), v.mixed.data(), v.hidden.data(), v.x.data());
  const GateTensors<double*> d{r.gain_q.data(), r.shift_q.data(), r.gain_k.data(), r.shift_k.data()};
  reference::gate_heads_backward(g, r.dmixed.data(), r.dv.data(), d, v.dqkv.data(), v.mixed.data(), v.v.data(),
                                 v.tensors());
  reference::gate_reset_backward(g, r.dattended.data(), r.dmixed.data(), v.dout.data(), v.attended.data(),
                                 v.mixed.data());
  reference::gate_hidden_backward(g, r.dmixed.data(), v.dy.data());
  reference::gate_update_backward(g, r.dhidden.data(), r.dx.data(), r.dmixed.data(), v.dy.data(), v.mixed.data(),
                                  v.hidden.data(), v.x.data());
  return r;
}

template <class T>
Result kernels_of(const GateShape& g, const Values& v) {
  const auto in = [](const Doubles& x) { return Guarded<T>(test::stored<T>(x)); };
  Guarded<T> mixed = in(v.mixed), values = in(v.v), attended = in(v.attended), hidden = in(v.hidden), x = in(v.x),
             dqkv = in(v.dqkv), dy = in(v.dy), dx = in(v.dy), dattended = in(v.dout), added = in(v.hidden),
             qkv(v.dqkv.size()), out(v.dout.size()), y(v.dy.size()), dmixed(v.mixed.size()), dv(v.v.size()),
             dhidden(v.dy.size());
  const auto tensor = [](const Doubles& t) { return Guarded<float>(test::stored<float>(t)); };
  Guarded<float> gain_q = tensor(v.gain_q), shift_q = tensor(v.shift_q), gain_k = tensor(v.gain_k),
                 shift_k = tensor(v.shift_k), dgain_q(v.gain_q.size()), dshift_q(v.gain_q.size()),
                 dgain_k(v.gain_q.size()), dshift_k(v.gain_q.size()),
                 partial(static_cast<std::size_t>(gate_workspace(g)));
  const GateTensors<const float*> tensors{gain_q.data(), shift_q.data(), gain_k.data(), shift_k.data()};
  const GateTensors<float*> gradients{dgain_q.data(), dshift_q.data(), dgain_k.data(), dshift_k.data()};
  gate_heads_forward<T>(g, qkv.data(), mixed.data(), values.data(), tensors);
  gate_reset_forward<T>(g, out.data(), attended.data(), mixed.data());
  gate_hidden_forward<T>(g, added.data(), mixed.data());
  gate_update_forward<T>(g, y.data(), mixed.data(), hidden.data(), x.data());
  gate_heads_backward<T>(g, dmixed.data(), dv.data(), gradients, dqkv.data(), mixed.data(), values.data(), tensors,
                         partial.data());
  gate_reset_backward<T>(g, dattended.data(), dmixed.data(), dattended.data(), attended.data(), mixed.data());
  gate_hidden_backward<T>(g, dmixed.data(), dy.data());
  gate_update_backward<T>(g, dhidden.data(), dx.data(), dmixed.data(), dx.data(), mixed.data(), hidden.data(),
                          x.data());
  Result r{widened(qkv.get()),     widened(out.get()),     widened(added.get()),     widened(y.get()),
           widened(dmixed.get()),  widened(dv.get()),      widened(dattended.get()), widened(dhidden.get()),
           widened(dx.get()),      widened(dgain_q.get()), widened(dshift_q.get()),  widened(dgain_k.get()),
           widened(dshift_k.get())};
  for (const Guarded<T>* one : {&qkv, &out, &added, &y, &dmixed, &dv, &dattended, &dhidden, &dx})
    r.clean = r.clean && one->guards_survive();
  for (const Guarded<float>* one : {&dgain_q, &dshift_q, &dgain_k, &dshift_k, &partial})
    r.clean = r.clean && one->guards_survive();
  return r;
}

TEST(Reference, GateGradientsAreThoseOfFiniteDifferences) {
  const GateShape g{3, 4, 2, 5};
  const Values v = values_of<float>(g);
  const Result got = reference_of(g, v);
  // A random weighted sum of all four results.
  const auto loss = [&](const Values& at) {
    const Result r = reference_of(g, at);
    return dot(r.qkv, v.dqkv) + dot(r.out, v.dout) + dot(r.added, v.dy) + dot(r.y, v.dy);
  };
  const auto check = [&](const Doubles& gradient, Doubles Values::*of, const char* name) {
    EXPECT_AT_MOST(relative_error(gradient, finite_difference_by(of, v, loss)), 1e-9) << name;
  };
  check(got.dmixed, &Values::mixed, "mixed");
  check(got.dv, &Values::v, "v");
  check(got.dattended, &Values::attended, "attended");
  check(got.dx, &Values::x, "x");
  Doubles dhidden = got.dhidden; // and what hidden + h passes on
  for (std::size_t i = 0; i < dhidden.size(); ++i)
    dhidden[i] += v.dy[i];
  check(dhidden, &Values::hidden, "hidden");
  check(got.gain_q, &Values::gain_q, "gain_q");
  check(got.shift_q, &Values::shift_q, "shift_q");
  check(got.gain_k, &Values::gain_k, "gain_k");
  check(got.shift_k, &Values::shift_k, "shift_k");
}

TYPED_TEST(GateOf, EveryCaseFollowsTheReferenceInPlace) {
  for (const GateShape& g : shapes) {
    SCOPED_TRACE(g.rows);
    const Values v = values_of<TypeParam>(g);
    const Result want = reference_of(g, v), got = kernels_of<TypeParam>(g, v);
    EXPECT_TRUE(got.clean);
    for (Doubles Result::*of : {&Result::qkv, &Result::out, &Result::added, &Result::y, &Result::dmixed, &Result::dv,
                                &Result::dattended, &Result::dhidden, &Result::dx})
      EXPECT_AT_MOST(relative_error(got.*of, want.*of), this->limit);
    for (Doubles Result::*of : {&Result::gain_q, &Result::shift_q, &Result::gain_k, &Result::shift_k})
      EXPECT_AT_MOST(relative_error(got.*of, want.*of), 3e-6);
  }
}

TYPED_TEST(GateOf, ShowsNanInItsOwnRowAndColumnOnly) {
  const GateShape g{70, 4, 3, 5};
  Values v = values_of<TypeParam>(g);
  const std::size_t W = static_cast<std::size_t>(g.mixed()), row = 66;
  for (const std::size_t column : {1, 4 + 2, 4 + 3 + 1, 4 + 3 + 5 + 2}) // of u, z, r, h
    v.mixed[row * W + column] = NAN;
  const Result r = kernels_of<TypeParam>(g, v);
  const auto only = [&](const Doubles& x, std::size_t width, std::initializer_list<std::size_t> columns) {
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(std::isnan(x[i]),
                i / width == row && std::find(columns.begin(), columns.end(), i % width) != columns.end())
          << i;
  };
  only(r.qkv, 11, {2, 5});
  only(r.out, 5, {1});
  only(r.added, 4, {2});
  only(r.y, 4, {1});
  only(r.dmixed, W, {1, 6, 8});
  for (std::size_t j = 0; j < 3; ++j) {
    EXPECT_EQ(std::isnan(r.gain_q[j]), j == 2);
    EXPECT_FALSE(std::isnan(r.shift_q[j]));
  }
}

std::string bits() {
  test::Hash hash;
  for (const GateShape& g : shapes) {
    const Result r = kernels_of<bf16>(g, values_of<bf16>(g));
    hash.add(r.qkv, r.y, r.dmixed, r.dv, r.dattended, r.dx, r.gain_q, r.shift_k);
  }
  return hash.text();
}

TEST(GateBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(GateBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("GateBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
