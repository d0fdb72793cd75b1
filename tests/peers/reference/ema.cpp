// The damped moving average of MEGA for tests/peers/reference.py.
#include "kernels/ema/ema.hpp"

namespace {

/// sizes: S, N, D, states, directions.
weft::EmaShape shape_of(const long* sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]}; }

} // namespace

extern "C" {
void weft_ema_forward(const long* sizes, double* out, const double* x, const unsigned* seen, const double* delta,
                      const double* alpha, const double* beta, const double* gamma, const double* omega) {
  weft::reference::ema_forward(shape_of(sizes), out, x, seen, {delta, alpha, beta, gamma, omega});
}
void weft_ema_backward(const long* sizes, double* dx, double* ddelta, double* dalpha, double* dbeta, double* dgamma,
                       double* domega, const double* dout, const double* x, const unsigned* seen, const double* delta,
                       const double* alpha, const double* beta, const double* gamma, const double* omega) {
  weft::reference::ema_backward(shape_of(sizes), dx, {ddelta, dalpha, dbeta, dgamma, domega}, dout, x, seen,
                                {delta, alpha, beta, gamma, omega});
}
}
