#include "model/layers/recurrent.hpp"
#include "io/error.hpp"
#include "kernels/activation/activation.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <cmath>
#include <fmt/format.h>

namespace weft {

template <class T>
Recurrent<T>::Recurrent(Plan& plan, const std::string& name, const std::string& family, std::int64_t width,
                        float dropout, std::unique_ptr<Mixing<T>> mixing)
    : mixing_(std::move(mixing)), family_(family), D(width), dropout_(dropout) {
  const std::int64_t R = plan.R;
  const Initial of_inputs{Initialiser::truncated_normal, 1 / std::sqrt(static_cast<double>(D))};
  glu_weight_ = plan.weight(name + family + ".glu.weight", {D, 2 * D}, of_inputs);
  glu_bias_ = plan.weight(name + family + ".glu.bias", {2 * D}, Initial{});
  y_ = plan.keep<T>(name + "y", R * D);
  both_ = plan.keep<T>(name + "both", R * 2 * D);
  z_ = plan.scratch<T>("hidden", R * D);
  dz_ = plan.scratch<T>("dhidden", R * D);
  dboth_ = plan.scratch<T>("wide", R * 2 * D);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(R, 2 * D));
  no_bias_ = plan.scratch<float>("no bias", D);
  site_ = plan.dropout_site();
  plan.product({R, D, 2 * D});
}

template <class T>
void Recurrent<T>::forward(const Pass<T>& p, T* y, const T* x) {
  mixing_->forward(p, p(y_), x);
  activation_forward(p(z_), p(y_), p.rows() * D, Activation::gelu);
  p.drop(p(z_), D, dropout_, site_);
  linear_forward(p.linear(D, 2 * D), p(both_), p(z_), p.low(glu_weight_), p.w(glu_bias_));
  glu_forward({p.rows(), D}, y, p(both_));
}

template <class T>
void Recurrent<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  T *z = p(z_), *dz = p(dz_), *dboth = p(dboth_);
  // out = a sigmoid(b),   [a | b] = z W + bias
  glu_backward({p.rows(), D}, dboth, dy, p(both_));
  column_sum(p.dw(glu_bias_), dboth, p.rows(), 2 * D, p(partial_));
  linear_backward_input(p.linear(D, 2 * D), dz, dboth, p.low(glu_weight_));
  // z = dropout(gelu(y))
  p.drop(dz, D, dropout_, site_);
  activation_backward(z, dz, p(no_bias_), dz, p(y_), p.rows(), D, p(partial_), Activation::gelu);
  p.drop(z, D, dropout_, site_);
  linear_backward_weight(p.linear(D, 2 * D), p.dw(glu_weight_), z, dboth);
  p.done(glu_weight_);
  mixing_->backward(p, dx, dz, x);
}

template <class T>
std::unique_ptr<RowLayer<T>> Recurrent<T>::rows(const RowSetup& /*setup*/) const {
  throw InputError(fmt::format("got a classifier (model.family = \"{}\"), expected a model of the next token: only "
                               "that can be sampled from",
                               family_));
}

WEFT_FOR_STORAGE_TYPES(Recurrent);

} // namespace weft
