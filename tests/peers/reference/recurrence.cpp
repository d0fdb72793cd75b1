// The diagonal recurrence of linear recurrent units for tests/peers/reference.py.
#include "kernels/recurrence/diagonal.hpp"

namespace {

/// sizes: S, N, P, directions.
weft::DiagonalShape shape_of(const long* sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3]}; }

} // namespace

extern "C" {
void weft_diagonal_forward(const long* sizes, double* h, const double* u, const unsigned* seen, const double* nu,
                           const double* theta, const double* gain) {
  weft::reference::diagonal_forward(shape_of(sizes), h, u, seen, {nu, theta, gain});
}
void weft_diagonal_backward(const long* sizes, double* du, double* dnu, double* dtheta, double* dgain, const double* dh,
                            const double* u, const unsigned* seen, const double* nu, const double* theta,
                            const double* gain) {
  weft::reference::diagonal_backward(shape_of(sizes), du, {dnu, dtheta, dgain}, dh, u, seen, {nu, theta, gain});
}
}
