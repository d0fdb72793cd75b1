#include "model/layers/performer.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
Performer<T>::Performer(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                        const PerformerSetup& performer)
    : Base(plan, name, setup, Base::OwnWeights::none,
           "cannot sample with attention.pattern = \"performer\" and attention.kernel = \"softmax\": decoding "
           "from random features is not there; expected kernel = \"relu\" or another pattern"),
      setup_(performer),
      layer_(static_cast<std::uint32_t>(layer)), features_{performer.features > 0 ? performer.features
                                                                                  : default_features(E),
                                                           E, performer.epsilon} {
  const std::int64_t numbers = plan.R * H * padded_features(features_.features);
  const LinearAttention whole = call(this->shape(plan.S, plan.N));
  denominators_ = plan.keep_unless<float>(this->again_, name, "denominators", plan.R * H);
  omega_ = plan.scratch<float>("random features", features_.matrix());
  draw_ = plan.scratch<double>("draw of random features", features_.draw_workspace());
  of_q_ = plan.scratch<float>("features of queries", numbers);
  of_k_ = plan.scratch<float>("features of keys", numbers);
  largest_ = plan.scratch<float>("largest features", random_features_workspace(whole.shape));
  workspace_ = plan.scratch<float>("attention", linear_attention_workspace(whole));
  // The backward pass makes the features again, and goes through them to q and k.
  const double features = 2 * 2 * static_cast<double>(plan.R * H) * static_cast<double>(features_.features * E);
  const double forward = features + linear_attention_work(whole, false);
  plan.attention(forward, 2 * features + linear_attention_work(whole, true) + (this->again_ ? forward : 0));
}

template <class T>
LinearAttention Performer<T>::call(const AttentionShape& shape) const {
  return {shape, FeatureMap::given, setup_.causal, 0, features_.floor(), features_.features};
}

template <class T>
void Performer<T>::make_features(const Pass<T>& p, const LinearAttention& of, const T* qkv) {
  draw_random_features(features_, {p.dropout(0, 0), setup_.redraw_steps, layer_}, p(omega_), p(draw_));
  random_features_forward(features_, FeaturesOf::queries, of.shape, p(of_q_), qkv, p(omega_), of.seen, p(largest_));
  random_features_forward(features_, keys(), of.shape, p(of_k_), qkv + H * E, p(omega_), of.seen, p(largest_));
}

template <class T>
void Performer<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  LinearAttention of = call(this->shape(p.sequences(), p.length()));
  of.seen = seen(p);
  make_features(p, of, qkv);
  linear_attention_forward<T>(of, attended, p(denominators_), qkv, qkv + H * E, qkv + 2 * H * E, p(of_q_), p(of_k_),
                              p(workspace_));
}

template <class T>
void Performer<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  LinearAttention of = call(this->shape(p.sequences(), p.length()));
  of.seen = seen(p);
  make_features(p, of, qkv);
  T *dq = dqkv, *dk = dqkv + H * E;
  linear_attention_backward<T>(of, dq, dk, dqkv + 2 * H * E, dattended, qkv, qkv + H * E, qkv + 2 * H * E, attended,
                               p(denominators_), p(of_q_), p(of_k_), p(workspace_));
  random_features_backward(features_, FeaturesOf::queries, of.shape, dq, p(of_q_), qkv, p(omega_), of.seen);
  random_features_backward(features_, keys(), of.shape, dk, p(of_k_), qkv + H * E, p(omega_), of.seen);
}

WEFT_FOR_STORAGE_TYPES(Performer);

} // namespace weft
