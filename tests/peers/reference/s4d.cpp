// The diagonal state space model for tests/peers/reference.py.
#include "kernels/recurrence/s4d.hpp"

namespace {

/// sizes: S, N, D, M, directions.
weft::S4dShape shape_of(const long* sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]}; }

} // namespace

extern "C" {
void weft_s4d_forward(const long* sizes, double* y, const double* x, const unsigned* seen, const double* decay,
                      const double* angle, const double* step, const double* c, const double* skip) {
  weft::reference::s4d_forward(shape_of(sizes), y, x, seen, {decay, angle, step, c, skip});
}
void weft_s4d_backward(const long* sizes, double* dx, double* ddecay, double* dangle, double* dstep, double* dc,
                       double* dskip, const double* dy, const double* x, const unsigned* seen, const double* decay,
                       const double* angle, const double* step, const double* c, const double* skip) {
  weft::reference::s4d_backward(shape_of(sizes), dx, {ddecay, dangle, dstep, dc, dskip}, dy, x, seen,
                                {decay, angle, step, c, skip});
}
}
