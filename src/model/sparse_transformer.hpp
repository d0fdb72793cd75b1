// The Sparse Transformer (Child, Gray, Radford, Sutskever 2019, arXiv:1904.10509, section 5):
//   H_0 = embedding(x);   a = dropout(attention(norm1(H)));   b = dropout(feedforward(norm2(H + a)));   H' = H + a + b
//   logits = norm(H_L) W_output
#pragma once
#include "config/config.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/gemm/gemm.hpp"
#include "model/arena.hpp"
#include "model/model.hpp"
#include "model/replay.hpp"
#include <array>

namespace weft {

constexpr float block_epsilon = 1e-5f, final_epsilon = 1e-6f; ///< of the layer norms (reference 2.1)

template <class T>
class SparseTransformer final : public Model {
 public:
  explicit SparseTransformer(const Config& config);
  ModelCosts costs() const override;
  void allocate() override;
  void use_weights(const float* weights) override;
  void forward_backward(const Batch& batch, float* gradients, Scores& scores, const GradientsReady& ready) override;
  void forward(const Batch& batch, Scores& scores) override;
  void copy_logits(float* logits) override;
  std::string first_nonfinite_activation() override;

 private:
  /// Indices into the parameter list.
  struct Block {
    int norm1_gain, norm1_bias, qkv_weight, qkv_bias, out_weight, out_bias;
    int norm2_gain, norm2_bias, in_weight, in_bias, ff_weight, ff_bias;
  };
  /// Numbers of the arena's pieces that a block keeps until its backward pass. R = B*N rows.
  struct Kept {
    int input;                      // (R, D)    T: the residual stream entering the block
    int mean1, rstd1, mean2, rstd2; // (R)       fp32
    int qkv;                        // (R, 2*Dk + D) T: q | k | v
    int attended;                   // (R, D)    T: attention's output, heads side by side
    int lse;                        // (B, H, N) fp32
    int middle;                     // (R, D)    T: the stream between the two sub-blocks
    int hidden;                     // (R, F)    T: before the activation
  };

  void declare_parameters();
  void plan_memory();
  void load(const Batch& batch);
  void run_forward(const Batch& batch, bool training, T* dlogits);
  void run_training(const Batch& batch, float* gradients, const GradientsReady& ready);
  void fetch(Scores& scores);
  void attention_part(std::int64_t layer, const Batch& batch, bool training);
  void attention_core(std::int64_t layer);
  void feedforward_hidden(std::int64_t layer);
  void feedforward_part(std::int64_t layer, const Batch& batch, bool training);
  const T* branch_gradient(float* dbias, const Dropout& dropout);
  void feedforward_backward(std::int64_t layer, const Batch& batch, float* gradients, const GradientsReady& ready);
  void attention_part_backward(std::int64_t layer, const Batch& batch, float* gradients, const GradientsReady& ready);

  const Block& block(std::int64_t layer) const { return blocks_[static_cast<std::size_t>(layer)]; }
  const Kept& kept(std::int64_t layer) const { return kept_[static_cast<std::size_t>(layer)]; }
  const AttentionPlan& plan(std::int64_t layer) const {
    return plans_[static_cast<std::size_t>(layer) % plans_.size()];
  }
  T* activation(int piece) { return arena_.at<T>(piece); }
  float* number(int piece) { return arena_.at<float>(piece); }
  const float* master(int parameter) const { return weights_ + parameters_[parameter].offset; }
  const T* weight(int parameter) const;
  Dropout dropout(const Batch& batch, bool training, std::int64_t tensor) const;
  EmbeddingTables<const float*> tables() const;
  EmbeddingShape embedding_shape() const { return {B, N, D, V}; }
  AttentionShape attention_shape() const;
  ResidualShape residual_shape() const { return {B, N, D}; }
  LinearShape linear(std::int64_t inputs, std::int64_t outputs) const { return {R, inputs, outputs}; }
  std::vector<LinearShape> products() const;

  std::int64_t L, D, H, N, V, B, F, Dk, R; ///< sizes; F feed-forward width, Dk query/key width over all heads
  float dropout_;
  std::string recompute_;
  double embedding_std_, position_std_, weight_scale_;
  Coordinates coordinates_;
  int token_, start_, final_gain_, final_bias_, output_;
  std::array<int, max_coordinates> position_{};
  std::vector<Block> blocks_;
  std::vector<AttentionPlan> plans_; ///< layer r uses entry r mod size

  Arena arena_;
  std::vector<Kept> kept_; ///< L entries; recomputed pieces are shared by all of them
  int stream_end_, final_mean_, final_rstd_;
  int normed_, branch_, gate_, dstream_, dbranch_, dattended_, dwide_, logits_, dlogits_, losses_, hits_, tokens_,
      targets_, moment_;
  int partial_, attention_workspace_;

  std::unique_ptr<Upload> tokens_upload_, targets_upload_, moment_upload_;
  std::unique_ptr<Replay> replay_; ///< none: parallel.cuda_graph is off

  const float* weights_ = nullptr;
  Buffer<T> low_precision_; ///< the weights as T; empty where T is float
};

} // namespace weft
