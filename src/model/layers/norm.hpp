// Layer normalisation as a part of models: kernels/norm with its weights and the statistics that it keeps.
#pragma once
#include "kernels/norm/norm.hpp"
#include "model/pass.hpp"

namespace weft {

template <class T>
struct Norm {
  Weight gain, bias;
  Piece<float> mean, rstd, partial;
  float epsilon = 0;
  std::int64_t D = 0;

  Norm() = default;
  /// Weights name + ".gain", name + ".bias". `what` names the statistics: "block.00.mean1".
  Norm(Plan& plan, const std::string& name, const std::string& mean_name, const std::string& rstd_name,
       std::int64_t width, float eps)
      : gain(plan.weight(name + ".gain", {width}, Initialiser::one)),
        bias(plan.weight(name + ".bias", {width}, Initialiser::zero)), mean(plan.keep<float>(mean_name, plan.R)),
        rstd(plan.keep<float>(rstd_name, plan.R)),
        partial(plan.scratch<float>("partial", norm_workspace(plan.R, width))), epsilon(eps), D(width) {}

  void forward(const Pass<T>& p, T* out, const T* x) const {
    norm_forward(out, p(mean), p(rstd), x, p.w(gain), p.w(bias), p.rows(), D, epsilon);
  }
  /// The same `out` from the statistics that are there.
  void again(const Pass<T>& p, T* out, const T* x) const {
    norm_again(out, p(mean), p(rstd), x, p.w(gain), p.w(bias), p.rows(), D);
  }
  /// dx += gradient through the norm.
  void backward(const Pass<T>& p, T* dx, const T* dout, const T* x) const {
    norm_backward(dx, p.dw(gain), p.dw(bias), dout, x, p(mean), p(rstd), p.w(gain), p.rows(), D, p(partial));
  }
};

} // namespace weft
