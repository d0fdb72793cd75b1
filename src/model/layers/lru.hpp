// A linear recurrent unit (Orvieto et al. 2023, arXiv:2303.06349, section 2.2 and appendix A) with the gate behind it:
//   u_t = B x_t,   h_t = lambda * h_{t-1} + g * u_t                    kernels/recurrence: complex, state by state
//   y_t = Re(C h_t) + d * x_t,   z_t = dropout(gelu(y_t))
//   out_t = (W_1 z_t + b_1) * sigmoid(W_2 z_t + b_2)                   kernels/gate/glu.hpp
// Complex numbers lie side by side as two halves of a row, so that B is one real matrix [B_1 | B_2], and C one with
// the rows of C_1 over those of -C_2. From both ends: the same B and lambda, and twice as many rows of C.
#pragma once
#include "kernels/gate/glu.hpp"
#include "kernels/recurrence/diagonal.hpp"
#include "model/layers/layer.hpp"

namespace weft {

struct LruSetup {
  std::int64_t width, states, directions; ///< D, P, 1 or 2
  double r_min, r_max, phase_max;         ///< where lambda begins
  float dropout;                          ///< behind the GELU
};

template <class T>
class Lru final : public Layer<T> {
 public:
  Lru(Plan& plan, const std::string& name, const LruSetup& setup);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  DiagonalShape states(std::int64_t sequences, std::int64_t length) const { return {sequences, length, P, K}; }
  DiagonalShape states(const Pass<T>& p) const { return states(p.sequences(), p.length()); }
  DiagonalTensors<const float*> factors(const Pass<T>& p) const { return {p.w(nu_), p.w(theta_), p.w(gain_)}; }

  std::int64_t D, P, K;
  float dropout_;
  std::uint32_t site_;
  Weight in_weight_, nu_, gain_, theta_, out_weight_, skip_, glu_weight_, glu_bias_;
  Piece<T> u_, h_, y_, both_;         ///< (R, 2P), (R, 2P K), (R, D), (R, 2D)
  Piece<T> z_, dz_, dboth_, dh_, du_; ///< as their numbers
  Piece<float> partial_, no_bias_, scan_;
};

} // namespace weft
