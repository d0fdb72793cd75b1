#include "kernels/ema/ema.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/pool/pool.hpp"

namespace weft {

namespace {

// States that run side by side, as many as registers hold: alone, and beside what a chunk does with them.
constexpr std::int64_t border_states = 8;
constexpr int chunk_states = 4;

/// Where things lie in the workspace; everywhere channels are innermost, in whole groups of lanes.
struct Layout {
  std::int64_t S, N, D, K, states; ///< K directions
  std::int64_t n;                  ///< states with those that only fill registers, which are always 0
  std::int64_t pitch, groups, chunks, spans;

  explicit Layout(const EmaShape& e)
      : S(e.sequences), N(e.length), D(e.width), K(e.directions), states(e.states),
        n((e.states + border_states - 1) / border_states * border_states), pitch(padded_to_lanes(e.width)),
        groups((e.width + number_count - 1) / number_count), chunks((e.length + ema_chunk - 1) / ema_chunk),
        spans((chunks + ema_span - 1) / ema_span) {}

  std::int64_t coefficients() const { return K * n * pitch; }
  std::int64_t borders() const { return S * chunks * K * n * pitch; }
  std::int64_t sums() const { return S * spans * sum_rows() * pitch; }

  WEFT_FUNCTION std::int64_t coefficient(std::int64_t k, std::int64_t m) const { return (k * n + m) * pitch; }
  WEFT_FUNCTION std::int64_t border(std::int64_t s, std::int64_t chunk, std::int64_t k, std::int64_t m) const {
    return (((s * chunks + chunk) * K + k) * n + m) * pitch;
  }
  /// Of a span: dc of all states, dq / c of all states, domega.
  WEFT_FUNCTION std::int64_t sum_rows() const { return 2 * K * n + 1; }
  WEFT_FUNCTION std::int64_t group_end(std::int64_t j) const { return D - j < number_count ? D - j : number_count; }
};

struct Coefficients {
  float *q, *c;
};

KOKKOS_INLINE_FUNCTION float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

void make_coefficients(const Layout& l, const Coefficients& to, const EmaTensors<const float*>& tensors) {
  const float share = 1.0f / Kokkos::sqrt(static_cast<float>(l.states));
  for_each(
      "weft::ema_coefficients", l.K * l.n * l.pitch, KOKKOS_LAMBDA(std::int64_t i) {
        const std::int64_t j = i % l.pitch, m = i / l.pitch % l.n, k = i / l.pitch / l.n;
        const bool real = j < l.D && m < l.states;
        const std::int64_t at = real ? (k * l.D + j) * l.states + m : 0;
        const float p = sigmoid(tensors.delta[at]);
        to.q[i] = real ? 1.0f - p * sigmoid(tensors.alpha[at]) : 0.0f;
        to.c[i] = real ? tensors.gamma[at] * p * tensors.beta[at] * share : 0.0f;
      });
}

/// Rows of an array [S,N,D] of which those that are not seen are zeros.
template <class T>
struct Rows {
  const T* x;
  const std::uint32_t* seen;

  WEFT_FUNCTION bool sees(const Layout& l, std::int64_t s, std::int64_t i) const {
    return is_seen(seen, seen_words(l.N), s, i);
  }
  WEFT_FUNCTION Numbers at(const Layout& l, std::int64_t s, std::int64_t i, std::int64_t j, std::int64_t count) const {
    return sees(l, s, i) ? numbers_at(x + (s * l.N + i) * l.D + j, count) : Numbers{};
  }
};

/// The state with which the scan enters each chunk, h_t = x_t + q h_{t-1}. Direction 0 comes from the front, direction
/// 1 from the end; turned: the other way round, as gradients go.
template <class T>
void scan_borders(const Layout& l, float* to, const Rows<T>& rows, const float* q, bool turned) {
  const std::int64_t blocks = l.n / border_states;
  for_each(
      "weft::ema_borders", l.S * l.K * blocks * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % l.groups * number_count, m0 = task / l.groups % blocks * border_states;
        const std::int64_t k = task / l.groups / blocks % l.K, s = task / l.groups / blocks / l.K;
        const std::int64_t lanes = l.group_end(j);
        const bool from_end = (k == 1) != turned;
        Numbers h[border_states] = {}, decay[border_states];
        for (int m = 0; m < border_states; ++m)
          decay[m] = numbers_at(q + l.coefficient(k, m0 + m) + j, number_count);
        for (std::int64_t step = 0; step < l.chunks; ++step) {
          const std::int64_t chunk = from_end ? l.chunks - 1 - step : step, begin = chunk * ema_chunk;
          const std::int64_t length = l.N - begin < ema_chunk ? l.N - begin : ema_chunk;
          for (int m = 0; m < border_states; ++m)
            put_numbers(to + l.border(s, chunk, k, m0 + m) + j, h[m], number_count);
          for (std::int64_t t = 0; t < length && step + 1 < l.chunks; ++t) {
            const Numbers x = rows.at(l, s, begin + (from_end ? length - 1 - t : t), j, lanes);
            for (int m = 0; m < border_states; ++m)
              h[m] = x + decay[m] * h[m];
          }
        }
      });
}

/// chunk_states states of one direction with their q and c.
struct Block {
  Numbers h[chunk_states], q[chunk_states], c[chunk_states];

  KOKKOS_INLINE_FUNCTION Block(const Layout& l, const float* border, const Coefficients& of, std::int64_t k,
                               std::int64_t m0, std::int64_t j) {
    for (int m = 0; m < chunk_states; ++m) {
      h[m] = numbers_at(border + m * l.pitch + j, number_count);
      q[m] = numbers_at(of.q + l.coefficient(k, m0 + m) + j, number_count);
      c[m] = numbers_at(of.c + l.coefficient(k, m0 + m) + j, number_count);
    }
  }
  KOKKOS_INLINE_FUNCTION void advance(Numbers x) {
    for (int m = 0; m < chunk_states; ++m)
      h[m] = x + q[m] * h[m];
  }
  KOKKOS_INLINE_FUNCTION Numbers read() const {
    static_assert(chunk_states == 4);
    return (c[0] * h[0] + c[1] * h[1]) + (c[2] * h[2] + c[3] * h[3]);
  }
};

} // namespace

std::int64_t ema_workspace(const EmaShape& shape) {
  const Layout l(shape);
  return 2 * l.coefficients() + 2 * l.borders() + l.sums();
}

double ema_work(const EmaShape& shape, bool backward) {
  // Per state and row: the scan twice and the sum that reads it; backward the scans of x and dout, dx, dc and dq.
  const double states = static_cast<double>(shape.sequences * shape.length * shape.width) *
                        static_cast<double>(shape.states * shape.directions);
  return (backward ? 14 : 6) * states;
}

template <class T>
void ema_forward(const EmaShape& shape, T* out, const T* x, const std::uint32_t* seen,
                 const EmaTensors<const float*>& tensors, float* workspace) {
  const Layout l(shape);
  const Coefficients of{workspace, workspace + l.coefficients()};
  float* borders = workspace + 2 * l.coefficients();
  const Rows<T> rows{x, seen};
  make_coefficients(l, of, tensors);
  scan_borders(l, borders, rows, of.q, false);
  for_each(
      "weft::ema_forward", l.S * l.chunks * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % l.groups * number_count, lanes = l.group_end(j);
        const std::int64_t chunk = task / l.groups % l.chunks, s = task / l.groups / l.chunks;
        const std::int64_t begin = chunk * ema_chunk, length = l.N - begin < ema_chunk ? l.N - begin : ema_chunk;
        const Numbers omega = numbers_at(tensors.omega + j, lanes);
        Numbers in[ema_chunk], sum[ema_chunk];
        for (std::int64_t t = 0; t < length; ++t) {
          in[t] = rows.at(l, s, begin + t, j, lanes);
          sum[t] = omega * in[t];
        }
        for (std::int64_t k = 0; k < l.K; ++k)
          for (std::int64_t m0 = 0; m0 < l.n; m0 += chunk_states) {
            Block block(l, borders + l.border(s, chunk, k, m0), of, k, m0, j);
            for (std::int64_t step = 0; step < length; ++step) {
              const std::int64_t t = k == 1 ? length - 1 - step : step;
              block.advance(in[t]);
              sum[t] = sum[t] + block.read();
            }
          }
        for (std::int64_t t = 0; t < length; ++t)
          put_numbers(out + (s * l.N + begin + t) * l.D + j, rows.sees(l, s, begin + t) ? sum[t] : Numbers{}, lanes);
      });
}

template <class T>
void ema_backward(const EmaShape& shape, T* dx, Into into, const EmaTensors<float*>& gradients, const T* dout,
                  const T* x, const std::uint32_t* seen, const EmaTensors<const float*>& tensors, float* workspace) {
  const Layout l(shape);
  const Coefficients of{workspace, workspace + l.coefficients()};
  float *borders = workspace + 2 * l.coefficients(), *turned = borders + l.borders(), *sums = turned + l.borders();
  const Rows<T> rows{x, seen}, drows{dout, seen};
  make_coefficients(l, of, tensors);
  scan_borders(l, borders, rows, of.q, false);
  scan_borders(l, turned, drows, of.q, true);
  for_each(
      "weft::ema_backward", l.S * l.spans * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % l.groups * number_count, lanes = l.group_end(j);
        const std::int64_t span = task / l.groups % l.spans, s = task / l.groups / l.spans;
        const std::int64_t end = (span + 1) * ema_span < l.chunks ? (span + 1) * ema_span : l.chunks;
        float* to = sums + (s * l.spans + span) * l.sum_rows() * l.pitch + j;
        const Numbers omega = numbers_at(tensors.omega + j, lanes);
        for (std::int64_t row = 0; row < l.sum_rows(); ++row)
          put_numbers(to + row * l.pitch, Numbers{}, number_count);
        const auto add = [&](std::int64_t row, Numbers part) {
          float* sum = to + row * l.pitch;
          put_numbers(sum, numbers_at(sum, number_count) + part, number_count);
        };
        for (std::int64_t chunk = span * ema_span; chunk < end; ++chunk) {
          const std::int64_t begin = chunk * ema_chunk, length = l.N - begin < ema_chunk ? l.N - begin : ema_chunk;
          Numbers in[ema_chunk], d[ema_chunk], sum[ema_chunk], domega = Numbers{};
          for (std::int64_t t = 0; t < length; ++t) {
            in[t] = rows.at(l, s, begin + t, j, lanes);
            d[t] = drows.at(l, s, begin + t, j, lanes);
            sum[t] = omega * d[t];
            domega = domega + d[t] * in[t];
          }
          add(2 * l.K * l.n, domega);
          for (std::int64_t k = 0; k < l.K; ++k)
            for (std::int64_t m0 = 0; m0 < l.n; m0 += chunk_states) {
              Numbers before[ema_chunk + 1][chunk_states], dc[chunk_states] = {}, dq[chunk_states] = {};
              Block block(l, borders + l.border(s, chunk, k, m0), of, k, m0, j);
              for (int m = 0; m < chunk_states; ++m)
                before[0][m] = block.h[m];
              for (std::int64_t step = 0; step < length; ++step) {
                block.advance(in[k == 1 ? length - 1 - step : step]);
                for (int m = 0; m < chunk_states; ++m)
                  before[step + 1][m] = block.h[m];
              }
              Block back(l, turned + l.border(s, chunk, k, m0), of, k, m0, j);
              for (std::int64_t step = length; step-- > 0;) {
                const std::int64_t t = k == 1 ? length - 1 - step : step;
                back.advance(d[t]);
                sum[t] = sum[t] + back.read();
                for (int m = 0; m < chunk_states; ++m) {
                  dc[m] = dc[m] + d[t] * before[step + 1][m];
                  dq[m] = dq[m] + back.h[m] * before[step][m];
                }
              }
              for (int m = 0; m < chunk_states; ++m) {
                add(k * l.n + m0 + m, dc[m]);
                add((l.K + k) * l.n + m0 + m, dq[m]);
              }
            }
          for (std::int64_t t = 0; t < length; ++t) {
            T* row = dx + (s * l.N + begin + t) * l.D + j;
            if (rows.sees(l, s, begin + t))
              put_numbers(row, into == Into::add ? numbers_at(row, lanes) + sum[t] : sum[t], lanes);
            else if (into == Into::overwrite)
              put_numbers(row, Numbers{}, lanes);
          }
        }
      });
  // Every task has its columns of the sums to itself, and leaves their totals in the first span's place.
  for_each(
      "weft::ema_sums", l.sum_rows() * l.groups, KOKKOS_LAMBDA(std::int64_t task) {
        float* to = sums + task / l.groups * l.pitch + task % l.groups * number_count;
        Numbers total = Numbers{};
        for (std::int64_t i = 0; i < l.S * l.spans; ++i)
          total = total + numbers_at(to + i * l.sum_rows() * l.pitch, number_count);
        put_numbers(to, total, number_count);
      });
  const float share = 1.0f / Kokkos::sqrt(static_cast<float>(l.states));
  for_each(
      "weft::ema_gradients", l.D, KOKKOS_LAMBDA(std::int64_t j) {
        gradients.omega[j] = sums[2 * l.K * l.n * l.pitch + j];
        for (std::int64_t k = 0; k < l.K; ++k)
          for (std::int64_t m = 0; m < l.states; ++m) {
            const std::int64_t at = (k * l.D + j) * l.states + m, in = l.coefficient(k, m) + j;
            const float p = sigmoid(tensors.delta[at]), a = sigmoid(tensors.alpha[at]);
            const float beta = tensors.beta[at], gamma = tensors.gamma[at];
            const float dc = sums[in], dq = of.c[in] * sums[l.coefficient(l.K + k, m) + j];
            gradients.gamma[at] = dc * share * p * beta;
            gradients.beta[at] = dc * share * p * gamma;
            gradients.delta[at] = (dc * share * gamma * beta - dq * a) * p * (1.0f - p);
            gradients.alpha[at] = -dq * p * a * (1.0f - a);
          }
      });
}

#define WEFT_EMA_OF(T)                                                                                                 \
  template void ema_forward(const EmaShape&, T*, const T*, const std::uint32_t*, const EmaTensors<const float*>&,      \
                            float*);                                                                                   \
  template void ema_backward(const EmaShape&, T*, Into, const EmaTensors<float*>&, const T*, const T*,                 \
                             const std::uint32_t*, const EmaTensors<const float*>&, float*)
WEFT_FOR_EACH_STORAGE(WEFT_EMA_OF);

} // namespace weft
