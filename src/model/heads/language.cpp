#include "model/heads/language.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
LanguageHead<T>::LanguageHead(Plan& plan, const LanguageSetup& setup)
    : D(setup.width), V(setup.vocabulary), tied_(static_cast<bool>(setup.tied)) {
  output_ = tied_ ? setup.tied : plan.weight("output.weight", {D, V}, Initialiser::zero);
  if (setup.bias) {
    bias_ = plan.weight("output.bias", {V}, Initialiser::zero);
    partial_ = plan.scratch<float>("partial", column_sum_workspace(plan.R, V));
    dbias_ = plan.scratch<float>("dbias", V);
  }
  predictions_ = Predictions<T>(plan, plan.R, V, true, setup.chunks);
  dx_ = plan.scratch<T>("branch", plan.R * D);
  plan.product(tied_ ? LinearShape{plan.R, V, D} : LinearShape{plan.R, D, V}, setup.chunks > 1);
}

template <class T>
void LanguageHead<T>::logits(const Pass<T>& p, const T* x, std::int64_t rows) const {
  float* to = p(predictions_.logits);
  const float* bias = bias_ ? p.w(bias_) : nullptr;
  if (tied_) { // x E^T
    linear_backward_input({rows, V, D}, to, x, p.low(output_));
    if (bias)
      add_to_rows(to, bias, rows, V);
  } else {
    linear_forward({rows, D, V}, to, x, p.low(output_), bias);
  }
}

template <class T>
void LanguageHead<T>::forward(const Pass<T>& p, const T* x) const {
  p.in_chunks(predictions_.chunks, [&](std::int64_t first, std::int64_t rows) {
    logits(p, x + first * D, rows);
    predictions_.part(p, first, rows, p.training() && predictions_.chunks == 1);
  });
}

template <class T>
T* LanguageHead<T>::backward(const Pass<T>& p, const T* x) const {
  const T* dlogits = p(predictions_.dlogits);
  p.in_chunks(predictions_.chunks, [&](std::int64_t first, std::int64_t rows) {
    const T* part = x + first * D;
    T* dx = p(dx_) + first * D;
    const Into into = first == 0 ? Into::overwrite : Into::add;
    if (predictions_.chunks > 1) {
      logits(p, part, rows);
      predictions_.part(p, first, rows, true);
    }
    if (bias_) {
      column_sum(first == 0 ? p.dw(bias_) : p(dbias_), dlogits, rows, V, p(partial_));
      if (first > 0)
        add_to(p.dw(bias_), p(dbias_), V);
    }
    if (tied_) {
      linear_backward_weight({rows, V, D}, p.dw(output_), dlogits, part, into);
      linear_forward({rows, V, D}, dx, dlogits, p.low(output_), nullptr);
    } else {
      linear_backward_weight({rows, D, V}, p.dw(output_), part, dlogits, into);
      linear_backward_input({rows, D, V}, dx, dlogits, p.low(output_));
    }
  });
  return p(dx_);
}

WEFT_FOR_STORAGE_TYPES(LanguageHead);

} // namespace weft
