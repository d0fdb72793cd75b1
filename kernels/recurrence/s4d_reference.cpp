#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/s4d.hpp"
#include <algorithm>
#include <complex>
#include <vector>

namespace weft::reference {

namespace {

using Complex = std::complex<double>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

bool seen_at(const std::uint32_t* seen, const S4dShape& d, std::int64_t s, std::int64_t i) {
  return is_seen(seen, seen_words(d.length), s, i);
}

/// One mode of one channel.
struct Mode {
  Complex a;
  double dt;

  Mode(const S4dShape& d, const S4dTensors<const double*>& t, std::int64_t j, std::int64_t m)
      : a(-std::exp(t.decay[j * d.modes + m]), t.angle[j * d.modes + m]), dt(std::exp(t.step[j])) {}
  Complex power(std::int64_t l) const { return std::exp(static_cast<double>(l) * dt * a); }
  Complex held() const { return (power(1) - 1.0) / a; }
};

std::int64_t place(const S4dShape& d, std::int64_t k, std::int64_t j, std::int64_t m) {
  return ((k * d.width + j) * d.modes + m) * 2;
}

/// kernel[l], l in [0, N), of all directions and channels: [directions,N,D].
std::vector<double> kernels(const S4dShape& d, const S4dTensors<const double*>& t) {
  std::vector<double> all(at(d.directions * d.length * d.width));
  for (std::int64_t k = 0; k < d.directions; ++k)
    for (std::int64_t j = 0; j < d.width; ++j)
      for (std::int64_t m = 0; m < d.modes; ++m) {
        const Mode mode(d, t, j, m);
        const double* c = t.c + place(d, k, j, m);
        const Complex w = 2.0 * Complex(c[0], c[1]) * mode.held();
        for (std::int64_t l = 0; l < d.length; ++l)
          all[at((k * d.length + l) * d.width + j)] += (w * mode.power(l)).real();
      }
  return all;
}

/// body(offset of y's row, offset of x's row, offset of the kernel's row) for all pairs that a direction joins.
template <class Body>
void for_pairs(const S4dShape& d, const std::uint32_t* seen, const Body& body) {
  for (std::int64_t s = 0; s < d.sequences; ++s)
    for (std::int64_t k = 0; k < d.directions; ++k)
      for (std::int64_t i = 0; i < d.length; ++i)
        for (std::int64_t from = 0; from < d.length; ++from) {
          const std::int64_t l = k == 0 ? i - from : from - i;
          if (l >= 0 && seen_at(seen, d, s, i) && seen_at(seen, d, s, from))
            body((s * d.length + i) * d.width, (s * d.length + from) * d.width, (k * d.length + l) * d.width);
        }
}

/// body(offset of a row) for all rows that are seen.
template <class Body>
void for_seen(const S4dShape& d, const std::uint32_t* seen, const Body& body) {
  for (std::int64_t s = 0; s < d.sequences; ++s)
    for (std::int64_t i = 0; i < d.length; ++i)
      if (seen_at(seen, d, s, i))
        body((s * d.length + i) * d.width);
}

} // namespace

void s4d_forward(const S4dShape& d, double* y, const double* x, const std::uint32_t* seen,
                 const S4dTensors<const double*>& t) {
  std::fill_n(y, d.sequences * d.length * d.width, 0.0);
  const std::vector<double> kernel = kernels(d, t);
  for_seen(d, seen, [&](std::int64_t row) {
    for (std::int64_t j = 0; j < d.width; ++j)
      y[row + j] = t.skip[j] * x[row + j];
  });
  for_pairs(d, seen, [&](std::int64_t to, std::int64_t from, std::int64_t l) {
    for (std::int64_t j = 0; j < d.width; ++j)
      y[to + j] += kernel[at(l + j)] * x[from + j];
  });
}

void s4d_backward(const S4dShape& d, double* dx, const S4dTensors<double*>& gradients, const double* dy,
                  const double* x, const std::uint32_t* seen, const S4dTensors<const double*>& t) {
  std::fill_n(dx, d.sequences * d.length * d.width, 0.0);
  std::fill_n(gradients.skip, d.width, 0.0);
  const std::vector<double> kernel = kernels(d, t);
  std::vector<double> dkernel(kernel.size());
  for_seen(d, seen, [&](std::int64_t row) {
    for (std::int64_t j = 0; j < d.width; ++j) {
      dx[row + j] = t.skip[j] * dy[row + j];
      gradients.skip[j] += dy[row + j] * x[row + j];
    }
  });
  for_pairs(d, seen, [&](std::int64_t to, std::int64_t from, std::int64_t l) {
    for (std::int64_t j = 0; j < d.width; ++j) {
      dx[from + j] += kernel[at(l + j)] * dy[to + j];
      dkernel[at(l + j)] += x[from + j] * dy[to + j];
    }
  });
  std::fill_n(gradients.step, d.width, 0.0);
  for (std::int64_t j = 0; j < d.width; ++j)
    for (std::int64_t m = 0; m < d.modes; ++m) {
      // kernel[l] = 2 Re(C f_l), f_l = (exp(dt A) - 1) / A exp(l dt A): by C, A and dt.
      const Mode mode(d, t, j, m);
      const Complex held = mode.held(), by_a = (mode.dt * mode.power(1) - held) / mode.a;
      Complex da = 0;
      for (std::int64_t k = 0; k < d.directions; ++k) {
        const Complex c(t.c[place(d, k, j, m)], t.c[place(d, k, j, m) + 1]);
        Complex dc = 0;
        for (std::int64_t l = 0; l < d.length; ++l) {
          const double g = 2 * dkernel[at((k * d.length + l) * d.width + j)], n = static_cast<double>(l);
          const Complex power = mode.power(l);
          dc += g * held * power;
          da += g * c * power * (by_a + n * mode.dt * held);
          gradients.step[j] += mode.dt * g * (c * power * (mode.power(1) + n * mode.a * held)).real();
        }
        gradients.c[place(d, k, j, m)] = dc.real();
        gradients.c[place(d, k, j, m) + 1] = -dc.imag();
      }
      gradients.decay[j * d.modes + m] = mode.a.real() * da.real();
      gradients.angle[j * d.modes + m] = -da.imag();
    }
}

} // namespace weft::reference
