#include "model/layers/ema_attention.hpp"
#include "io/error.hpp"
#include "kernels/activation/activation.hpp"
#include "kernels/attention/global_rows.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/ema_attention_rows.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <algorithm>

namespace weft {

template <class T>
EmaAttention<T>::EmaAttention(Plan& plan, const std::string& name, std::int64_t layer, const EmaAttentionSetup& setup,
                              const AttentionPlans& plans)
    : layer_(layer), longest_(plan.N), D(setup.width), Z(setup.shared), V(setup.values), states_(setup.states),
      directions_(setup.directions), function_(setup.function), reach_(setup.reach), rotary_(setup.rotary),
      chunk_(setup.chunk), dropout_(setup.dropout), attention_dropout_(setup.attention_dropout), plans_(plans) {
  const std::int64_t R = plan.R, N = plan.N, wide = gate(1).mixed();
  const Initial small{Initialiser::normal, 0.02}, raw{Initialiser::normal, 0.2}, unit{Initialiser::normal, 1.0};
  const std::vector<std::int64_t> averages = {directions_, D, states_};
  value_weight_ = plan.weight(name + "attention.value.weight", {D, V}, small);
  value_bias_ = plan.weight(name + "attention.value.bias", {V}, Initial{});
  delta_ = plan.weight(name + "ema.delta", averages, raw);
  alpha_ = plan.weight(name + "ema.alpha", averages, raw);
  beta_ = plan.weight(name + "ema.beta", averages, {Initialiser::alternating, 0.02});
  gamma_ = plan.weight(name + "ema.gamma", averages, unit);
  omega_ = plan.weight(name + "ema.omega", {D}, unit);
  mixed_weight_ = plan.weight(name + "attention.mixed.weight", {D, wide}, small);
  mixed_bias_ = plan.weight(name + "attention.mixed.bias", {wide}, Initial{});
  gain_q_ = plan.weight(name + "attention.query.gain", {Z}, small);
  shift_q_ = plan.weight(name + "attention.query.shift", {Z}, Initial{});
  gain_k_ = plan.weight(name + "attention.key.gain", {Z}, small);
  shift_k_ = plan.weight(name + "attention.key.shift", {Z}, Initial{});
  if (reach_ > 0 && !rotary_)
    relative_ = plan.weight(name + "attention.relative", {2 * reach_ - 1}, small);
  if (reach_ > 0 && rotary_) {
    turned_q_ = plan.weight(name + "attention.rotary.query", {Z}, small);
    turned_k_ = plan.weight(name + "attention.rotary.key", {Z}, small);
    distances_ = plan.scratch<float>("distances", 2 * reach_ - 1);
    ddistances_ = plan.scratch<float>("slopes of distances", 2 * reach_ - 1);
  }
  out_weight_ = plan.weight(name + "attention.out.weight", {V, D}, small);
  out_bias_ = plan.weight(name + "attention.out.bias", {D}, Initial{});

  v_ = plan.keep<T>(name + "v", R * V);
  averages_ = plan.keep<T>(name + "averages", R * D);
  mixed_ = plan.keep<T>(name + "mixed", R * wide);
  qkv_ = plan.keep<T>(name + "qkv", R * gate(1).heads());
  attended_ = plan.keep<T>(name + "attended", R * V);
  if (!function_) // a row without keys has lse = -infinity by definition
    lse_ = plan.keep<float>(name + "lse", R, Finite::no);
  hidden_ = plan.keep<T>(name + "hidden", R * D);
  narrow_ = plan.scratch<T>("hidden", R * D);
  m_ = plan.scratch<T>("averaged", R * D);
  gated_ = plan.scratch<T>("gate", R * V);
  dv_ = plan.scratch<T>("dvalues", R * V);
  dmixed_ = plan.scratch<T>("wide", R * wide);
  dqkv_ = plan.scratch<T>("dqkv", R * gate(1).heads());
  no_bias_ = plan.scratch<float>("no bias", D);
  if (!function_ && slices() > 1)
    dslice_ = plan.scratch<T>("dslice", R * gate(1).heads());
  partial_ =
      plan.scratch<float>("partial", std::max(column_sum_workspace(R, std::max(wide, V)), gate_workspace(gate(R))));
  ema_workspace_ = plan.scratch<float>("moving averages", ema_workspace(ema(plan.S, N)));
  const AttentionPlan& whole = plans_.of(layer_, N);
  workspace_ = function_
                   ? plan.scratch<float>("pointwise attention", pointwise_attention_workspace(pointwise(plan.S, N)))
                   : plan.attention_workspace(whole, heads(plan.S, N, slices() - 1), reach_); // the widest
  average_site_ = plan.dropout_site();
  hidden_site_ = plan.dropout_site();
  attention_site_ = plan.dropout_site();
  plan.product({R, D, V});
  plan.attention(ema_work(ema(plan.S, N), false), ema_work(ema(plan.S, N), true));
  plan.product({R, D, wide});
  if (function_)
    plan.attention(pointwise_attention_work(pointwise(plan.S, N), false),
                   pointwise_attention_work(pointwise(plan.S, N), true));
  for (std::int64_t slice = 0; !function_ && slice < slices(); ++slice)
    plan.attention(whole, Z, slice_width(slice), false);
  plan.product({R, V, D});
}

template <class T>
auto EmaAttention<T>::weights(const Pass<T>& p) const -> Tensors<const float*> {
  return {{p.w(delta_), p.w(alpha_), p.w(beta_), p.w(gamma_), p.w(omega_)},
          {p.w(gain_q_), p.w(shift_q_), p.w(gain_k_), p.w(shift_k_)}};
}
template <class T>
auto EmaAttention<T>::gradients(const Pass<T>& p) const -> Tensors<float*> {
  return {{p.dw(delta_), p.dw(alpha_), p.dw(beta_), p.dw(gamma_), p.dw(omega_)},
          {p.dw(gain_q_), p.dw(shift_q_), p.dw(gain_k_), p.dw(shift_k_)}};
}

template <class T>
AttentionShape EmaAttention<T>::heads(std::int64_t sequences, std::int64_t length, std::int64_t slice) const {
  return {sequences, length, 1, Z, slice_width(slice), gate(1).heads(), V};
}

template <class T>
PointwiseAttention EmaAttention<T>::pointwise(std::int64_t sequences, std::int64_t length) const {
  PointwiseAttention call{sequences, length, Z, V, gate(1).heads()};
  call.chunk = chunk_;
  call.causal = directions_ == 1;
  call.function = *function_;
  call.reach = reach_;
  call.dropout_stride = longest_;
  return call;
}
template <class T>
PointwiseAttention EmaAttention<T>::pointwise(const Pass<T>& p) const {
  PointwiseAttention call = pointwise(p.sequences(), p.length());
  call.seen = p.seen();
  call.dropout = p.dropout(attention_dropout_, attention_site_);
  return call;
}

template <class T>
const float* EmaAttention<T>::distances(const Pass<T>& p) const {
  if (reach_ == 0)
    return nullptr;
  if (!rotary_)
    return p.w(relative_);
  rotary_bias_forward({reach_, Z}, p(distances_), p.w(turned_q_), p.w(turned_k_));
  return p(distances_);
}

template <class T>
AttentionExtras EmaAttention<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  e.seen = p.seen();
  e.dropout = p.dropout(attention_dropout_, attention_site_);
  e.dropout_stride = longest_;
  e.distances = distances(p);
  e.reach = reach_;
  return e;
}

/// m = dropout(silu(averages))
template <class T>
void EmaAttention<T>::average(const Pass<T>& p, T* m) const {
  activation_forward(m, p(averages_), p.rows() * D, Activation::silu);
  p.drop(m, D, dropout_, average_site_);
}

template <class T>
void EmaAttention<T>::attend(const Pass<T>& p) const {
  const T* qkv = p(qkv_);
  if (function_)
    return pointwise_attention_forward(pointwise(p), p(attended_), qkv, qkv + Z, qkv + 2 * Z, distances(p),
                                       p(workspace_));
  const AttentionExtras extra = extras(p);
  for (std::int64_t slice = 0; slice < slices(); ++slice) {
    const std::int64_t first = slice * V / slices();
    attention_forward(plans_.of(layer_, p.length()), heads(p.sequences(), p.length(), slice), p(attended_) + first,
                      p(lse_), qkv, qkv + Z, qkv + 2 * Z + first, p(workspace_), AttentionPath::best, extra);
  }
}

template <class T>
void EmaAttention<T>::attend_backward(const Pass<T>& p, const T* dattended) const {
  float* ddistances = reach_ == 0 ? nullptr : rotary_ ? p(ddistances_) : p.dw(relative_);
  const T* qkv = p(qkv_);
  T* dqkv = p(dqkv_);
  if (function_)
    pointwise_attention_backward(pointwise(p), dqkv, dqkv + Z, dqkv + 2 * Z, ddistances, dattended, qkv, qkv + Z,
                                 qkv + 2 * Z, distances(p), p(workspace_));
  else
    engine_backward(p, ddistances, dattended);
  if (reach_ > 0 && rotary_)
    rotary_bias_backward({reach_, Z}, p.dw(turned_q_), p.dw(turned_k_), ddistances, p.w(turned_q_), p.w(turned_k_));
}

/// Gradients of queries and keys are sums over the slices: the first one's, to which the others are added.
template <class T>
void EmaAttention<T>::engine_backward(const Pass<T>& p, float* ddistances, const T* dattended) const {
  AttentionExtras extra = extras(p);
  const std::int64_t all = p.rows() * gate(1).heads();
  const T* qkv = p(qkv_);
  extra.ddistances = ddistances;
  if (ddistances)
    device_zero(ddistances, static_cast<std::size_t>(2 * reach_ - 1) * sizeof(float));
  if (slices() > 1) // its columns of values stay 0
    device_zero(p(dslice_), static_cast<std::size_t>(all) * sizeof(T));
  for (std::int64_t slice = 0; slice < slices(); ++slice) {
    const std::int64_t first = slice * V / slices();
    T *dqk = slice == 0 ? p(dqkv_) : p(dslice_), *dvalues = p(dqkv_) + 2 * Z + first;
    attention_backward(plans_.of(layer_, p.length()), heads(p.sequences(), p.length(), slice), dqk, dqk + Z, dvalues,
                       dattended + first, qkv, qkv + Z, qkv + 2 * Z + first, p(attended_) + first, p(lse_),
                       p(workspace_), AttentionPath::best, extra);
    if (slice > 0)
      add_more(p(dqkv_), p(dslice_), all);
  }
}

template <class T>
void EmaAttention<T>::forward(const Pass<T>& p, T* y, const T* x) {
  forward_beside(p, y, x, x);
}

template <class T>
void EmaAttention<T>::forward_beside(const Pass<T>& p, T* y, const T* x, const T* stream) {
  const GateShape g = gate(p.rows());
  const auto tensors = weights(p);
  linear_forward(p.linear(D, V), p(v_), x, p.low(value_weight_), p.w(value_bias_));
  ema_forward(ema(p.sequences(), p.length()), p(averages_), x, p.seen(), tensors.ema, p(ema_workspace_));
  average(p, p(m_));
  linear_forward(p.linear(D, g.mixed()), p(mixed_), p(m_), p.low(mixed_weight_), p.w(mixed_bias_));
  gate_heads_forward(g, p(qkv_), p(mixed_), p(v_), tensors.gate);
  attend(p);
  gate_reset_forward(g, p(gated_), p(attended_), p(mixed_));
  linear_forward(p.linear(V, D), p(hidden_), p(gated_), p.low(out_weight_), p.w(out_bias_));
  gate_hidden_forward(g, p(hidden_), p(mixed_));
  activation_forward(p(narrow_), p(hidden_), p.rows() * D, Activation::silu);
  p.drop(p(narrow_), D, dropout_, hidden_site_);
  gate_update_forward(g, y, p(mixed_), p(narrow_), stream);
}

template <class T>
void EmaAttention<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  backward_beside(p, dx, dy, x, x, nullptr);
}

template <class T>
void EmaAttention<T>::backward_beside(const Pass<T>& p, T* dx, const T* dy, const T* x, const T* stream, T* dstream) {
  const GateShape g = gate(p.rows());
  const std::int64_t R = p.rows();
  const auto tensors = weights(p);
  const auto slopes = gradients(p);
  T *narrow = p(narrow_), *dnarrow = p(m_), *dmixed = p(dmixed_), *gated = p(gated_), *dv = p(dv_), *dqkv = p(dqkv_);
  const T* mixed = p(mixed_);

  // y = sigmoid(u) * (dropout(silu(hidden)) - stream)
  activation_forward(narrow, p(hidden_), R * D, Activation::silu);
  p.drop(narrow, D, dropout_, hidden_site_);
  gate_update_backward(g, dnarrow, dx, dmixed, dy, mixed, narrow, stream);
  if (dstream)
    add_more(dstream, dx, R * D);
  p.drop(dnarrow, D, dropout_, hidden_site_);
  activation_backward(narrow, dnarrow, p.dw(out_bias_), dnarrow, p(hidden_), R, D, p(partial_), Activation::silu);
  // hidden = h + (attended * silu(r)) W_o + b_o
  gate_hidden_backward(g, dmixed, dnarrow);
  gate_reset_forward(g, gated, p(attended_), mixed);
  linear_backward_weight(p.linear(V, D), p.dw(out_weight_), gated, dnarrow);
  p.done(out_weight_);
  linear_backward_input(p.linear(V, D), gated, dnarrow, p.low(out_weight_));
  gate_reset_backward(g, gated, dmixed, gated, p(attended_), mixed);
  // attended
  attend_backward(p, gated);
  gate_heads_backward(g, dmixed, dv, slopes.gate, dqkv, mixed, p(v_), tensors.gate, p(partial_));
  // mixed = m W_m + b_m,   m = dropout(silu(averages))
  average(p, narrow);
  linear_backward_weight(p.linear(D, g.mixed()), p.dw(mixed_weight_), narrow, dmixed);
  column_sum(p.dw(mixed_bias_), dmixed, R, g.mixed(), p(partial_));
  linear_backward_input(p.linear(D, g.mixed()), dnarrow, dmixed, p.low(mixed_weight_));
  p.drop(dnarrow, D, dropout_, average_site_);
  activation_backward(narrow, dnarrow, p(no_bias_), dnarrow, p(averages_), R, D, p(partial_), Activation::silu);
  ema_backward(ema(p.sequences(), p.length()), dx, dstream ? Into::overwrite : Into::add, slopes.ema, dnarrow, x,
               p.seen(), tensors.ema, p(ema_workspace_));
  // v = x W_v + b_v
  linear_backward_weight(p.linear(D, V), p.dw(value_weight_), x, dv);
  column_sum(p.dw(value_bias_), dv, R, V, p(partial_));
  linear_backward_input(p.linear(D, V), narrow, dv, p.low(value_weight_));
  add_more(dx, narrow, R * D);
}

template <class T>
std::unique_ptr<RowLayer<T>> EmaAttention<T>::rows(const RowSetup& setup) const {
  if (directions_ != 1)
    throw InputError("got averages from both ends, expected a model of the next token: only that can be sampled from");
  const std::int64_t S = setup.samples;
  ChunkDecode attention{S, Z, V, chunk_ > 0 ? std::min(chunk_, setup.length) : setup.length, gate(1).heads()};
  attention.reach = reach_;
  if (function_)
    attention.weights = *function_ == PointFunction::laplace ? ChunkWeights::laplace : ChunkWeights::squared_relu;
  Buffer<float> turned;
  if (reach_ > 0 && rotary_) {
    turned = Buffer<float>(2 * reach_ - 1, "distances");
    rotary_bias_forward({reach_, Z}, turned.data(), setup.at(turned_q_), setup.at(turned_k_));
  }
  const float* distances = reach_ == 0 ? nullptr : rotary_ ? turned.data() : setup.at(relative_);
  return std::make_unique<EmaAttentionRows<T>>(
      ema(S, 1),
      EmaTensors<const float*>{setup.at(delta_), setup.at(alpha_), setup.at(beta_), setup.at(gamma_), setup.at(omega_)},
      gate(S), GateTensors<const float*>{setup.at(gain_q_), setup.at(shift_q_), setup.at(gain_k_), setup.at(shift_k_)},
      attention, distances, std::move(turned), RowMap<T>{setup.matrix<T>(value_weight_), setup.at(value_bias_)},
      RowMap<T>{setup.matrix<T>(mixed_weight_), setup.at(mixed_bias_)},
      RowMap<T>{setup.matrix<T>(out_weight_), setup.at(out_bias_)});
}

WEFT_FOR_STORAGE_TYPES(EmaAttention);

} // namespace weft
