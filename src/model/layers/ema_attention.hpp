// The gated attention of MEGA (Ma et al. 2023, arXiv:2209.10655, sections 3.2 and 3.3): one head, whose queries and
// keys are made of moving averages, and a gate for what comes out:
//   v = x W_v + b_v,   m = dropout(silu(ema(x)))                                    kernels/ema
//   [u | z | r | h] = m W_m + b_m                                                   kernels/gate
//   q = gain_q silu(z) + shift_q,   k = gain_k silu(z) + shift_k
//   o = softmax(q k' / sqrt(Z) + relative scores) silu(v), or weights that are a function of each score
//       (kernels/pointwise_attention); relative scores are learned for each distance, or rotary   kernels/relative
//   hidden = dropout(silu(h + (o * silu(r)) W_o + b_o))
//   y = sigmoid(u) * (hidden - x)
// so that x + y lies between x and hidden. In a stream with norms in front x is the norm of the stream's rows, but for
// the last line, where it is the stream's rows themselves. The layer has its dropout inside. A causal one has averages
// from the front alone. Attention is that over the engine's key sets: all positions, or the chunks of MEGA-chunk,
// between which the averages alone carry anything; values that are wider than the engine takes go through it in slices,
// whose weights are the same.
#pragma once
#include "kernels/ema/ema.hpp"
#include "kernels/gate/gate.hpp"
#include "kernels/pointwise_attention/pointwise_attention.hpp"
#include "kernels/relative/rotary_bias.hpp"
#include "model/attention_plans.hpp"
#include "model/layers/layer.hpp"
#include <optional>

namespace weft {

struct EmaAttentionSetup {
  std::int64_t width, shared, values;    ///< D; Z of queries and keys; V
  std::int64_t states;                   ///< averages of a channel
  std::int64_t directions;               ///< of the averages: 1 where the model is causal, else 2
  std::optional<PointFunction> function; ///< of single scores; none: the softmax
  std::int64_t reach;                    ///< of the relative scores; 0: there are none
  bool rotary;                           ///< the relative scores
  std::int64_t chunk;                    ///< of positions that see each other; 0: all do
  float dropout, attention_dropout;
};

struct Config;
EmaAttentionSetup ema_attention_of(const Config& config);

template <class T>
class EmaAttention final : public Layer<T> {
 public:
  /// `plans` must outlive the layer.
  EmaAttention(Plan& plan, const std::string& name, std::int64_t layer, const EmaAttentionSetup& setup,
               const AttentionPlans& plans);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  void forward_beside(const Pass<T>& p, T* y, const T* x, const T* stream) override;
  void backward_beside(const Pass<T>& p, T* dx, const T* dy, const T* x, const T* stream, T* dstream) override;
  bool drops_itself() const override { return true; }
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  template <class Pointer>
  struct Tensors {
    EmaTensors<Pointer> ema;
    GateTensors<Pointer> gate;
  };
  Tensors<const float*> weights(const Pass<T>& p) const;
  Tensors<float*> gradients(const Pass<T>& p) const;
  EmaShape ema(std::int64_t sequences, std::int64_t length) const {
    return {sequences, length, D, states_, directions_};
  }
  GateShape gate(std::int64_t rows) const { return {rows, D, Z, V}; }
  std::int64_t slices() const { return (V + attention_width_limit - 1) / attention_width_limit; }
  std::int64_t slice_width(std::int64_t slice) const { return (slice + 1) * V / slices() - slice * V / slices(); }
  /// Of a slice of the values; it begins at column slice V / slices().
  AttentionShape heads(std::int64_t sequences, std::int64_t length, std::int64_t slice) const;
  PointwiseAttention pointwise(std::int64_t sequences, std::int64_t length) const;
  PointwiseAttention pointwise(const Pass<T>& p) const;
  /// Scores by distance, which this makes where they are rotary; null: none.
  const float* distances(const Pass<T>& p) const;
  AttentionExtras extras(const Pass<T>& p) const;
  void average(const Pass<T>& p, T* m) const;
  void attend(const Pass<T>& p) const;
  void attend_backward(const Pass<T>& p, const T* dattended) const;
  void engine_backward(const Pass<T>& p, float* ddistances, const T* dattended) const;

  const std::int64_t layer_, longest_; ///< longest_: N of the plan
  const std::int64_t D, Z, V, states_, directions_;
  const std::optional<PointFunction> function_;
  const std::int64_t reach_;
  const bool rotary_;
  const std::int64_t chunk_;
  const float dropout_, attention_dropout_;
  std::uint32_t average_site_, hidden_site_, attention_site_;
  const AttentionPlans& plans_;
  Weight value_weight_, value_bias_, delta_, alpha_, beta_, gamma_, omega_, mixed_weight_, mixed_bias_;
  Weight gain_q_, shift_q_, gain_k_, shift_k_, relative_, turned_q_, turned_k_, out_weight_, out_bias_;
  Piece<T> v_, averages_, mixed_, qkv_, attended_, hidden_; ///< averages_, hidden_: before SiLU
  Piece<float> lse_;
  // Within one call: (R, D) twice, (R, V) twice, gradients of mixed_ and qkv_.
  Piece<T> narrow_, m_, gated_, dv_, dmixed_, dqkv_;
  Piece<T> dslice_;                     ///< like dqkv_, with more than one slice
  Piece<float> distances_, ddistances_; ///< of rotary scores
  Piece<float> no_bias_, partial_, ema_workspace_, workspace_;
};

} // namespace weft
