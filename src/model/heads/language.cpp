#include "model/heads/language.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
LanguageHead<T>::LanguageHead(Plan& plan, std::int64_t width, std::int64_t vocabulary, Weight tied)
    : D(width), V(vocabulary), tied_(static_cast<bool>(tied)) {
  output_ = tied_ ? tied : plan.weight("output.weight", {D, V}, Initialiser::zero);
  predictions_ = Predictions<T>(plan, plan.R, V, true);
  dx_ = plan.scratch<T>("branch", plan.R * D);
  plan.product(tied_ ? LinearShape{plan.R, V, D} : LinearShape{plan.R, D, V});
}

template <class T>
void LanguageHead<T>::forward(const Pass<T>& p, const T* x) const {
  if (tied_)
    linear_backward_input(p.linear(V, D), p(predictions_.logits), x, p.low(output_)); // x E^T
  else
    linear_forward(p.linear(D, V), p(predictions_.logits), x, p.low(output_), nullptr);
  predictions_.forward(p);
}

template <class T>
T* LanguageHead<T>::backward(const Pass<T>& p, const T* x) const {
  const T* dlogits = p(predictions_.dlogits);
  if (tied_) {
    linear_backward_weight(p.linear(V, D), p.dw(output_), dlogits, x);
    linear_forward(p.linear(V, D), p(dx_), dlogits, p.low(output_), nullptr);
  } else {
    linear_backward_weight(p.linear(D, V), p.dw(output_), x, dlogits);
    linear_backward_input(p.linear(D, V), p(dx_), dlogits, p.low(output_));
  }
  return p(dx_);
}

WEFT_FOR_STORAGE_TYPES(LanguageHead);

} // namespace weft
