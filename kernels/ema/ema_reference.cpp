#include "kernels/ema/ema.hpp"
#include "kernels/pool/pool.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// One state of one channel and direction.
struct State {
  double p, a, beta, gamma, s;

  State(const EmaShape& e, const EmaTensors<const double*>& t, std::int64_t k, std::int64_t j, std::int64_t n)
      : p(sigmoid(t.delta[at(e, k, j, n)])), a(sigmoid(t.alpha[at(e, k, j, n)])), beta(t.beta[at(e, k, j, n)]),
        gamma(t.gamma[at(e, k, j, n)]), s(1 / std::sqrt(static_cast<double>(e.states))) {}
  static std::int64_t at(const EmaShape& e, std::int64_t k, std::int64_t j, std::int64_t n) {
    return (k * e.width + j) * e.states + n;
  }
  /// q^l
  double power(std::int64_t l) const { return std::pow(1 - p * a, static_cast<double>(l)); }
  /// l q^(l-1)
  double slope(std::int64_t l) const { return l == 0 ? 0 : static_cast<double>(l) * power(l - 1); }
};

bool seen_at(const std::uint32_t* seen, const EmaShape& e, std::int64_t s, std::int64_t i) {
  return is_seen(seen, seen_words(e.length), s, i);
}

/// body(k, row of out, row of x, l) for every pair of rows that direction k joins, l positions apart.
template <class Body>
void for_pairs(const EmaShape& e, const std::uint32_t* seen, const Body& body) {
  for (std::int64_t k = 0; k < e.directions; ++k)
    for (std::int64_t s = 0; s < e.sequences; ++s)
      for (std::int64_t i = 0; i < e.length; ++i)
        for (std::int64_t from = 0; from < e.length; ++from) {
          const std::int64_t l = k == 0 ? i - from : from - i;
          if (l >= 0 && seen_at(seen, e, s, i) && seen_at(seen, e, s, from))
            body(k, s * e.length + i, s * e.length + from, l);
        }
}

std::size_t at(const EmaShape& e, std::int64_t k, std::int64_t l, std::int64_t j) {
  return static_cast<std::size_t>((k * e.length + l) * e.width + j);
}

/// [directions, N, D]
std::vector<double> kernel_of(const EmaShape& e, const EmaTensors<const double*>& t) {
  std::vector<double> kernel(static_cast<std::size_t>(e.directions * e.length * e.width), 0.0);
  for (std::int64_t k = 0; k < e.directions; ++k)
    for (std::int64_t l = 0; l < e.length; ++l)
      for (std::int64_t j = 0; j < e.width; ++j)
        for (std::int64_t n = 0; n < e.states; ++n) {
          const State z(e, t, k, j, n);
          kernel[at(e, k, l, j)] += z.s * z.gamma * z.p * z.beta * z.power(l);
        }
  return kernel;
}

} // namespace

void ema_forward(const EmaShape& e, double* out, const double* x, const std::uint32_t* seen,
                 const EmaTensors<const double*>& t) {
  const std::int64_t D = e.width;
  const std::vector<double> kernel = kernel_of(e, t);
  for (std::int64_t i = 0; i < e.sequences * e.length; ++i)
    for (std::int64_t j = 0; j < D; ++j)
      out[i * D + j] = seen_at(seen, e, i / e.length, i % e.length) ? t.omega[j] * x[i * D + j] : 0;
  for_pairs(e, seen, [&](std::int64_t k, std::int64_t to, std::int64_t from, std::int64_t l) {
    for (std::int64_t j = 0; j < D; ++j)
      out[to * D + j] += kernel[at(e, k, l, j)] * x[from * D + j];
  });
}

void ema_backward(const EmaShape& e, double* dx, const EmaTensors<double*>& d, const double* dout, const double* x,
                  const std::uint32_t* seen, const EmaTensors<const double*>& t) {
  const std::int64_t D = e.width, numbers = e.directions * D * e.states;
  for (double* gradient : {d.delta, d.alpha, d.beta, d.gamma})
    std::fill_n(gradient, numbers, 0.0);
  std::fill_n(d.omega, D, 0.0);
  for (std::int64_t i = 0; i < e.sequences * e.length; ++i)
    for (std::int64_t j = 0; j < D; ++j) {
      const bool counts = seen_at(seen, e, i / e.length, i % e.length);
      dx[i * D + j] = counts ? t.omega[j] * dout[i * D + j] : 0;
      d.omega[j] += counts ? dout[i * D + j] * x[i * D + j] : 0;
    }
  const std::vector<double> kernel = kernel_of(e, t);
  std::vector<double> taps(static_cast<std::size_t>(e.directions * e.length * D), 0.0); // dkernel
  for_pairs(e, seen, [&](std::int64_t k, std::int64_t to, std::int64_t from, std::int64_t l) {
    for (std::int64_t j = 0; j < D; ++j) {
      taps[at(e, k, l, j)] += dout[to * D + j] * x[from * D + j];
      dx[from * D + j] += kernel[at(e, k, l, j)] * dout[to * D + j];
    }
  });
  for (std::int64_t k = 0; k < e.directions; ++k)
    for (std::int64_t l = 0; l < e.length; ++l)
      for (std::int64_t j = 0; j < D; ++j)
        for (std::int64_t n = 0; n < e.states; ++n) {
          const State z(e, t, k, j, n);
          const std::int64_t in = State::at(e, k, j, n);
          const double tap = taps[at(e, k, l, j)] * z.s;
          d.gamma[in] += tap * z.p * z.beta * z.power(l);
          d.beta[in] += tap * z.gamma * z.p * z.power(l);
          const double dp = tap * z.gamma * z.beta * (z.power(l) - z.p * z.a * z.slope(l));
          const double da = -tap * z.gamma * z.beta * z.p * z.p * z.slope(l);
          d.delta[in] += dp * z.p * (1 - z.p);
          d.alpha[in] += da * z.a * (1 - z.a);
        }
}

} // namespace weft::reference
