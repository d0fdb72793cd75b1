#include "model/layers/lru.hpp"
#include "kernels/recurrence/skip.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

namespace {
/// Of sums over so many numbers to be as large as one of them.
double deviation(std::int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }
} // namespace

template <class T>
Lru<T>::Lru(Plan& plan, const std::string& name, const LruSetup& setup)
    : D(setup.width), P(setup.states), K(setup.directions) {
  const std::int64_t R = plan.R, wide = 2 * P, out = K * 2 * P;
  const DiagonalShape longest = states(plan.S, plan.N);
  in_weight_ = plan.recurrent_weight(name + "lru.in.weight", {D, wide}, Initialiser::normal, deviation(2 * D));
  nu_ = plan.recurrent_weight(name + "lru.nu", {P}, Initialiser::ring_size, setup.r_max, setup.r_min);
  gain_ = plan.recurrent_weight(name + "lru.gain", {P}, Initialiser::ring_gain); // of nu, in front of it
  theta_ = plan.recurrent_weight(name + "lru.theta", {P}, Initialiser::ring_angle, setup.phase_max);
  out_weight_ = plan.weight(name + "lru.out.weight", {out, D}, {Initialiser::normal, deviation(P)});
  skip_ = plan.weight(name + "lru.skip", {D}, {Initialiser::normal, 1.0});

  u_ = plan.keep<T>(name + "u", R * wide);
  h_ = plan.keep<T>(name + "h", R * out);
  dh_ = plan.scratch<T>("dstates", R * out);
  du_ = plan.scratch<T>("dinputs", R * wide);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(R, D));
  scan_ = plan.scratch<float>("states", diagonal_workspace(longest));
  plan.product({R, D, wide});
  plan.attention(diagonal_work(longest, false), diagonal_work(longest, true));
  plan.product({R, out, D});
}

template <class T>
void Lru<T>::forward(const Pass<T>& p, T* y, const T* x) {
  linear_forward(p.linear(D, 2 * P), p(u_), x, p.low(in_weight_), nullptr);
  diagonal_forward(states(p), p(h_), p(u_), p.seen(), factors(p), p(scan_));
  linear_forward(p.linear(K * 2 * P, D), y, p(h_), p.low(out_weight_), nullptr);
  skip_forward(y, x, p.w(skip_), p.rows(), D);
}

template <class T>
void Lru<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  T *dh = p(dh_), *du = p(du_);
  // y = Re(C h) + d * x
  linear_backward_weight(p.linear(K * 2 * P, D), p.dw(out_weight_), p(h_), dy);
  linear_backward_input(p.linear(K * 2 * P, D), dh, dy, p.low(out_weight_));
  diagonal_backward(states(p), du, {p.dw(nu_), p.dw(theta_), p.dw(gain_)}, dh, p(u_), p.seen(), factors(p), p(scan_));
  // u = B x
  linear_backward_weight(p.linear(D, 2 * P), p.dw(in_weight_), x, du);
  linear_backward_input(p.linear(D, 2 * P), dx, du, p.low(in_weight_));
  skip_backward(dx, p.dw(skip_), dy, x, p.w(skip_), p.rows(), D, p(partial_));
}

WEFT_FOR_STORAGE_TYPES(Lru);

} // namespace weft
