#include "model/heads/language.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
LanguageHead<T>::LanguageHead(Plan& plan, std::int64_t width, std::int64_t vocabulary) : D(width), V(vocabulary) {
  output_ = plan.weight("output.weight", {D, V}, Initialiser::zero);
  predictions_ = Predictions<T>(plan, plan.R, V, true);
  dx_ = plan.scratch<T>("branch", plan.R * D);
  plan.product({plan.R, D, V});
}

template <class T>
void LanguageHead<T>::forward(const Pass<T>& p, const T* x) const {
  linear_forward(p.linear(D, V), p(predictions_.logits), x, p.low(output_), nullptr);
  predictions_.forward(p);
}

template <class T>
T* LanguageHead<T>::backward(const Pass<T>& p, const T* x) const {
  const T* dlogits = p(predictions_.dlogits);
  linear_backward_weight(p.linear(D, V), p.dw(output_), x, dlogits);
  linear_backward_input(p.linear(D, V), p(dx_), dlogits, p.low(output_));
  return p(dx_);
}

WEFT_FOR_STORAGE_TYPES(LanguageHead);

} // namespace weft
