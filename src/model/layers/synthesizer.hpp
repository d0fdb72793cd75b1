// The Synthesizer (Tay et al. 2021, arXiv:2005.00743, section 3.1): scores that are not products of queries and keys,
//   attended = softmax(A + [dot product] Q K' / sqrt(E)) V
//   random             A = R, trained, [N, N] per head; gradient: the sum over the sequences of the scores' slopes
//   factorised_random  A = R1 R2', trained, [N, rank] per head
//   dense              A_i = W2' relu(W1' x_i + b1) + b2 of head h, W2: [d, N]
// or a learned mixture of both sources, softmax((1 - s) Q K' / sqrt(E) + s A) V with the sigmoid s of one number a
// layer. A shorter sequence takes the corner A[:N, :N]. In form lra, dense shares W2 and b2 among the heads and lacks
// the transpose between tokens and heads, and without the dot product no padding is masked, as in the released code.
#pragma once
#include "kernels/synthesizer/mixture.hpp"
#include "model/attention_plans.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

enum class Synthesis { random, factorised_random, dense };

struct SynthesizerSetup {
  Synthesis mode;
  bool dot_product;
  bool mixture;        ///< of the two, instead of their sum
  std::int64_t rank;   ///< of factorised_random
  std::int64_t hidden; ///< d of dense; 0: the width of a head's values
  bool released;       ///< form lra
};

struct Config;
SynthesizerSetup synthesizer_of(const Config& config);

/// Why it has no rows().
inline constexpr const char* synthesizer_unsampled =
    "got attention.pattern = \"synthesizer\", which cannot be sampled from; expected a pattern that is a set of keys";

template <class T>
class Synthesizer final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

 public:
  /// `plans` must outlive the layer. Without the dot product it has no queries and keys: qkv holds values alone, and in
  /// mode dense the hidden numbers x W1 behind them.
  Synthesizer(Plan& plan, const std::string& name, const AttentionSetup& setup, const SynthesizerSetup& synthesizer,
              const AttentionPlans& plans);

 private:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  bool has_table() const { return synthesizer_.mode == Synthesis::random; }
  bool joins() const { return !has_table() || synthesizer_.mixture; }
  std::int64_t features() const; ///< columns that the factors of A add to queries and keys
  JoinShape joined_shape(const Pass<T>& p) const { return joined_shape(p.sequences(), p.length()); }
  JoinShape joined_shape(std::int64_t sequences, std::int64_t length) const;
  AttentionShape scored_shape(std::int64_t sequences, std::int64_t length) const;
  AttentionExtras extras(const Pass<T>& p) const;
  void mix_table(const Pass<T>& p) const;
  const std::uint32_t* seen(const Pass<T>& p) const { return mask_padding_ ? p.seen() : nullptr; }
  /// The rows that attention runs on: qkv, or with the factors of A joined to it, or with shares for both.
  const T* scored(const Pass<T>& p, const T* qkv) const { return joins() ? p(joined_) : qkv; }

  const SynthesizerSetup synthesizer_;
  std::int64_t longest_; ///< N of the plan
  float dropout_;
  std::uint32_t site_ = 0;
  bool padded_rows_, mask_padding_;
  const AttentionPlans& plans_;
  Weight table_;                           ///< R [H, N, N]
  Weight left_, right_;                    ///< R1, R2 [H, N, rank]
  Weight hidden_bias_, matrix_, constant_; ///< b1 [H d]; W2 [H or 1, d, N], b2 [H or 1, N]
  Weight share_;                           ///< s is its sigmoid
  Piece<T> joined_, djoined_;              ///< (S, N, joined_width)
  Piece<float> mixed_;                     ///< s R
  Piece<float> lse_, workspace_, padded_, partial_;
};

} // namespace weft
