// Batch normalisation for tests/peers/reference.py.
#include "kernels/norm/batch_norm.hpp"

namespace {

/// sizes: S, N, D.
weft::BatchNormShape shape_of(const long* sizes) { return {sizes[0], sizes[1], sizes[2]}; }

} // namespace

extern "C" {
void weft_batch_norm_forward(const long* sizes, double* out, double* mean, double* r, double* variance, const double* x,
                             const double* gain, const double* bias, const unsigned* seen, double epsilon) {
  weft::reference::batch_norm_statistics(shape_of(sizes), mean, r, variance, x, seen, epsilon);
  weft::reference::batch_norm_apply(shape_of(sizes), out, x, mean, r, gain, bias, seen);
}
void weft_batch_norm_backward(const long* sizes, double* dx, double* dgain, double* dbias, const double* dout,
                              const double* x, const double* mean, const double* r, const double* gain,
                              const unsigned* seen) {
  weft::reference::batch_norm_backward(shape_of(sizes), dx, dgain, dbias, dout, x, mean, r, gain, seen);
}
}
