// A diagonal state space model (Gu et al. 2022, arXiv:2206.11893; S4D-Lin, section 4.3):
//   y = kernel * x + d * x,   kernel[l] = 2 Re sum over modes of C (exp(dt A) - 1) / A exp(l dt A)
// channel by channel, kernels/recurrence/s4d.hpp. A begins as -1/2 + i pi n, n = 0, 1, ...
#pragma once
#include "kernels/recurrence/s4d.hpp"
#include "model/layers/recurrent.hpp"

namespace weft {

struct S4dSetup {
  std::int64_t width, modes, directions; ///< D, M, 1 or 2
  double dt_min, dt_max;                 ///< between which steps begin
};

template <class T>
class S4d final : public Mixing<T> {
 public:
  S4d(Plan& plan, const std::string& name, const S4dSetup& setup);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;

 private:
  S4dShape shape(const Pass<T>& p) const { return {p.sequences(), p.length(), D, M, K}; }
  S4dTensors<const float*> tensors(const Pass<T>& p) const {
    return {p.w(decay_), p.w(angle_), p.w(step_), p.w(c_), p.w(skip_)};
  }

  std::int64_t D, M, K;
  Weight decay_, angle_, step_, c_, skip_;
  Piece<float> workspace_;
};

} // namespace weft
