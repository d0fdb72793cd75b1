#include "model/layers/lru.hpp"
#include "io/error.hpp"
#include "kernels/activation/activation.hpp"
#include "kernels/recurrence/skip.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

namespace {
/// Of sums over so many numbers to be as large as one of them.
double deviation(std::int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }
} // namespace

template <class T>
Lru<T>::Lru(Plan& plan, const std::string& name, const LruSetup& setup)
    : D(setup.width), P(setup.states), K(setup.directions), dropout_(setup.dropout) {
  const std::int64_t R = plan.R, wide = 2 * P, out = K * 2 * P;
  const DiagonalShape longest = states(plan.S, plan.N);
  in_weight_ = plan.recurrent_weight(name + "lru.in.weight", {D, wide}, Initialiser::normal, deviation(2 * D));
  nu_ = plan.recurrent_weight(name + "lru.nu", {P}, Initialiser::ring_size, setup.r_max, setup.r_min);
  gain_ = plan.recurrent_weight(name + "lru.gain", {P}, Initialiser::ring_gain); // of nu, in front of it
  theta_ = plan.recurrent_weight(name + "lru.theta", {P}, Initialiser::ring_angle, setup.phase_max);
  out_weight_ = plan.weight(name + "lru.out.weight", {out, D}, {Initialiser::normal, deviation(P)});
  skip_ = plan.weight(name + "lru.skip", {D}, {Initialiser::normal, 1.0});
  glu_weight_ = plan.weight(name + "lru.glu.weight", {D, 2 * D}, {Initialiser::truncated_normal, deviation(D)});
  glu_bias_ = plan.weight(name + "lru.glu.bias", {2 * D}, Initial{});

  u_ = plan.keep<T>(name + "u", R * wide);
  h_ = plan.keep<T>(name + "h", R * out);
  y_ = plan.keep<T>(name + "y", R * D);
  both_ = plan.keep<T>(name + "both", R * 2 * D);
  z_ = plan.scratch<T>("hidden", R * D);
  dz_ = plan.scratch<T>("dhidden", R * D);
  dboth_ = plan.scratch<T>("wide", R * 2 * D);
  dh_ = plan.scratch<T>("dstates", R * out);
  du_ = plan.scratch<T>("dinputs", R * wide);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(R, 2 * D));
  no_bias_ = plan.scratch<float>("no bias", D);
  scan_ = plan.scratch<float>("states", diagonal_workspace(longest));
  site_ = plan.dropout_site();
  plan.product({R, D, wide});
  plan.attention(diagonal_work(longest, false), diagonal_work(longest, true));
  plan.product({R, out, D});
  plan.product({R, D, 2 * D});
}

template <class T>
void Lru<T>::forward(const Pass<T>& p, T* y, const T* x) {
  linear_forward(p.linear(D, 2 * P), p(u_), x, p.low(in_weight_), nullptr);
  diagonal_forward(states(p), p(h_), p(u_), p.seen(), factors(p), p(scan_));
  linear_forward(p.linear(K * 2 * P, D), p(y_), p(h_), p.low(out_weight_), nullptr);
  skip_forward(p(y_), x, p.w(skip_), p.rows(), D);
  activation_forward(p(z_), p(y_), p.rows() * D, Activation::gelu);
  p.drop(p(z_), D, dropout_, site_);
  linear_forward(p.linear(D, 2 * D), p(both_), p(z_), p.low(glu_weight_), p.w(glu_bias_));
  glu_forward({p.rows(), D}, y, p(both_));
}

template <class T>
void Lru<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  T *z = p(z_), *dz = p(dz_), *dboth = p(dboth_), *dh = p(dh_), *du = p(du_);
  // out = a sigmoid(b),   [a | b] = z W + bias
  glu_backward({p.rows(), D}, dboth, dy, p(both_));
  column_sum(p.dw(glu_bias_), dboth, p.rows(), 2 * D, p(partial_));
  linear_backward_input(p.linear(D, 2 * D), dz, dboth, p.low(glu_weight_));
  // z = dropout(gelu(y))
  p.drop(dz, D, dropout_, site_);
  activation_backward(z, dz, p(no_bias_), dz, p(y_), p.rows(), D, p(partial_), Activation::gelu);
  p.drop(z, D, dropout_, site_);
  linear_backward_weight(p.linear(D, 2 * D), p.dw(glu_weight_), z, dboth);
  p.done(glu_weight_);
  // y = Re(C h) + d * x
  linear_backward_weight(p.linear(K * 2 * P, D), p.dw(out_weight_), p(h_), dz);
  linear_backward_input(p.linear(K * 2 * P, D), dh, dz, p.low(out_weight_));
  diagonal_backward(states(p), du, {p.dw(nu_), p.dw(theta_), p.dw(gain_)}, dh, p(u_), p.seen(), factors(p), p(scan_));
  // u = B x
  linear_backward_weight(p.linear(D, 2 * P), p.dw(in_weight_), x, du);
  linear_backward_input(p.linear(D, 2 * P), dx, du, p.low(in_weight_));
  skip_backward(dx, p.dw(skip_), dz, x, p.w(skip_), p.rows(), D, p(partial_));
}

template <class T>
std::unique_ptr<RowLayer<T>> Lru<T>::rows(const RowSetup& /*setup*/) const {
  throw InputError("got a classifier (model.family = \"lru\"), expected a model of the next token: only that can be "
                   "sampled from");
}

WEFT_FOR_STORAGE_TYPES(Lru);

} // namespace weft
