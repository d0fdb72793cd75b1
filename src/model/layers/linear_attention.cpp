#include "model/layers/linear_attention.hpp"
#include "io/error.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
LinearAttentionLayer<T>::LinearAttentionLayer(Plan& plan, const std::string& name, const AttentionSetup& setup,
                                              const LinearSetup& linear)
    : Base(plan, name, setup, Base::OwnWeights::none), setup_(linear) {
  denominators_ = plan.keep_unless<float>(this->again_, name, "denominators", plan.R * H);
  const LinearAttention whole{this->shape(plan.S, plan.N), setup_.map, setup_.causal, setup_.guard, setup_.floor};
  workspace_ = plan.scratch<float>("attention", linear_attention_workspace(whole));
  const double forward = linear_attention_work(whole, false);
  plan.work(forward, linear_attention_work(whole, true) + (this->again_ ? forward : 0));
}

template <class T>
LinearAttention LinearAttentionLayer<T>::call(const Pass<T>& p) const {
  LinearAttention c{this->shape(p.sequences(), p.length()), setup_.map, setup_.causal, setup_.guard, setup_.floor};
  c.seen = setup_.padding_is_seen ? nullptr : p.seen();
  return c;
}

template <class T>
void LinearAttentionLayer<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  linear_attention_forward<T>(call(p), attended, p(denominators_), qkv, qkv + H * E, qkv + 2 * H * E, nullptr, nullptr,
                              p(workspace_));
}

template <class T>
void LinearAttentionLayer<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv,
                                              const T* attended) {
  linear_attention_backward<T>(call(p), dqkv, dqkv + H * E, dqkv + 2 * H * E, dattended, qkv, qkv + H * E,
                               qkv + 2 * H * E, attended, p(denominators_), nullptr, nullptr, p(workspace_));
}

template <class T>
std::unique_ptr<RowLayer<T>> LinearAttentionLayer<T>::rows(const RowSetup& /*setup*/) const {
  throw InputError("cannot sample with attention.pattern = \"linear\" or \"performer\": decoding from a running state "
                   "is not there; expected a pattern that is a set of keys");
}

WEFT_FOR_STORAGE_TYPES(LinearAttentionLayer);

} // namespace weft
