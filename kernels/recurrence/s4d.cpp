#include "kernels/recurrence/s4d.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/recurrence/s4d_parts.hpp"

namespace weft {

namespace {
using namespace state_space;

/// What each chunk adds to the state of the next one in the order of the scan, at that one's border. Direction 0 comes
/// from the front, direction 1 from the end; turned: the other way round, as gradients go.
template <class T>
void sum_chunks(const Layout& l, float* to, const float* powers, const Rows<T>& rows, bool turned) {
  for_each(
      "weft::s4d_chunks", l.tasks(), KOKKOS_LAMBDA(std::int64_t task) {
        const auto [q, span, s] = l.task(task);
        const std::int64_t first = span * s4d_span, count = l.span_chunks(span), step = l.step();
        float* border = to + l.border(s, first, q);
        Numbers in[s4d_span][L];
        rows.load(in, l, s, span, q);
        for (std::int64_t m = 0; m < l.M; ++m)
          for (std::int64_t c0 = 0; c0 < count; c0 += quad)
            for (std::int64_t k = 0; k < l.K; ++k) {
              const bool from_front = (k == 0) != turned;
              const std::int64_t ahead = from_front ? 1 : -1;
              Complex sum[quad];
              project(sum, powers + l.row(q, m), in + c0, from_front);
              for (std::int64_t c = 0; c < quad; ++c) {
                const std::int64_t next = c0 + c + ahead;
                if (c0 + c < count && first + next >= 0 && first + next < l.chunks)
                  put_complex(border + next * step + (k * l.M + m) * pair, side, sum[c], number_count);
              }
            }
      });
}

/// From these sums the states with which the scan enters each chunk. others: null, or the states of x beside those of
/// dy; then pairs[0] is the sum over the borders between chunks of the one's and the other's contributions, the sum
/// over all pairs of rows in different chunks of lambda^(l-1) dy x, and pairs[1] that over all chunks of the product of
/// both states, in which each pair counts once for each chunk between its rows.
void scan_borders(const Layout& l, float* borders, const float* powers, bool turned, const float* others,
                  float* pairs) {
  for_each(
      "weft::s4d_borders", l.S * l.K * l.columns * l.blocks, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t q = number_count == 1 ? task % l.columns : task / (l.S * l.blocks * l.K);
        const std::int64_t rest = number_count == 1 ? task / l.columns : task % (l.S * l.blocks * l.K);
        const std::int64_t k = rest % l.K, m0 = rest / l.K % l.blocks * side_modes, s = rest / l.K / l.blocks;
        const std::int64_t modes = l.M - m0 < side_modes ? l.M - m0 : side_modes;
        const bool from_front = (k == 0) != turned;
        const std::int64_t before = from_front ? -l.step() : l.step();
        Complex h[side_modes] = {}, across[side_modes] = {}, within[side_modes] = {}, ahead[side_modes];
        for (std::int64_t m = 0; m < modes; ++m)
          ahead[m] = complex_at(powers + l.row(q, m0 + m) + L * pair, side, number_count);
        for (std::int64_t step = 0; step < l.chunks; ++step) {
          const std::int64_t chunk = from_front ? step : l.chunks - 1 - step;
          const std::int64_t place = l.border(s, chunk, q) + (k * l.M + m0) * pair;
          for (std::int64_t m = 0; m < modes; ++m) {
            float* at = borders + place + m * pair;
            if (step > 0) {
              const Complex sum = complex_at(at, side, number_count);
              h[m] = product_added(sum, ahead[m], h[m]);
              h[m] = {kept(h[m].re), kept(h[m].im)};
              if (others != nullptr) {
                const Complex left = complex_at(others + place + before + m * pair, side, number_count);
                across[m] = product_added(across[m], sum, left);
              }
            }
            if (others != nullptr) {
              const Complex here = complex_at(others + place + m * pair, side, number_count);
              within[m] = product_added(within[m], h[m], here);
            }
            put_complex(at, side, h[m], number_count);
          }
        }
        if (others != nullptr)
          for (std::int64_t m = 0; m < modes; ++m) {
            float* to = pairs + s * 2 * l.states() * l.pitch + l.place(q, 2 * l.states()) + (k * l.M + m0 + m) * pair;
            put_complex(to, side, across[m], number_count);
            put_complex(to + l.K * l.M * pair, side, within[m], number_count);
          }
      });
}
/// Sums over whole arrays, left in the place of the first of them.
void sum_up(float* sums, std::int64_t arrays, std::int64_t floats) {
  if (arrays > 1)
    for_each(
        "weft::s4d_sums", floats / number_count, KOKKOS_LAMBDA(std::int64_t task) {
          float* to = sums + task * number_count;
          Numbers total = numbers_at(to, number_count);
          for (std::int64_t i = 1; i < arrays; ++i)
            total = total + numbers_at(to + i * floats, number_count);
          put_numbers(to, total, number_count);
        });
}
} // namespace

std::int64_t s4d_workspace(const S4dShape& shape) { return Parts(Layout(shape), nullptr).floats; }

double s4d_work(const S4dShape& shape, bool backward) {
  // Two operations for each multiply-add: per row, two for each state into and out of borders; backward those of x and
  // of dy, both once more weighted, and out of borders of dy. Within chunks half of one for each row of it; backward
  // for dx and for the taps.
  const double rows =
      static_cast<double>(shape.sequences * shape.length) * static_cast<double>(shape.width * shape.directions);
  const double modes = static_cast<double>(shape.modes), chunk = static_cast<double>(s4d_chunk);
  return 2 * rows * (backward ? 10 * modes + chunk : 4 * modes + chunk / 2);
}

template <class T>
void s4d_forward(const S4dShape& shape, T* y, const T* x, const std::uint32_t* seen,
                 const S4dTensors<const float*>& tensors, float* workspace) {
  const Layout l(shape);
  const Parts of(l, workspace);
  const Rows<T> rows{x, seen};
  make_tables(l, of, tensors, false);
  sum_chunks(l, of.borders, of.powers, rows, false);
  scan_borders(l, of.borders, of.powers, false, nullptr, nullptr);
  for_each(
      "weft::s4d_forward", l.tasks(), KOKKOS_LAMBDA(std::int64_t task) {
        const auto [q, span, s] = l.task(task);
        const float *taps = of.taps + l.place(q, l.taps()), *factors = of.factors + l.place(q, l.states());
        const float* border = of.borders + l.border(s, span * s4d_span, q);
        const std::int64_t count = l.span_chunks(span), step = l.step();
        Numbers in[s4d_span][L], out[s4d_span][L];
        rows.load(in, l, s, span, q);
        for (std::int64_t c = 0; c < count; c += quad)
          convolve(out + c, taps, in + c, false, l.K == 1);
        for (std::int64_t m = 0; m < l.M; ++m)
          for (std::int64_t c = 0; c < count; c += quad)
            for (std::int64_t k = 0; k < l.K; ++k) {
              Complex states[quad], z[quad];
              load_states(states, border + c * step + (k * l.M + m) * pair, step, count - c);
              weigh(z, states, complex_at(factors + (k * l.M + m) * pair, side, number_count));
              read_states(out + c, of.powers + l.row(q, m), z, k == 1);
            }
        put_rows(y, l, rows, s, span, q, out);
      });
}

template <class T>
void s4d_backward(const S4dShape& shape, T* dx, const S4dTensors<float*>& gradients, const T* dy, const T* x,
                  const std::uint32_t* seen, const S4dTensors<const float*>& tensors, float* workspace) {
  constexpr int room = L + 2 * margin;
  const Layout l(shape);
  const Parts of(l, workspace);
  const Rows<T> rows{x, seen}, drows{dy, seen};
  make_tables(l, of, tensors, true);
  sum_chunks(l, of.borders, of.powers, rows, false);
  scan_borders(l, of.borders, of.powers, false, nullptr, nullptr);
  sum_chunks(l, of.turned, of.powers, drows, true);
  scan_borders(l, of.turned, of.powers, true, of.borders, of.pairs);
  for_each(
      "weft::s4d_backward", l.tasks(), KOKKOS_LAMBDA(std::int64_t task) {
        const auto [q, span, s] = l.task(task);
        const std::int64_t count = l.span_chunks(span), step = l.step(), border = l.border(s, span * s4d_span, q);
        const float *taps = of.taps + l.place(q, l.taps()), *factors = of.factors + l.place(q, l.states());
        float* sums = of.sums + (s * l.spans + span) * l.sums() * l.pitch + l.place(q, l.sums());
        Numbers in[s4d_span][room], d[s4d_span][L], out[s4d_span][L];
        rows.load(in, l, s, span, q);
        drows.load(d, l, s, span, q);
        for (std::int64_t c = 0; c < count; c += quad)
          convolve(out + c, taps, d + c, true, l.K == 1);
        for (std::int64_t m = 0; m < l.M; ++m)
          for (std::int64_t k = 0; k < l.K; ++k) {
            const Complex w = complex_at(factors + (k * l.M + m) * pair, side, number_count);
            Complex by_lag{};
            for (std::int64_t c0 = 0; c0 < count; c0 += quad) {
              Complex states[quad], sum[quad], z[quad];
              load_states(states, of.borders + border + c0 * step + (k * l.M + m) * pair, step, count - c0);
              project(sum, of.weighted + l.row(q, m), d + c0, k == 1);
              for (int c = 0; c < quad; ++c)
                by_lag = product_added(by_lag, sum[c], states[c]);
              load_states(states, of.turned + border + c0 * step + (k * l.M + m) * pair, step, count - c0);
              project(sum, of.weighted + l.row(q, m), in + c0, k == 0);
              for (int c = 0; c < quad; ++c)
                by_lag = product_added(by_lag, sum[c], states[c]);
              weigh(z, states, w);
              read_states(out + c0, of.powers + l.row(q, m), z, k == 0);
            }
            put_complex(sums + l.taps() * side + (k * l.M + m) * pair, side, by_lag, number_count);
          }
        put_rows(dx, l, rows, s, span, q, out);
        // The gradient of the tap of lag l: the sum of dy_t x_{t-l}.
        for (std::int64_t n = l.K == 1 ? 0 : -L; n < L; n += lags) {
          Numbers sum[lags] = {};
          for (std::int64_t c = 0; c < count; ++c)
            for (std::int64_t t = n > 0 ? n : 0; t < (n < 0 ? L + n + margin : L); ++t)
              for (std::int64_t v = 0; v < lags; ++v)
                sum[v] = sum[v] + d[c][t] * in[c][margin + t - n - v];
          for (std::int64_t v = 0; v < lags; ++v)
            put_numbers(sums + (L + n + v) * side, sum[v], number_count);
        }
        if (l.K == 1)
          for (std::int64_t n = 0; n < L; ++n)
            put_numbers(sums + n * side, Numbers{}, number_count);
      });
  sum_up(of.sums, l.S * l.spans, l.sums() * l.pitch);
  sum_up(of.pairs, l.S, 2 * l.states() * l.pitch);
  make_gradients(l, of, gradients, tensors, of.turned);
}

#define WEFT_S4D_OF(T)                                                                                                 \
  template void s4d_forward(const S4dShape&, T*, const T*, const std::uint32_t*, const S4dTensors<const float*>&,      \
                            float*);                                                                                   \
  template void s4d_backward(const S4dShape&, T*, const S4dTensors<float*>&, const T*, const T*, const std::uint32_t*, \
                             const S4dTensors<const float*>&, float*)
WEFT_FOR_EACH_STORAGE(WEFT_S4D_OF);

} // namespace weft
