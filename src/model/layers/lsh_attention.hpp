// Attention over hash buckets with shared queries and keys (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451, section
// 2):
//   q | v = x W_qv + b_qv;   k = q / |q|                            (kernels/lsh/keys.hpp)
//   buckets = hashes of q by R random projections, a fresh draw every step     (kernels/lsh/hash.hpp)
//   attended = softmax over the keys that the rounds let each query see  (kernels/lsh/lsh_attention.hpp)
//   y = attended W_out + b_out
// With one bucket and one chunk it is full attention with shared queries and keys.
//
// Released form (the Long Range Arena's code): no map behind, rows of zeros up to a multiple of ten and the heads read
// across their memory (kernels/lsh/released.hpp), ten chunks, no key bits.
//
// Buckets are kept from the forward to the backward pass whatever is recomputed: a row that is made again with other
// last bits keeps its bucket.
#pragma once
#include "config/config.hpp"
#include "kernels/lsh/hash.hpp"
#include "kernels/lsh/keys.hpp"
#include "kernels/lsh/lsh_attention.hpp"
#include "model/layers/layer.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

struct LshSetup {
  LshHash hash;
  LshRule rule;
  SharedKeys keys = SharedKeys::unit;
  bool fixed_hashes = false; ///< the projections of an evaluation, also in training
  bool released = false;
  bool dense = false;  ///< one bucket and one chunk: full attention, which decoding knows
  bool qv_bias = true; ///< where attention has biases, the first map has one, too

  /// Slots of the sorted lists, and the rule for them, of micro-batches with `length` slots: the released code adds
  /// some, and makes ten chunks of them.
  std::int64_t slots(std::int64_t length) const;
  LshRule rule_for(std::int64_t length) const;
};

/// What the input says, for layer `layer` and micro-batches of at most `length` slots: the pattern "lsh", or "dense"
/// with attention.shared_qk.
LshSetup lsh_setup_of(const Config& config, const AttentionSetup& sizes, std::int64_t layer, std::int64_t length);

template <class T>
class LshAttention final : public Layer<T> {
 public:
  /// Tensors name + "attention.qv.weight" and so on.
  LshAttention(Plan& plan, const std::string& name, const AttentionSetup& sizes, const LshSetup& setup);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void forward_again(const Pass<T>& p, T* y, const T* x) override;
  void again(const Pass<T>& p, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  Weight end_bias() const override { return out_bias_; }
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  std::int64_t wide() const { return H * (E + Ev); }
  AttentionShape shape(const Pass<T>& p) const;
  LshRule rule(const Pass<T>& p) const { return setup_.rule_for(p.length()); }
  AttentionExtras extras(const Pass<T>& p) const;
  void project(const Pass<T>& p, const T* x);
  void hash(const Pass<T>& p);
  LshOrder sort(const Pass<T>& p);
  void attend(const Pass<T>& p);
  void output(const Pass<T>& p, T* y);
  const T* make_keys(const Pass<T>& p);

  const std::int64_t D, H, E, Ev;
  const LshSetup setup_;
  const bool again_; ///< what is kept, but the buckets, is made again in the backward pass
  const float dropout_;
  const std::int64_t longest_;
  std::uint32_t site_ = 0;
  Weight qv_weight_, qv_bias_, out_weight_, out_bias_;
  Piece<T> qv_, attended_, short_qv_, keys_, dqv_, short_dqv_, dattended_;
  Piece<int> buckets_, order_, chunk_of_, real_, sorting_;
  Piece<float> lse_, projections_, workspace_, dq_, dk_, dv_, partial_;
};

} // namespace weft
