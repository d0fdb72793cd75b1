#include "kernels/recurrence/diagonal.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/complex.hpp"

namespace weft {

namespace {

/// Where things lie in the workspace; everywhere states are innermost, in whole groups of lanes.
struct ScanLayout {
  std::int64_t S, N, P, K; ///< K directions
  std::int64_t pitch, groups, chunks, spans;

  explicit ScanLayout(const DiagonalShape& d)
      : S(d.sequences), N(d.length), P(d.states), K(d.directions),
        pitch((d.states + number_count - 1) / number_count * number_count), groups(pitch / number_count),
        chunks((d.length + diagonal_chunk - 1) / diagonal_chunk), spans((chunks + diagonal_span - 1) / diagonal_span) {}

  /// lambda and exp(gain) of all states; a border of every chunk and direction; dlambda and dgain of every span.
  static constexpr std::int64_t numbers = 3;
  std::int64_t coefficients() const { return numbers * pitch; }
  std::int64_t borders() const { return S * chunks * K * 2 * pitch; }
  std::int64_t sums() const { return S * spans * numbers * pitch; }

  WEFT_FUNCTION std::int64_t border(std::int64_t s, std::int64_t chunk, std::int64_t k) const {
    return ((s * chunks + chunk) * K + k) * 2 * pitch;
  }
  WEFT_FUNCTION std::int64_t group_end(std::int64_t j) const { return P - j < number_count ? P - j : number_count; }
  WEFT_FUNCTION std::int64_t chunk_length(std::int64_t chunk) const {
    return N - chunk * diagonal_chunk < diagonal_chunk ? N - chunk * diagonal_chunk : diagonal_chunk;
  }
};

/// In double precision: an error of lambda grows with the power of it that a long sequence takes.
void make_coefficients(const ScanLayout& l, float* to, const DiagonalTensors<const float*>& tensors) {
  for_each(
      "weft::diagonal_coefficients", l.pitch, KOKKOS_LAMBDA(std::int64_t j) {
        const bool real = j < l.P;
        const double size = real ? Kokkos::exp(-Kokkos::exp(static_cast<double>(tensors.nu[j]))) : 0.0;
        const double angle = real ? Kokkos::exp(static_cast<double>(tensors.theta[j])) : 0.0;
        to[j] = static_cast<float>(size * Kokkos::cos(angle));
        to[l.pitch + j] = static_cast<float>(size * Kokkos::sin(angle));
        to[2 * l.pitch + j] = real ? Kokkos::exp(tensors.gain[j]) : 0.0f;
      });
}

/// ScanRows of an array of which those that are not seen are zeros.
template <class T>
struct ScanRows {
  const T* x;
  const std::uint32_t* seen;
  std::int64_t width, direction; ///< numbers of a row, and from one direction to the next; 0: both read the same

  WEFT_FUNCTION bool sees(const ScanLayout& l, std::int64_t s, std::int64_t i) const {
    return is_seen(seen, seen_words(l.N), s, i);
  }
  WEFT_FUNCTION Complex at(const ScanLayout& l, std::int64_t s, std::int64_t i, std::int64_t k, std::int64_t j,
                           std::int64_t count) const {
    return sees(l, s, i) ? complex_at(x + (s * l.N + i) * width + k * direction + j, l.P, count) : Complex{};
  }
};

/// The state with which a scan enters each chunk: h_t = lambda h_{t-1} + exp(gain) u_t, or, turned, the gradient's
/// a_t = dh_t + conj(lambda) a_{t+1}. Direction 0 comes from the front, direction 1 from the end; turned: the other way
/// round.
template <class T>
void scan_borders(const ScanLayout& l, float* to, const ScanRows<T>& rows, const float* of, bool turned) {
  for_each(
      "weft::diagonal_borders", l.S * l.K * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % l.groups * number_count, lanes = l.group_end(j);
        const std::int64_t k = task / l.groups % l.K, s = task / l.groups / l.K;
        const bool from_end = (k == 1) != turned;
        const Complex ahead = complex_at(of + j, l.pitch, number_count);
        const Complex lambda = {ahead.re, turned ? -ahead.im : ahead.im};
        const Numbers gain = turned ? Numbers{} + 1.0f : numbers_at(of + 2 * l.pitch + j, number_count);
        Complex h{};
        for (std::int64_t step = 0; step < l.chunks; ++step) {
          const std::int64_t chunk = from_end ? l.chunks - 1 - step : step, length = l.chunk_length(chunk);
          put_complex(to + l.border(s, chunk, k) + j, l.pitch, h, number_count);
          for (std::int64_t t = 0; t < length && step + 1 < l.chunks; ++t) {
            const std::int64_t i = chunk * diagonal_chunk + (from_end ? length - 1 - t : t);
            const Complex x = rows.at(l, s, i, k, j, lanes);
            h = product_added({gain * x.re, gain * x.im}, lambda, h);
          }
        }
      });
}

} // namespace

std::int64_t diagonal_workspace(const DiagonalShape& shape) {
  const ScanLayout l(shape);
  return l.coefficients() + 2 * l.borders() + l.sums();
}

double diagonal_work(const DiagonalShape& shape, bool backward) {
  // Per state and row: two scans of ten operations; backward the borders of both, both again and the two sums.
  const double states =
      static_cast<double>(shape.sequences * shape.length) * static_cast<double>(shape.states * shape.directions);
  return (backward ? 52 : 20) * states;
}

template <class T>
void diagonal_forward(const DiagonalShape& shape, T* h, const T* u, const std::uint32_t* seen,
                      const DiagonalTensors<const float*>& tensors, float* workspace) {
  const ScanLayout l(shape);
  const float* of = workspace;
  float* borders = workspace + l.coefficients();
  const ScanRows<T> rows{u, seen, shape.inputs(), 0};
  const std::int64_t width = shape.outputs();
  make_coefficients(l, workspace, tensors);
  scan_borders(l, borders, rows, of, false);
  for_each(
      "weft::diagonal_forward", l.S * l.chunks * l.K * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % l.groups * number_count, lanes = l.group_end(j);
        const std::int64_t k = task / l.groups % l.K, chunk = task / l.groups / l.K % l.chunks;
        const std::int64_t s = task / l.groups / l.K / l.chunks, length = l.chunk_length(chunk);
        const Complex lambda = complex_at(of + j, l.pitch, number_count);
        const Numbers gain = numbers_at(of + 2 * l.pitch + j, number_count);
        Complex state = complex_at(borders + l.border(s, chunk, k) + j, l.pitch, number_count);
        for (std::int64_t step = 0; step < length; ++step) {
          const std::int64_t i = chunk * diagonal_chunk + (k == 1 ? length - 1 - step : step);
          const Complex x = rows.at(l, s, i, 0, j, lanes);
          state = product_added({gain * x.re, gain * x.im}, lambda, state);
          put_complex(h + (s * l.N + i) * width + k * 2 * l.P + j, l.P, rows.sees(l, s, i) ? state : Complex{}, lanes);
        }
      });
}

template <class T>
void diagonal_backward(const DiagonalShape& shape, T* du, const DiagonalTensors<float*>& gradients, const T* dh,
                       const T* u, const std::uint32_t* seen, const DiagonalTensors<const float*>& tensors,
                       float* workspace) {
  const ScanLayout l(shape);
  const float* of = workspace;
  float *borders = workspace + l.coefficients(), *turned = borders + l.borders(), *sums = turned + l.borders();
  const ScanRows<T> rows{u, seen, shape.inputs(), 0}, drows{dh, seen, shape.outputs(), shape.inputs()};
  make_coefficients(l, workspace, tensors);
  scan_borders(l, borders, rows, of, false);
  scan_borders(l, turned, drows, of, true);
  for_each(
      "weft::diagonal_backward", l.S * l.spans * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % l.groups * number_count, lanes = l.group_end(j);
        const std::int64_t span = task / l.groups % l.spans, s = task / l.groups / l.spans;
        const std::int64_t end = (span + 1) * diagonal_span < l.chunks ? (span + 1) * diagonal_span : l.chunks;
        const Complex lambda = complex_at(of + j, l.pitch, number_count), back = {lambda.re, -lambda.im};
        const Numbers gain = numbers_at(of + 2 * l.pitch + j, number_count);
        Complex dlambda{};
        Numbers dgain = Numbers{};
        for (std::int64_t chunk = span * diagonal_span; chunk < end; ++chunk) {
          const std::int64_t begin = chunk * diagonal_chunk, length = l.chunk_length(chunk);
          Complex in[diagonal_chunk], sum[diagonal_chunk], before[diagonal_chunk];
          for (std::int64_t t = 0; t < length; ++t) {
            in[t] = rows.at(l, s, begin + t, 0, j, lanes);
            sum[t] = Complex{};
          }
          for (std::int64_t k = 0; k < l.K; ++k) {
            Complex h = complex_at(borders + l.border(s, chunk, k) + j, l.pitch, number_count);
            for (std::int64_t step = 0; step < length; ++step) {
              const Complex x = in[k == 1 ? length - 1 - step : step];
              before[step] = h;
              h = product_added({gain * x.re, gain * x.im}, lambda, h);
            }
            Complex a = complex_at(turned + l.border(s, chunk, k) + j, l.pitch, number_count);
            for (std::int64_t step = length; step-- > 0;) {
              const std::int64_t t = k == 1 ? length - 1 - step : step;
              a = product_added(drows.at(l, s, begin + t, k, j, lanes), back, a);
              sum[t] = {sum[t].re + a.re, sum[t].im + a.im};
              dlambda = product_added(dlambda, a, {before[step].re, -before[step].im});
            }
          }
          for (std::int64_t t = 0; t < length; ++t) {
            const bool real = rows.sees(l, s, begin + t);
            dgain = dgain + (sum[t].re * in[t].re + sum[t].im * in[t].im);
            put_complex(du + (s * l.N + begin + t) * 2 * l.P + j, l.P,
                        real ? Complex{gain * sum[t].re, gain * sum[t].im} : Complex{}, lanes);
          }
        }
        float* to = sums + (s * l.spans + span) * ScanLayout::numbers * l.pitch + j;
        put_complex(to, l.pitch, dlambda, number_count);
        put_numbers(to + 2 * l.pitch, dgain, number_count);
      });
  for_each(
      "weft::diagonal_gradients", l.P, KOKKOS_LAMBDA(std::int64_t j) {
        float re = 0, im = 0, dgain = 0;
        for (std::int64_t i = 0; i < l.S * l.spans; ++i) {
          const float* from = sums + i * ScanLayout::numbers * l.pitch + j;
          re += from[0];
          im += from[l.pitch];
          dgain += from[2 * l.pitch];
        }
        const float x = of[j], y = of[l.pitch + j];
        gradients.nu[j] = -Kokkos::exp(tensors.nu[j]) * (re * x + im * y);
        gradients.theta[j] = Kokkos::exp(tensors.theta[j]) * (im * x - re * y);
        gradients.gain[j] = of[2 * l.pitch + j] * dgain;
      });
}

#define WEFT_DIAGONAL_OF(T)                                                                                            \
  template void diagonal_forward(const DiagonalShape&, T*, const T*, const std::uint32_t*,                             \
                                 const DiagonalTensors<const float*>&, float*);                                        \
  template void diagonal_backward(const DiagonalShape&, T*, const DiagonalTensors<float*>&, const T*, const T*,        \
                                  const std::uint32_t*, const DiagonalTensors<const float*>&, float*)
WEFT_FOR_EACH_STORAGE(WEFT_DIAGONAL_OF);

} // namespace weft
