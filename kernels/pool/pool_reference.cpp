#include "kernels/pool/attention_pool.hpp"
#include "kernels/pool/pool.hpp"
#include <algorithm>
#include <cmath>

namespace weft::reference {

namespace {
bool seen_at(const std::uint32_t* seen, const PoolShape& p, std::int64_t s, std::int64_t i) {
  return is_seen(seen, seen_words(p.length), s, i);
}

double divisor_for(const std::uint32_t* seen, const PoolShape& p, std::int64_t s, double divisor) {
  double count = 0;
  for (std::int64_t i = 0; i < p.length; ++i)
    count += seen_at(seen, p, s, i) ? 1 : 0;
  return divisor != 0 ? divisor : count > 0 ? count : 1;
}
} // namespace

void pool_first_forward(double* out, const double* x, const PoolShape& p) {
  for (std::int64_t s = 0; s < p.sequences; ++s)
    std::copy_n(x + s * p.length * p.width, p.width, out + s * p.width);
}

void pool_first_backward(double* dx, const double* dout, const PoolShape& p) {
  std::fill_n(dx, p.sequences * p.length * p.width, 0.0);
  for (std::int64_t s = 0; s < p.sequences; ++s)
    std::copy_n(dout + s * p.width, p.width, dx + s * p.length * p.width);
}

namespace {
/// The last seen row; -1: none.
std::int64_t last_of(const std::uint32_t* seen, const PoolShape& p, std::int64_t s) {
  std::int64_t i = p.length - 1;
  while (i >= 0 && !seen_at(seen, p, s, i))
    --i;
  return i;
}
} // namespace

void pool_last_forward(double* out, const double* x, const std::uint32_t* seen, const PoolShape& p) {
  std::fill_n(out, p.sequences * p.width, 0.0);
  for (std::int64_t s = 0; s < p.sequences; ++s)
    if (const std::int64_t i = last_of(seen, p, s); i >= 0)
      std::copy_n(x + (s * p.length + i) * p.width, p.width, out + s * p.width);
}

void pool_last_backward(double* dx, const double* dout, const std::uint32_t* seen, const PoolShape& p) {
  std::fill_n(dx, p.sequences * p.length * p.width, 0.0);
  for (std::int64_t s = 0; s < p.sequences; ++s)
    if (const std::int64_t i = last_of(seen, p, s); i >= 0)
      std::copy_n(dout + s * p.width, p.width, dx + (s * p.length + i) * p.width);
}

void pool_mean_forward(double* out, const double* x, const std::uint32_t* seen, double divisor, const PoolShape& p) {
  std::fill_n(out, p.sequences * p.width, 0.0);
  for (std::int64_t s = 0; s < p.sequences; ++s)
    for (std::int64_t i = 0; i < p.length; ++i)
      for (std::int64_t j = 0; j < p.width && seen_at(seen, p, s, i); ++j)
        out[s * p.width + j] += x[(s * p.length + i) * p.width + j] / divisor_for(seen, p, s, divisor);
}

void pool_mean_backward(double* dx, const double* dout, const std::uint32_t* seen, double divisor, const PoolShape& p) {
  std::fill_n(dx, p.sequences * p.length * p.width, 0.0);
  for (std::int64_t s = 0; s < p.sequences; ++s)
    for (std::int64_t i = 0; i < p.length; ++i)
      for (std::int64_t j = 0; j < p.width && seen_at(seen, p, s, i); ++j)
        dx[(s * p.length + i) * p.width + j] = dout[s * p.width + j] / divisor_for(seen, p, s, divisor);
}

void tanh_scores_forward(double* scores, const double* u, const double* v, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i) {
    scores[i] = 0;
    for (std::int64_t j = 0; j < width; ++j)
      scores[i] += v[j] * std::tanh(u[i * width + j]);
  }
}

void tanh_scores_backward(double* du, double* dv, const double* dscores, const double* u, const double* v,
                          std::int64_t rows, std::int64_t width) {
  std::fill_n(dv, width, 0.0);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < width; ++j) {
      const double t = dscores[i] == 0 ? 0 : std::tanh(u[i * width + j]);
      dv[j] += dscores[i] * t;
      du[i * width + j] = dscores[i] * v[j] * (1 - t * t);
    }
}

void attention_pool_forward(double* out, double* weights, const double* x, const double* scores,
                            const std::uint32_t* seen, const PoolShape& p) {
  std::fill_n(out, p.sequences * p.width, 0.0);
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    double top = -INFINITY, sum = 0;
    for (std::int64_t i = 0; i < p.length; ++i)
      if (seen_at(seen, p, s, i))
        top = std::max(top, scores[s * p.length + i]);
    for (std::int64_t i = 0; i < p.length; ++i)
      sum += weights[s * p.length + i] = seen_at(seen, p, s, i) ? std::exp(scores[s * p.length + i] - top) : 0;
    for (std::int64_t i = 0; i < p.length; ++i) {
      double& weight = weights[s * p.length + i];
      weight = weight == 0 ? 0 : weight / sum;
      for (std::int64_t j = 0; j < p.width && weight != 0; ++j)
        out[s * p.width + j] += weight * x[(s * p.length + i) * p.width + j];
    }
  }
}

void attention_pool_backward_scores(double* dscores, const double* dout, const double* x, const double* weights,
                                    const PoolShape& p) {
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    double mean = 0;
    for (std::int64_t i = s * p.length; i < (s + 1) * p.length; ++i) {
      dscores[i] = 0;
      for (std::int64_t j = 0; j < p.width && weights[i] != 0; ++j)
        dscores[i] += dout[s * p.width + j] * x[i * p.width + j];
      mean += weights[i] * dscores[i];
    }
    for (std::int64_t i = s * p.length; i < (s + 1) * p.length; ++i)
      dscores[i] = weights[i] * (dscores[i] - mean);
  }
}

void attention_pool_backward_rows(double* dx, const double* through, const double* dout, const double* weights,
                                  const PoolShape& p) {
  for (std::int64_t i = 0; i < p.sequences * p.length; ++i)
    for (std::int64_t j = 0; j < p.width; ++j)
      dx[i * p.width + j] = (through ? through[i * p.width + j] : 0) + weights[i] * dout[i / p.length * p.width + j];
}

} // namespace weft::reference
