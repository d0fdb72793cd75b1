#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/diagonal.hpp"
#include <algorithm>
#include <complex>
#include <vector>

namespace weft::reference {

namespace {

using Complex = std::complex<double>;

bool seen_at(const std::uint32_t* seen, const DiagonalShape& d, std::int64_t s, std::int64_t i) {
  return is_seen(seen, seen_words(d.length), s, i);
}

/// A row's complex numbers, real parts first.
Complex get(const DiagonalShape& d, const double* row, std::int64_t j) { return {row[j], row[d.states + j]}; }
void add(const DiagonalShape& d, double* row, std::int64_t j, Complex x) {
  row[j] += x.real();
  row[d.states + j] += x.imag();
}

/// lambda^l, l in [0, N), of all states.
std::vector<Complex> powers(const DiagonalShape& d, const DiagonalTensors<const double*>& t) {
  std::vector<Complex> all;
  for (std::int64_t l = 0; l < d.length; ++l)
    for (std::int64_t j = 0; j < d.states; ++j)
      all.push_back(std::exp(static_cast<double>(l) * Complex(-std::exp(t.nu[j]), std::exp(t.theta[j]))));
  return all;
}

/// body(offset of h's row and direction, offset of u's row, l) for every pair that a direction joins, l apart.
template <class Body>
void for_pairs(const DiagonalShape& d, const std::uint32_t* seen, const Body& body) {
  for (std::int64_t s = 0; s < d.sequences; ++s)
    for (std::int64_t k = 0; k < d.directions; ++k)
      for (std::int64_t i = 0; i < d.length; ++i)
        for (std::int64_t from = 0; from < d.length; ++from) {
          const std::int64_t l = k == 0 ? i - from : from - i;
          if (l >= 0 && seen_at(seen, d, s, i) && seen_at(seen, d, s, from))
            body((s * d.length + i) * d.outputs() + k * d.inputs(), (s * d.length + from) * d.inputs(), l);
        }
}

} // namespace

void diagonal_forward(const DiagonalShape& d, double* h, const double* u, const std::uint32_t* seen,
                      const DiagonalTensors<const double*>& t) {
  std::fill_n(h, d.sequences * d.length * d.outputs(), 0.0);
  const std::vector<Complex> power = powers(d, t);
  for_pairs(d, seen, [&](std::int64_t to, std::int64_t from, std::int64_t l) {
    for (std::int64_t j = 0; j < d.states; ++j)
      add(d, h + to, j, std::exp(t.gain[j]) * power[static_cast<std::size_t>(l * d.states + j)] * get(d, u + from, j));
  });
}

void diagonal_backward(const DiagonalShape& d, double* du, const DiagonalTensors<double*>& gradients, const double* dh,
                       const double* u, const std::uint32_t* seen, const DiagonalTensors<const double*>& t) {
  std::fill_n(du, d.sequences * d.length * d.inputs(), 0.0);
  for (double* gradient : {gradients.nu, gradients.theta, gradients.gain})
    std::fill_n(gradient, d.states, 0.0);
  const std::vector<Complex> power = powers(d, t);
  std::vector<Complex> taps(power.size()); // sum of dh conj(u) over the pairs l apart
  for_pairs(d, seen, [&](std::int64_t to, std::int64_t from, std::int64_t l) {
    for (std::int64_t j = 0; j < d.states; ++j) {
      const std::size_t at = static_cast<std::size_t>(l * d.states + j);
      taps[at] += get(d, dh + to, j) * std::conj(get(d, u + from, j));
      add(d, du + from, j, std::exp(t.gain[j]) * std::conj(power[at]) * get(d, dh + to, j));
    }
  });
  for (std::int64_t l = 0; l < d.length; ++l)
    for (std::int64_t j = 0; j < d.states; ++j) {
      // lambda^l = exp(-l exp(nu) + i l exp(theta)): its slopes are itself times -l exp(nu) and i l exp(theta).
      const std::size_t at = static_cast<std::size_t>(l * d.states + j);
      const Complex part = std::exp(t.gain[j]) * power[at] * std::conj(taps[at]);
      gradients.gain[j] += part.real();
      gradients.nu[j] -= static_cast<double>(l) * std::exp(t.nu[j]) * part.real();
      gradients.theta[j] -= static_cast<double>(l) * std::exp(t.theta[j]) * part.imag();
    }
}

} // namespace weft::reference
