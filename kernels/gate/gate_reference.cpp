#include "kernels/gate/gate.hpp"
#include <algorithm>
#include <cmath>

namespace weft::reference {

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double silu_slope(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }

// Where number j of a part of row i lies in `mixed`.
std::int64_t u_at(const GateShape& g, std::int64_t i, std::int64_t j) { return i * g.mixed() + j; }
std::int64_t z_at(const GateShape& g, std::int64_t i, std::int64_t j) { return u_at(g, i, g.width + j); }
std::int64_t r_at(const GateShape& g, std::int64_t i, std::int64_t j) { return z_at(g, i, g.shared + j); }
std::int64_t h_at(const GateShape& g, std::int64_t i, std::int64_t j) { return r_at(g, i, g.values + j); }

} // namespace

void gate_heads_forward(const GateShape& g, double* qkv, const double* mixed, const double* v,
                        const GateTensors<const double*>& t) {
  for (std::int64_t i = 0; i < g.rows; ++i) {
    double *q = qkv + i * g.heads(), *k = q + g.shared, *values = k + g.shared;
    for (std::int64_t j = 0; j < g.shared; ++j) {
      const double z = silu(mixed[z_at(g, i, j)]);
      q[j] = t.gain_q[j] * z + t.shift_q[j];
      k[j] = t.gain_k[j] * z + t.shift_k[j];
    }
    for (std::int64_t j = 0; j < g.values; ++j)
      values[j] = silu(v[i * g.values + j]);
  }
}

void gate_heads_backward(const GateShape& g, double* dmixed, double* dv, const GateTensors<double*>& d,
                         const double* dqkv, const double* mixed, const double* v,
                         const GateTensors<const double*>& t) {
  for (double* gradient : {d.gain_q, d.shift_q, d.gain_k, d.shift_k})
    std::fill_n(gradient, g.shared, 0.0);
  for (std::int64_t i = 0; i < g.rows; ++i) {
    const double *dq = dqkv + i * g.heads(), *dk = dq + g.shared, *dvalues = dk + g.shared;
    for (std::int64_t j = 0; j < g.shared; ++j) {
      const double u = mixed[z_at(g, i, j)], z = silu(u);
      d.gain_q[j] += dq[j] * z;
      d.shift_q[j] += dq[j];
      d.gain_k[j] += dk[j] * z;
      d.shift_k[j] += dk[j];
      dmixed[z_at(g, i, j)] = (t.gain_q[j] * dq[j] + t.gain_k[j] * dk[j]) * silu_slope(u);
    }
    for (std::int64_t j = 0; j < g.values; ++j)
      dv[i * g.values + j] = dvalues[j] * silu_slope(v[i * g.values + j]);
  }
}

void gate_reset_forward(const GateShape& g, double* out, const double* attended, const double* mixed) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.values; ++j)
      out[i * g.values + j] = attended[i * g.values + j] * silu(mixed[r_at(g, i, j)]);
}

void gate_reset_backward(const GateShape& g, double* dattended, double* dmixed, const double* dout,
                         const double* attended, const double* mixed) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.values; ++j) {
      const double slope = dout[i * g.values + j], r = mixed[r_at(g, i, j)];
      dattended[i * g.values + j] = slope * silu(r);
      dmixed[r_at(g, i, j)] = slope * attended[i * g.values + j] * silu_slope(r);
    }
}

void gate_hidden_forward(const GateShape& g, double* hidden, const double* mixed) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.width; ++j)
      hidden[i * g.width + j] += mixed[h_at(g, i, j)];
}

void gate_hidden_backward(const GateShape& g, double* dmixed, const double* dhidden) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.width; ++j)
      dmixed[h_at(g, i, j)] = dhidden[i * g.width + j];
}

void gate_update_forward(const GateShape& g, double* y, const double* mixed, const double* hidden, const double* x) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.width; ++j)
      y[i * g.width + j] = sigmoid(mixed[u_at(g, i, j)]) * (hidden[i * g.width + j] - x[i * g.width + j]);
}

void gate_update_backward(const GateShape& g, double* dhidden, double* dx, double* dmixed, const double* dy,
                          const double* mixed, const double* hidden, const double* x) {
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.width; ++j) {
      const std::int64_t at = i * g.width + j;
      const double slope = dy[at], s = sigmoid(mixed[u_at(g, i, j)]);
      dhidden[at] = slope * s;
      dx[at] = -slope * s;
      dmixed[u_at(g, i, j)] = slope * (hidden[at] - x[at]) * s * (1 - s);
    }
}

} // namespace weft::reference
