#include "kernels/common/dot_reference.hpp"
#include "kernels/relative/rotary_bias.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {

namespace {
/// R_position x
std::vector<double> turned(const double* x, std::int64_t width, double position) {
  const std::int64_t half = width / 2;
  std::vector<double> out(static_cast<std::size_t>(width));
  for (std::int64_t e = 0; e < half; ++e) {
    const double angle = position * std::pow(10000.0, -static_cast<double>(e) / static_cast<double>(half));
    out[static_cast<std::size_t>(e)] = x[e] * std::cos(angle) - x[e + half] * std::sin(angle);
    out[static_cast<std::size_t>(e + half)] = x[e + half] * std::cos(angle) + x[e] * std::sin(angle);
  }
  return out;
}
} // namespace

void rotary_bias_forward(const RotaryBias& s, double* bias, const double* a, const double* b) {
  const std::vector<double> query = turned(a, s.width, 5); // any position
  for (std::int64_t d = 1 - s.reach; d < s.reach; ++d)
    bias[s.reach - 1 + d] = dot(query.data(), turned(b, s.width, 5 + static_cast<double>(d)).data(), s.width);
}

void rotary_bias_backward(const RotaryBias& s, double* da, double* db, const double* dbias, const double* a,
                          const double* b) {
  std::fill_n(da, s.width, 0.0);
  std::fill_n(db, s.width, 0.0);
  for (std::int64_t d = 1 - s.reach; d < s.reach; ++d) { // a . R_d b = R_-d a . b
    const std::vector<double> key = turned(b, s.width, static_cast<double>(d));
    const std::vector<double> query = turned(a, s.width, -static_cast<double>(d));
    for (std::int64_t e = 0; e < s.width; ++e) {
      da[e] += dbias[s.reach - 1 + d] * key[static_cast<std::size_t>(e)];
      db[e] += dbias[s.reach - 1 + d] * query[static_cast<std::size_t>(e)];
    }
  }
}

} // namespace weft::reference
