#include "model/layers/linformer.hpp"
#include "config/config.hpp"
#include "kernels/low_rank/mix_rows.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

LinformerSetup linformer_of(const Config& c) {
  const std::string& sharing = c.attention.sharing;
  return {c.attention.projected,          sharing != "headwise",     sharing == "layerwise" || sharing == "per_head",
          sharing == "per_head",          c.attention.form == "lra", c.model.layers,
          c.model.code == "nystromformer"};
}

template <class T>
Linformer<T>::Linformer(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                        const LinformerSetup& linformer, const AttentionPlans& plans)
    : Base(plan, name, setup, Base::OwnWeights::some,
           "got attention.pattern = \"linformer\", whose keys are mixtures of all positions: there is nothing "
           "to sample from before they are all known"),
      linformer_(linformer), layer_(layer), longest_(plan.N), dropout_(setup.dropout), plans_(plans) {
  const std::int64_t k = linformer.projected, mixed_width = H * (E + Ev);
  const Initial initial = linformer.normal
                              ? Initial{Initialiser::normal, 0.02}
                              : Initial{Initialiser::uniform, std::sqrt(6.0 / static_cast<double>(plan.N + k))};
  std::vector<std::int64_t> shape = {plan.N, k};
  if (linformer.one_per_head)
    shape.insert(shape.begin(), H);
  if (linformer.one_for_layers) {
    keys_ = values_ = plan.shared_weight("attention.mix.weight", shape, initial);
  } else if (linformer.one_for_both) {
    keys_ = values_ = plan.weight(name + "attention.mix.weight", shape, initial);
  } else {
    keys_ = plan.weight(name + "attention.mix_keys.weight", shape, initial);
    values_ = plan.weight(name + "attention.mix_values.weight", shape, initial);
  }
  mixed_ = plan.keep_unless<T>(this->again_, name, "mixed", plan.S * k * mixed_width);
  dmixed_ = plan.scratch<T>("dmixed", plan.S * k * mixed_width);
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", plan.R * H);
  const AttentionPlan& whole = plans_.of(layer_, plan.N);
  const AttentionShape sizes = mixed_shape(plan.S, plan.N);
  workspace_ = plan.attention_workspace(whole, sizes);
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  const double mixing = 2.0 * static_cast<double>(plan.R) * static_cast<double>(k * mixed_width);
  plan.attention(mixing, (this->again_ ? 3 : 2) * mixing);
  plan.attention(whole, E, Ev, this->again_);
}

template <class T>
AttentionShape Linformer<T>::mixed_shape(std::int64_t sequences, std::int64_t length) const {
  AttentionShape s = this->shape(sequences, length);
  s.key_length = linformer_.projected;
  s.row_stride_kv = H * (E + Ev);
  return s;
}

/// The dropout of the (N, k) weights, counted as in a sequence of the full length.
template <class T>
AttentionExtras Linformer<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  e.dropout_stride = std::max(longest_, linformer_.projected);
  return e;
}

template <class T>
template <class Each>
void Linformer<T>::for_mixtures(const Pass<T>& p, const Each& each) const {
  // Matrices of all layers: the last layer comes first in the backward pass.
  const Into first = linformer_.one_for_layers && layer_ + 1 < linformer_.layers ? Into::add : Into::overwrite;
  const auto call = [&](const Mixture& m) {
    each(m, MixShape{p.sequences(), p.length(), linformer_.projected, m.width, this->wide(), H * (E + Ev)});
  };
  const std::int64_t k = H * E, v = 2 * H * E; // where keys and values begin in a row of qkv
  if (linformer_.one_per_head) {
    for (std::int64_t h = 0; h < H; ++h) {
      call({keys_, h, k + h * E, h * E, E, first});
      call({values_, h, v + h * Ev, H * E + h * Ev, Ev, Into::add});
    }
  } else if (linformer_.one_for_both) {
    call({keys_, 0, k, 0, H * (E + Ev), first}); // side by side in both
  } else {
    call({keys_, 0, k, 0, H * E, first});
    call({values_, 0, v, H * E, H * Ev, first});
  }
}

template <class T>
void Linformer<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  T* mixed = p(mixed_);
  for_mixtures(p, [&](const Mixture& m, const MixShape& shape) {
    mix_rows_forward(shape, mixed + m.to, p.w(m.matrix) + m.number * longest_ * shape.rank, qkv + m.from, seen(p));
  });
  attention_forward(plans_.of(layer_, p.length()), mixed_shape(p.sequences(), p.length()), attended, p(lse_), qkv,
                    mixed, mixed + H * E, p(workspace_), AttentionPath::best, extras(p));
}

template <class T>
void Linformer<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  const T* mixed = p(mixed_);
  T* dmixed = p(dmixed_);
  attention_backward(plans_.of(layer_, p.length()), mixed_shape(p.sequences(), p.length()), dqkv, dmixed,
                     dmixed + H * E, dattended, qkv, mixed, mixed + H * E, attended, p(lse_), p(workspace_),
                     AttentionPath::best, extras(p));
  for_mixtures(p, [&](const Mixture& m, const MixShape& shape) {
    const std::int64_t at = m.number * longest_ * shape.rank, used = shape.length * shape.rank;
    mix_rows_backward_rows(shape, dqkv + m.from, p.w(m.matrix) + at, dmixed + m.to, seen(p));
    mix_rows_backward_matrix(shape, p.dw(m.matrix) + at, dmixed + m.to, qkv + m.from, seen(p), m.into);
    if (m.into == Into::overwrite) // rows behind this micro-batch's length
      device_zero(p.dw(m.matrix) + at + used, static_cast<std::size_t>(longest_ * shape.rank - used) * sizeof(float));
  });
}

WEFT_FOR_STORAGE_TYPES(Linformer);

} // namespace weft
