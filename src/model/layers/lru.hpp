// A linear recurrent unit (Orvieto et al. 2023, arXiv:2303.06349, section 2.2 and appendix A):
//   u_t = B x_t,   h_t = lambda * h_{t-1} + g * u_t                    kernels/recurrence: complex, state by state
//   y_t = Re(C h_t) + d * x_t
// Complex numbers lie side by side as two halves of a row, so that B is one real matrix [B_1 | B_2], and C one with
// the rows of C_1 over those of -C_2. From both ends: the same B and lambda, and twice as many rows of C.
#pragma once
#include "kernels/recurrence/diagonal.hpp"
#include "model/layers/recurrent.hpp"

namespace weft {

struct LruSetup {
  std::int64_t width, states, directions; ///< D, P, 1 or 2
  double r_min, r_max, phase_max;         ///< where lambda begins
};

template <class T>
class Lru final : public Mixing<T> {
 public:
  Lru(Plan& plan, const std::string& name, const LruSetup& setup);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;

 private:
  DiagonalShape states(std::int64_t sequences, std::int64_t length) const { return {sequences, length, P, K}; }
  DiagonalShape states(const Pass<T>& p) const { return states(p.sequences(), p.length()); }
  DiagonalTensors<const float*> factors(const Pass<T>& p) const { return {p.w(nu_), p.w(theta_), p.w(gain_)}; }

  std::int64_t D, P, K;
  Weight in_weight_, nu_, gain_, theta_, out_weight_, skip_;
  Piece<T> u_, h_;   ///< (R, 2P), (R, 2P K)
  Piece<T> dh_, du_; ///< as their numbers
  Piece<float> partial_, scan_;
};

} // namespace weft
