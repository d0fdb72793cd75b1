#include "kernels/sinkhorn/sinkhorn.hpp"
#include <cmath>
#include <vector>

namespace weft::reference {
namespace {

/// Entry (line, at) of a row (along = true) or of a column.
std::size_t entry(bool along, std::int64_t line, std::int64_t at, std::int64_t n) {
  return static_cast<std::size_t>(along ? line * n + at : at * n + line);
}
bool lives(const unsigned char* alive, std::int64_t i) { return !alive || alive[i] != 0; }

/// x -= logsumexp of every row or column.
void step(std::vector<double>& x, bool along, std::int64_t n, const unsigned char* alive) {
  for (std::int64_t line = 0; line < n; ++line) {
    if (!lives(alive, line))
      continue;
    double largest = -INFINITY, sum = 0;
    for (std::int64_t at = 0; at < n; ++at)
      if (lives(alive, at))
        largest = std::fmax(largest, x[entry(along, line, at, n)]);
    for (std::int64_t at = 0; at < n; ++at)
      if (lives(alive, at))
        sum += std::exp(x[entry(along, line, at, n)] - largest);
    for (std::int64_t at = 0; at < n; ++at)
      x[entry(along, line, at, n)] -= largest + std::log(sum);
  }
}

/// What every step left behind, the input first.
std::vector<std::vector<double>> steps(const double* logits, std::int64_t n, std::int64_t iterations,
                                       double temperature, const unsigned char* alive) {
  std::vector<double> x(logits, logits + n * n);
  for (double& one : x)
    one /= temperature;
  std::vector<std::vector<double>> all{x};
  for (std::int64_t t = 0; t < 2 * iterations; ++t) {
    step(x, t % 2 == 0, n, alive);
    all.push_back(x);
  }
  return all;
}

} // namespace

void sinkhorn_forward(double* p, const double* logits, std::int64_t n, std::int64_t iterations, double temperature,
                      const unsigned char* alive) {
  const std::vector<double> last = steps(logits, n, iterations, temperature, alive).back();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t k = 0; k < n; ++k)
      p[i * n + k] = lives(alive, i) && lives(alive, k) ? std::exp(last[static_cast<std::size_t>(i * n + k)]) : 0.0;
}

void sinkhorn_backward(double* dlogits, const double* dp, const double* logits, std::int64_t n, std::int64_t iterations,
                       double temperature, const unsigned char* alive) {
  const auto all = steps(logits, n, iterations, temperature, alive);
  std::vector<double> g(static_cast<std::size_t>(n * n), 0.0);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t k = 0; k < n; ++k)
      if (lives(alive, i) && lives(alive, k)) {
        const auto at = static_cast<std::size_t>(i * n + k);
        g[at] = dp[at] * std::exp(all.back()[at]);
      }
  for (std::int64_t t = 2 * iterations; t > 0; --t) {
    const bool along = t % 2 == 1; // odd steps take rows
    for (std::int64_t line = 0; line < n; ++line) {
      double sum = 0;
      for (std::int64_t at = 0; at < n; ++at)
        sum += g[entry(along, line, at, n)];
      for (std::int64_t at = 0; at < n; ++at)
        if (lives(alive, line) && lives(alive, at)) {
          const std::size_t e = entry(along, line, at, n);
          g[e] -= std::exp(all[static_cast<std::size_t>(t)][e]) * sum;
        }
    }
  }
  for (std::int64_t i = 0; i < n * n; ++i)
    dlogits[i] = g[static_cast<std::size_t>(i)] / temperature;
}

} // namespace weft::reference
