#include "kernels/gate/glu.hpp"
#include <cmath>

namespace weft::reference {

namespace {
double open(double b) { return 1 / (1 + std::exp(-b)); }
} // namespace

void glu_forward(const GluShape& g, double* out, const double* both) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.width; ++j)
      out[i * g.width + j] = both[2 * i * g.width + j] * open(both[(2 * i + 1) * g.width + j]);
}

void glu_backward(const GluShape& g, double* dboth, const double* dout, const double* both) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.width; ++j) {
      const std::int64_t in = 2 * i * g.width + j;
      const double a = both[in], gate = open(both[in + g.width]), d = dout[i * g.width + j];
      dboth[in] = d * gate;
      dboth[in + g.width] = d * a * gate * (1 - gate);
    }
}

} // namespace weft::reference
