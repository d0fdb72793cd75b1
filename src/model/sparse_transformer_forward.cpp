#include "kernels/activation/activation.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/loss/loss.hpp"
#include "kernels/norm/norm.hpp"
#include "model/sparse_transformer.hpp"

namespace weft {

template <class T>
Dropout SparseTransformer<T>::dropout(const Batch& batch, bool training, std::int64_t tensor) const {
  return {training ? dropout_ : 0.0f,
          batch.seed,
          batch.step,
          batch.first_sample,
          static_cast<std::uint32_t>(tensor),
          replay_ ? arena_.at<std::uint32_t>(moment_) : nullptr};
}

template <class T>
EmbeddingTables<const float*> SparseTransformer<T>::tables() const {
  EmbeddingTables<const float*> t{master(token_), master(start_), {}};
  for (int c = 0; c < coordinates_.count; ++c)
    t.position[c] = master(position_[static_cast<std::size_t>(c)]);
  return t;
}

/// qkv = norm1(H) W_qkv + b;  attended = attention(q, k, v), from norm1(H) in `normed`.
template <class T>
void SparseTransformer<T>::attention_core(std::int64_t layer) {
  const Block& p = block(layer);
  const Kept& k = kept(layer);
  T* qkv = activation(k.qkv);
  linear_forward(linear(D, 2 * Dk + D), qkv, activation(normed_), weight(p.qkv_weight), master(p.qkv_bias));
  attention_forward(plan(layer), attention_shape(), activation(k.attended), number(k.lse), qkv, qkv + Dk, qkv + 2 * Dk,
                    number(attention_workspace_));
}

/// middle = H + dropout(attended W_out + b), and norm2(middle) in `normed`, where norm1(H) was.
template <class T>
void SparseTransformer<T>::attention_part(std::int64_t layer, const Batch& batch, bool training) {
  const Block& p = block(layer);
  const Kept& k = kept(layer);
  attention_core(layer);
  linear_forward(linear(D, D), activation(branch_), activation(k.attended), weight(p.out_weight), master(p.out_bias));
  residual_forward(activation(k.middle), activation(normed_), number(k.mean2), number(k.rstd2), activation(k.input),
                   activation(branch_), dropout(batch, training, 2 * layer), master(p.norm2_gain), master(p.norm2_bias),
                   block_epsilon, residual_shape());
}

/// hidden = norm2(middle) W_in + b, from norm2(middle) in `normed`.
template <class T>
void SparseTransformer<T>::feedforward_hidden(std::int64_t layer) {
  const Block& p = block(layer);
  linear_forward(linear(D, F), activation(kept(layer).hidden), activation(normed_), weight(p.in_weight),
                 master(p.in_bias));
}

/// H' = middle + dropout(f(hidden) W_ff + b), and in `normed` norm1(H') of the next block, or the last norm of all.
template <class T>
void SparseTransformer<T>::feedforward_part(std::int64_t layer, const Batch& batch, bool training) {
  const Block& p = block(layer);
  const Kept& k = kept(layer);
  feedforward_hidden(layer);
  activation_forward(activation(gate_), activation(k.hidden), R * F);
  linear_forward(linear(F, D), activation(branch_), activation(gate_), weight(p.ff_weight), master(p.ff_bias));
  const bool last = layer + 1 == L;
  const Kept& next = kept(last ? layer : layer + 1);
  const Block& next_block = block(last ? layer : layer + 1);
  residual_forward(
      activation(last ? stream_end_ : next.input), activation(normed_), number(last ? final_mean_ : next.mean1),
      number(last ? final_rstd_ : next.rstd1), activation(k.middle), activation(branch_),
      dropout(batch, training, 2 * layer + 1), master(last ? final_gain_ : next_block.norm1_gain),
      master(last ? final_bias_ : next_block.norm1_bias), last ? final_epsilon : block_epsilon, residual_shape());
}

/// What changes from one micro-batch to the next goes to its place on the device.
template <class T>
void SparseTransformer<T>::load(const Batch& batch) {
  tokens_upload_->send(arena_.at<std::uint16_t>(tokens_), batch.tokens,
                       static_cast<std::size_t>(R) * sizeof(std::uint16_t));
  if (batch.targets != batch.tokens)
    targets_upload_->send(arena_.at<std::uint16_t>(targets_), batch.targets,
                          static_cast<std::size_t>(R) * sizeof(std::uint16_t));
  const std::uint32_t moment[] = {batch.step, batch.first_sample};
  moment_upload_->send(arena_.at<std::uint32_t>(moment_), moment, sizeof moment);
}

/// Loss and hits of the last pass, on the host after the next fence().
template <class T>
void SparseTransformer<T>::fetch(Scores& scores) {
  scores.losses.resize(static_cast<std::size_t>(R));
  scores.hits.resize(static_cast<std::size_t>(R));
  copy_to_host_later(scores.losses.data(), number(losses_), static_cast<std::size_t>(R) * sizeof(float));
  copy_to_host_later(scores.hits.data(), number(hits_), static_cast<std::size_t>(R) * sizeof(float));
}

template <class T>
void SparseTransformer<T>::run_forward(const Batch& batch, bool training, T* dlogits) {
  const TracedSpan span("forward");
  const std::uint16_t* tokens = arena_.at<std::uint16_t>(tokens_);
  embedding_forward(activation(kept(0).input), embedding_shape(), coordinates_, tables(), tokens);
  norm_forward(activation(normed_), number(kept(0).mean1), number(kept(0).rstd1), activation(kept(0).input),
               master(block(0).norm1_gain), master(block(0).norm1_bias), R, D, block_epsilon);
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const TracedSpan part("forward layer", layer);
    attention_part(layer, batch, training);
    feedforward_part(layer, batch, training);
  }
  linear_forward(linear(D, V), number(logits_), activation(normed_), weight(output_), nullptr);
  cross_entropy(number(losses_), number(hits_), dlogits, number(logits_),
                batch.targets == batch.tokens ? tokens : arena_.at<std::uint16_t>(targets_), batch.loss_factor, R, V);
}

template <class T>
void SparseTransformer<T>::forward(const Batch& batch, Scores& scores) {
  load(batch);
  run_forward(batch, false, nullptr);
  fetch(scores);
  fence();
}

template <class T>
void SparseTransformer<T>::copy_logits(float* logits) {
  copy_to_host(logits, number(logits_), static_cast<std::size_t>(R * V) * sizeof(float));
}

template class SparseTransformer<float>;
template class SparseTransformer<bf16>;
template class SparseTransformer<fp16>;

} // namespace weft
