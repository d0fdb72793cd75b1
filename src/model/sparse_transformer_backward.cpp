// The forward pass read backwards. dstream holds the gradient of the residual stream throughout.
#include "kernels/activation/activation.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/sum/sum.hpp"
#include "model/sparse_transformer.hpp"

namespace weft {

/// The gradient of a branch that was added to the stream, and of the bias that the branch ends with.
template <class T>
const T* SparseTransformer<T>::branch_gradient(float* dbias, const Dropout& dropout) {
  if (dropout.probability == 0.0f) { // the stream's own gradient
    column_sum(dbias, activation(dstream_), R, D, number(partial_));
    return activation(dstream_);
  }
  residual_backward(activation(dbranch_), dbias, activation(dstream_), dropout, residual_shape(), number(partial_));
  return activation(dbranch_);
}

template <class T>
void SparseTransformer<T>::feedforward_backward(std::int64_t layer, const Batch& batch, float* gradients,
                                                const GradientsReady& ready) {
  const Block& p = block(layer);
  const Kept& k = kept(layer);
  const auto gradient = [&](int parameter) { return gradients + parameters_[parameter].offset; };
  T *dstream = activation(dstream_), *dbranch = activation(dbranch_), *dhidden = activation(dwide_);
  T *gate = activation(gate_), *normed = activation(normed_);
  // H' = middle + dropout(f(hidden) W_ff + b)
  const T* dend = branch_gradient(gradient(p.ff_bias), dropout(batch, true, 2 * layer + 1));
  linear_backward_input(linear(F, D), dhidden, dend, weight(p.ff_weight));
  activation_backward(gate, dhidden, gradient(p.in_bias), dhidden, activation(k.hidden), R, F, number(partial_));
  linear_backward_weight(linear(F, D), gradient(p.ff_weight), gate, dend);
  if (ready)
    ready(parameters_[p.ff_weight].offset);
  // hidden = norm2(middle) W_in + b
  norm_again(normed, number(k.mean2), number(k.rstd2), activation(k.middle), master(p.norm2_gain), master(p.norm2_bias),
             R, D);
  linear_backward_weight(linear(D, F), gradient(p.in_weight), normed, dhidden);
  linear_backward_input(linear(D, F), dbranch, dhidden, weight(p.in_weight));
  norm_backward(dstream, gradient(p.norm2_gain), gradient(p.norm2_bias), dbranch, activation(k.middle), number(k.mean2),
                number(k.rstd2), master(p.norm2_gain), R, D, number(partial_));
  if (ready)
    ready(parameters_[p.norm2_gain].offset);
}

template <class T>
void SparseTransformer<T>::attention_part_backward(std::int64_t layer, const Batch& batch, float* gradients,
                                                   const GradientsReady& ready) {
  const Block& p = block(layer);
  const Kept& k = kept(layer);
  const auto gradient = [&](int parameter) { return gradients + parameters_[parameter].offset; };
  T *dstream = activation(dstream_), *dbranch = activation(dbranch_), *dattended = activation(dattended_);
  T *qkv = activation(k.qkv), *dqkv = activation(dwide_), *normed = activation(normed_);
  // middle = H + dropout(attended W_out + b)
  const T* dend = branch_gradient(gradient(p.out_bias), dropout(batch, true, 2 * layer));
  linear_backward_weight(linear(D, D), gradient(p.out_weight), activation(k.attended), dend);
  linear_backward_input(linear(D, D), dattended, dend, weight(p.out_weight));
  if (ready)
    ready(parameters_[p.out_weight].offset);
  attention_backward(plan(layer), attention_shape(), dqkv, dqkv + Dk, dqkv + 2 * Dk, dattended, qkv, qkv + Dk,
                     qkv + 2 * Dk, activation(k.attended), number(k.lse), number(attention_workspace_));
  // qkv = norm1(H) W_qkv + b
  norm_again(normed, number(k.mean1), number(k.rstd1), activation(k.input), master(p.norm1_gain), master(p.norm1_bias),
             R, D);
  linear_backward_weight(linear(D, 2 * Dk + D), gradient(p.qkv_weight), normed, dqkv);
  column_sum(gradient(p.qkv_bias), dqkv, R, 2 * Dk + D, number(partial_));
  linear_backward_input(linear(D, 2 * Dk + D), dbranch, dqkv, weight(p.qkv_weight));
  norm_backward(dstream, gradient(p.norm1_gain), gradient(p.norm1_bias), dbranch, activation(k.input), number(k.mean1),
                number(k.rstd1), master(p.norm1_gain), R, D, number(partial_));
  if (ready)
    ready(parameters_[p.norm1_gain].offset);
}

template <class T>
void SparseTransformer<T>::forward_backward(const Batch& batch, float* gradients, Scores& scores,
                                            const GradientsReady& ready) {
  load(batch);
  if (replay_)
    replay_->run(
        {gradients, weights_, batch.loss_factor, batch.seed},
        [&](const GradientsReady& reached) { run_training(batch, gradients, reached); },
        [&](std::int64_t first) {
          if (ready)
            ready(first);
        });
  else
    run_training(batch, gradients, ready);
  fetch(scores);
}

/// Kernels only: nothing here waits for the device or depends on the host but through Replay::Key.
template <class T>
void SparseTransformer<T>::run_training(const Batch& batch, float* gradients, const GradientsReady& ready) {
  T* dlogits = activation(dlogits_);
  run_forward(batch, true, dlogits);
  const TracedSpan span("backward");
  const auto gradient = [&](int parameter) { return gradients + parameters_[parameter].offset; };
  // logits = norm(H_L) W_output; the normed stream is still there
  T *dstream = activation(dstream_), *dbranch = activation(dbranch_);
  linear_backward_weight(linear(D, V), gradient(output_), activation(normed_), dlogits);
  linear_backward_input(linear(D, V), dbranch, dlogits, weight(output_));
  device_zero(dstream, static_cast<std::size_t>(R * D) * sizeof(T));
  norm_backward(dstream, gradient(final_gain_), gradient(final_bias_), dbranch, activation(stream_end_),
                number(final_mean_), number(final_rstd_), master(final_gain_), R, D, number(partial_));
  if (ready)
    ready(parameters_[final_gain_].offset);
  for (std::int64_t layer = L - 1; layer >= 0; --layer) {
    const TracedSpan part("backward layer", layer);
    if (recompute_ != "none") {
      const Kept& k = kept(layer);
      norm_again(activation(normed_), number(k.mean1), number(k.rstd1), activation(k.input),
                 master(block(layer).norm1_gain), master(block(layer).norm1_bias), R, D);
    }
    if (recompute_ == "block") {
      attention_part(layer, batch, true);
      feedforward_hidden(layer);
    } else if (recompute_ == "attention") {
      attention_core(layer);
    }
    feedforward_backward(layer, batch, gradients, ready);
    attention_part_backward(layer, batch, gradients, ready);
  }
  EmbeddingTables<float*> d{gradient(token_), gradient(start_), {}};
  for (int c = 0; c < coordinates_.count; ++c)
    d.position[c] = gradient(position_[static_cast<std::size_t>(c)]);
  embedding_backward(d, embedding_shape(), coordinates_, dstream, arena_.at<std::uint16_t>(tokens_));
  if (ready)
    ready(0);
}

template class SparseTransformer<float>;
template class SparseTransformer<bf16>;
template class SparseTransformer<fp16>;

} // namespace weft
