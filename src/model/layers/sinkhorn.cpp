#include "model/layers/sinkhorn.hpp"
#include "kernels/activation/activation.hpp"
#include "kernels/attention/fit_rows.hpp"
#include "kernels/sum/sum.hpp"
#include "model/key_bits.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

template <class T>
Sinkhorn<T>::Sinkhorn(Plan& plan, const std::string& name, const AttentionSetup& setup, const SinkhornSetup& sinkhorn,
                      const AttentionPlans& plans)
    : Base(plan, name, setup, Base::OwnWeights::some,
           "got attention.pattern = \"sinkhorn\", which sees later positions, expected a causal pattern: only "
           "those can be sampled from"),
      setup_(sinkhorn), dropout_(setup.dropout), plans_(plans), begin_(blocks(1, plan.N).whole()),
      most_(blocks(1, plan.N).blocks()) {
  const auto xavier = [](std::int64_t inputs, std::int64_t outputs) {
    return Initial{Initialiser::uniform, std::sqrt(6.0 / static_cast<double>(inputs + outputs))};
  };
  const std::int64_t S = plan.S, B = S * most_, M = most_, rows = S * positions(plan.N);
  if (setup_.hidden) {
    in_weight_ = plan.weight(name + "attention.sort.in.weight", {D, D}, xavier(D, D));
    in_bias_ = plan.weight(name + "attention.sort.in.bias", {D}, Initialiser::zero);
  }
  // Of each head a map to M logits.
  out_weight_ = plan.weight(name + "attention.sort.out.weight", {D, H * M}, xavier(D, M));
  const SinkhornShape sizes = matrices(S, plan.N);
  alive_ = plan.scratch<unsigned char>("alive", B);
  places_ = plan.scratch<unsigned char>("places", S * setup_.block);
  bits_ = plan.scratch<std::uint32_t>("bits of sorted blocks", S * bit_words(positions(plan.N)));
  sums_ = plan.keep_unless<T>(this->again_, name, "block sums", B * D);
  gate_ = plan.scratch<T>("sort gate", B * D);
  if (setup_.hidden)
    hidden_ = plan.keep_unless<T>(this->again_, name, "sort hidden", B * D);
  dgate_ = plan.scratch<T>("sort dgate", B * D);
  dsums_ = plan.scratch<T>("sort dsums", B * D);
  logits_ = plan.scratch<float>("sort logits", B * H * M);
  dlogits_ = plan.scratch<T>("sort dlogits", B * H * M);
  x_ = plan.keep_unless<float>(this->again_, name, "sort scores", sizes.entries());
  p_ = plan.keep_unless<float>(this->again_, name, "sort matrix", sizes.entries());
  dp_ = plan.scratch<float>("sort dmatrix", sizes.entries());
  potentials_ = plan.keep_unless<float>(this->again_, name, "sort potentials", sizes.potentials());
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", rows * H, Finite::no); // rows without keys: -infinity
  const std::int64_t wide = H * (2 * E + Ev);
  rows_ = plan.scratch<T>("longer rows", rows * wide);
  drows_ = plan.scratch<T>("longer slopes", rows * wide);
  out_ = plan.scratch<T>("longer out", rows * H * Ev);
  dout_ = plan.scratch<T>("longer dout", rows * H * Ev);
  const AttentionPlan& whole = plan_of(plan.N);
  const AttentionShape shape = this->shape(S, positions(plan.N));
  workspace_ = plan.attention_workspace(whole, shape);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(B, D));
  noise_site_ = plan.dropout_site();
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  if (setup_.hidden)
    plan.product({B, D, D}, this->again_);
  plan.product({B, D, H * M}, this->again_);
  plan.attention(whole, E, Ev, this->again_);
  // Mixing: every place of every block of M.
  const double mixing = 2.0 * static_cast<double>(B * begin_ * H * (E + Ev));
  plan.attention(mixing, (this->again_ ? 4 : 3) * mixing);
}

template <class T>
SinkhornShape Sinkhorn<T>::matrices(std::int64_t sequences, std::int64_t length) const {
  return {sequences, H, blocks(sequences, length).blocks(), most_, setup_.iterations, setup_.temperature};
}

template <class T>
const AttentionPlan& Sinkhorn<T>::plan_of(std::int64_t length) const {
  return plans_.made(length, [&] {
    return sorted_blocks(static_cast<int>(length), static_cast<int>(setup_.block), static_cast<int>(begin_),
                         static_cast<int>(setup_.cut));
  });
}

template <class T>
HeadRows Sinkhorn<T>::keys(const Pass<T>& p) const {
  const std::int64_t wide = H * (2 * E + Ev);
  return {H, E, p.length(), wide, positions(p.length()), wide};
}
template <class T>
HeadRows Sinkhorn<T>::values(const Pass<T>& p) const {
  HeadRows lie = keys(p);
  lie.width = Ev;
  return lie;
}

/// From the input to the sort matrix.
template <class T>
void Sinkhorn<T>::project(const Pass<T>& p, const T* x) {
  const BlockShape shape = blocks(p);
  const std::int64_t B = p.sequences() * shape.blocks();
  if (p.seen())
    block_flags(shape, p(alive_), p(places_), p.seen());
  block_sums_forward(shape, D, p(sums_), x, p.seen());
  const T* input = p(sums_);
  if (setup_.hidden) {
    linear_forward({B, D, D}, p(hidden_), input, p.low(in_weight_), p.w(in_bias_));
    activation_forward(p(gate_), p(hidden_), B * D, Activation::relu);
    input = p(gate_);
  }
  linear_forward({B, D, H * most_}, p(logits_), input, p.low(out_weight_), nullptr);
  const Dropout noise = p.dropout(0.5f, noise_site_);
  sinkhorn_forward(matrices(p.sequences(), p.length()), p(p_), p(x_), p(potentials_), p(logits_), alive(p),
                   setup_.noise && p.training() ? &noise : nullptr);
}

template <class T>
void Sinkhorn<T>::lay_out(const Pass<T>& p, const T* qkv) {
  const std::int64_t longer = positions(p.length()), wide = H * (2 * E + Ev);
  T *rows = p(rows_), *sorted = rows + begin_ * wide;
  fit_rows(rows, longer, qkv, p.length(), p.sequences(), wide);
  mix_blocks_forward(blocks(p), keys(p), sorted + H * E, qkv + H * E, p(p_), p.seen());
  mix_blocks_forward(blocks(p), values(p), sorted + 2 * H * E, qkv + 2 * H * E, p(p_), p.seen());
}

template <class T>
AttentionExtras Sinkhorn<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  if (p.seen()) {
    block_flags(blocks(p), p(alive_), p(places_), p.seen());
    sorted_block_bits(blocks(p), begin_, p(bits_), p.seen(), p(alive_), p(places_));
    e.seen = p(bits_);
  }
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  e.dropout_stride = 2 * begin_;
  return e;
}

template <class T>
void Sinkhorn<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  const std::int64_t S = p.sequences(), N = p.length(), longer = positions(N);
  T *rows = p(rows_), *out = p(out_);
  lay_out(p, qkv);
  attention_forward(plan_of(N), this->shape(S, longer), out, p(lse_), rows, rows + H * E, rows + 2 * H * E,
                    p(workspace_), AttentionPath::best, extras(p));
  fit_rows(attended, N, out, longer, S, H * Ev);
}

template <class T>
void Sinkhorn<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  const std::int64_t S = p.sequences(), N = p.length(), longer = positions(N), wide = H * (2 * E + Ev);
  T *rows = p(rows_), *drows = p(drows_), *out = p(out_), *dout = p(dout_), *dsorted = drows + begin_ * wide;
  lay_out(p, qkv);
  fit_rows(out, longer, attended, N, S, H * Ev);
  fit_rows(dout, longer, static_cast<const T*>(dattended), N, S, H * Ev);
  attention_backward(plan_of(N), this->shape(S, longer), drows, drows + H * E, drows + 2 * H * E, dout, rows,
                     rows + H * E, rows + 2 * H * E, out, p(lse_), p(workspace_), AttentionPath::best, extras(p));
  // What reached the sorted blocks goes to the blocks that they are made of, and to the sort matrix.
  fit_rows(dqkv, N, drows, longer, S, wide);
  const auto back = [&](const HeadRows& lie, std::int64_t column, Into into) {
    const T* slopes = dsorted + column;
    mix_blocks_backward_rows(blocks(p), lie, dqkv + column, slopes, p(p_), p.seen());
    mix_blocks_backward_weights(blocks(p), lie, p(dp_), slopes, qkv + column, p.seen(), into);
  };
  back(keys(p), H * E, Into::overwrite);
  back(values(p), 2 * H * E, Into::add);
  sort_net_backward(p);
}

/// From the gradient of the sort matrix to that of the sums.
template <class T>
void Sinkhorn<T>::sort_net_backward(const Pass<T>& p) {
  const std::int64_t B = p.sequences() * blocks(p).blocks();
  sinkhorn_backward(matrices(p.sequences(), p.length()), p(dlogits_), p(dp_), p(p_), p(x_), p(potentials_));
  const LinearShape out{B, D, H * most_};
  if (!setup_.hidden) {
    linear_backward_weight(out, p.dw(out_weight_), p(sums_), p(dlogits_));
    linear_backward_input(out, p(dsums_), p(dlogits_), p.low(out_weight_));
    return;
  }
  linear_backward_input(out, p(dgate_), p(dlogits_), p.low(out_weight_));
  activation_backward(p(gate_), p(dgate_), p.dw(in_bias_), p(dgate_), p(hidden_), B, D, p(partial_), Activation::relu);
  linear_backward_weight(out, p.dw(out_weight_), p(gate_), p(dlogits_));
  linear_backward_weight({B, D, D}, p.dw(in_weight_), p(sums_), p(dgate_));
  linear_backward_input({B, D, D}, p(dsums_), p(dgate_), p.low(in_weight_));
}

template <class T>
void Sinkhorn<T>::add_input_gradient(const Pass<T>& p, T* dx) {
  block_sums_backward(blocks(p), D, dx, p(dsums_), p.seen());
}

WEFT_FOR_STORAGE_TYPES(Sinkhorn);

} // namespace weft
