// Linformer (Wang et al. 2020, arXiv:2006.04768, section 4): attention to k keys, each a mixture of all N,
//   K~ = E' K,   V~ = F' V,   attended = softmax(Q K~' / sqrt(E)) V~,   E, F: [N, k]
// so that time and memory grow with N k. A shorter sequence takes the first rows of E and F. Padded rows of K and V
// count as zeros (form paper) or like any other (form lra); the mixed keys are all seen. Never causal: each of them
// holds every position.
#pragma once
#include "model/attention_plans.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

struct LinformerSetup {
  std::int64_t projected; ///< k
  bool one_for_both;      ///< E = F
  bool one_for_layers;    ///< all layers share them
  bool one_per_head;      ///< every head has its own
  bool padding_counts;    ///< form lra
  std::int64_t layers;    ///< of the model
  bool normal;            ///< E and F begin N(0, 0.02) instead of with Xavier's numbers (model.code)
};

struct Config;
LinformerSetup linformer_of(const Config& config);

template <class T>
class Linformer final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

 public:
  /// layer: its number from 0. `plans` must outlive the layer.
  Linformer(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
            const LinformerSetup& linformer, const AttentionPlans& plans);

 private:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  /// Columns of qkv, of a row of the mixed keys and values, and of the tensor of matrices, that go together.
  struct Mixture {
    Weight matrix;
    std::int64_t number; ///< of the tensor's matrices [N, k]
    std::int64_t from, to, width;
    Into into;
  };
  /// Calls each(mixture, shape) for all of this layer, where no two that are added up come in another order.
  template <class Each>
  void for_mixtures(const Pass<T>& p, const Each& each) const;
  AttentionShape mixed_shape(std::int64_t sequences, std::int64_t length) const;
  AttentionExtras extras(const Pass<T>& p) const;
  const std::uint32_t* seen(const Pass<T>& p) const { return linformer_.padding_counts ? nullptr : p.seen(); }

  const LinformerSetup linformer_;
  std::int64_t layer_, longest_; ///< longest_: N of the plan
  float dropout_;
  std::uint32_t site_ = 0;
  const AttentionPlans& plans_;
  Weight keys_, values_; ///< E and F, [N, k] or [H, N, k]; the same where one serves both
  Piece<T> mixed_;       ///< (S, k, H (E + Ev)): the keys K~ of all heads, then the values V~
  Piece<T> dmixed_;
  Piece<float> lse_, workspace_;
};

} // namespace weft
