// What the passes over a sequence of a diagonal state space model share: where things lie in the workspace, and the
// small products between the rows of a chunk, its taps and its states. Included by kernels/recurrence/s4d*.cpp only.
#pragma once
#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/complex.hpp"
#include "kernels/recurrence/s4d.hpp"

namespace weft::state_space {

constexpr std::int64_t L = s4d_chunk;
constexpr std::int64_t margin = 7;                       ///< zeros around a chunk: lags - 1
constexpr int lags = 8;                                  ///< taps whose gradients are summed side by side
constexpr int quad = 4;                                  ///< chunks that go through a table side by side
constexpr std::int64_t turn = number_count == 1 ? 1 : 4; ///< spans that go through a column one after the other
constexpr int side_modes = 32;                           ///< states that are scanned side by side
static_assert(L % 2 == 0 && L % lags == 0 && margin == lags - 1 && s4d_span % quad == 0);

/// Channels that lie side by side in the workspace: those of one vector, or of one warp.
constexpr std::int64_t side = number_count == 1 ? 32 : number_count;
constexpr std::int64_t pair = 2 * side; ///< floats from one complex number of a channel to its next one

// What has decayed below these is 0, and their product is a normal number: processors are slow with smaller ones.
constexpr double least_power = 1e-12;
constexpr float least_state = 1e-24f;

KOKKOS_INLINE_FUNCTION float kept(double power) {
  return power < least_power && power > -least_power ? 0.0f : static_cast<float>(power);
}
KOKKOS_INLINE_FUNCTION Numbers kept(Numbers state) {
#if defined(__CUDACC__)
  return state < least_state && state > -least_state ? 0.0f : state;
#else
  const NumberMarks gone = (state < least_state) & (state > -least_state);
  return reinterpret_cast<Numbers>(reinterpret_cast<NumberMarks>(state) & ~gone);
#endif
}

struct Task {
  std::int64_t q, span, s;
};

/// Where things lie in the workspace. What belongs to one channel lies together, so that tables are read in order.
struct Layout {
  std::int64_t S, N, D, M, K; ///< K directions
  std::int64_t columns, pitch, chunks, spans, blocks;

  explicit Layout(const S4dShape& d)
      : S(d.sequences), N(d.length), D(d.width), M(d.modes), K(d.directions),
        columns((d.width + number_count - 1) / number_count), pitch((d.width + side - 1) / side * side),
        chunks((d.length + L - 1) / L), spans((chunks + s4d_span - 1) / s4d_span),
        blocks((d.modes + side_modes - 1) / side_modes) {}

  // Floats of one channel.
  WEFT_FUNCTION std::int64_t table() const { return M * (L + 1) * 2; } ///< (M, L + 1) powers
  WEFT_FUNCTION std::int64_t states() const { return K * M * 2; }
  WEFT_FUNCTION std::int64_t taps() const { return 2 * L; }             ///< of lag l at l + L; none of lag -L
  WEFT_FUNCTION std::int64_t sums() const { return taps() + states(); } ///< of taps and of the P' of states

  // A task has one span of one sequence in one column. On a host a few spans go through a column's tables in turn, few
  // enough to find their rows in the cache for the next column; on a device neighbouring threads have neighbouring
  // channels.
  std::int64_t tasks() const { return S * spans * columns; }
  WEFT_FUNCTION Task task(std::int64_t n) const {
    const std::int64_t before = n / (turn * columns) * turn, rest = n % (turn * columns);
    const std::int64_t together = S * spans - before < turn ? S * spans - before : turn;
    const std::int64_t span = before + rest % together;
    return {rest / together, span % spans, span / spans};
  }

  /// The first of `numbers` floats of the channels that column q holds.
  WEFT_FUNCTION std::int64_t place(std::int64_t q, std::int64_t numbers) const {
    return q * number_count / side * side * numbers + q * number_count % side;
  }
  WEFT_FUNCTION std::int64_t row(std::int64_t q, std::int64_t m) const {
    return place(q, table()) + m * (L + 1) * pair;
  }
  /// States at the border of a chunk, and from there to those of the next one.
  WEFT_FUNCTION std::int64_t border(std::int64_t s, std::int64_t chunk, std::int64_t q) const {
    return place(q, S * chunks * states()) + (s * chunks + chunk) * step();
  }
  WEFT_FUNCTION std::int64_t step() const { return states() * side; }
  WEFT_FUNCTION std::int64_t column_end(std::int64_t q) const {
    return D - q * number_count < number_count ? D - q * number_count : number_count;
  }
  WEFT_FUNCTION std::int64_t chunk_length(std::int64_t chunk) const { return N - chunk * L < L ? N - chunk * L : L; }
  /// Chunks of a span: fewer in the last one.
  WEFT_FUNCTION std::int64_t span_chunks(std::int64_t span) const {
    return chunks - span * s4d_span < s4d_span ? chunks - span * s4d_span : s4d_span;
  }
};

/// The workspace. The backward pass alone has `turned` and what stands behind it.
struct Parts {
  float *powers, *factors, *taps; ///< lambda^n; w of each direction; kernel[l] for lags of both signs
  float* borders;                 ///< states of x
  float* turned;                  ///< of dy, scanned the other way round
  float *weighted, *sums, *pairs; ///< n lambda^n; sums of each span; of each sequence, over pairs of rows

  std::int64_t floats = 0; ///< of all together

  /// from: null to learn the size alone.
  Parts(const Layout& l, float* from) {
    const auto next = [&](std::int64_t n) {
      float* const part = from != nullptr ? from + floats : nullptr;
      floats += n;
      return part;
    };
    powers = next(l.table() * l.pitch);
    factors = next(l.states() * l.pitch);
    taps = next(l.taps() * l.pitch);
    borders = next(l.S * l.chunks * l.states() * l.pitch);
    turned = next(l.S * l.chunks * l.states() * l.pitch);
    weighted = next(l.table() * l.pitch);
    sums = next(l.S * l.spans * l.sums() * l.pitch);
    pairs = next(l.S * 2 * l.states() * l.pitch);
  }
};

/// One mode of one channel, in double precision: an error of lambda grows with the power of it that is taken.
struct Mode {
  double a_re, a_im, dt, lambda_re, lambda_im, held_re, held_im; ///< held: (lambda - 1) / A

  WEFT_FUNCTION Mode(float decay, float angle, float step) {
    a_re = -Kokkos::exp(static_cast<double>(decay));
    a_im = static_cast<double>(angle);
    dt = Kokkos::exp(static_cast<double>(step));
    // exp(x + iy) - 1 without a difference of near numbers
    const double less = Kokkos::expm1(a_re * dt), size = less + 1;
    const double sine = Kokkos::sin(0.5 * a_im * dt), cosine = Kokkos::cos(0.5 * a_im * dt);
    lambda_im = size * 2 * sine * cosine;
    const double re = less - size * 2 * sine * sine;
    lambda_re = re + 1;
    const double squared = a_re * a_re + a_im * a_im;
    held_re = (re * a_re + lambda_im * a_im) / squared;
    held_im = (lambda_im * a_re - re * a_im) / squared;
  }
};
/// Fills the tables of `to` from the tensors, for the backward pass with the weighted ones. s4d_tables.cpp
void make_tables(const Layout& l, const Parts& to, const S4dTensors<const float*>& tensors, bool weighted);

/// Rows of an array [S,N,D] of which those that are not seen are zeros.
template <class T>
struct Rows {
  const T* x;
  const std::uint32_t* seen;

  WEFT_FUNCTION bool sees(const Layout& l, std::int64_t s, std::int64_t i) const {
    return is_seen(seen, seen_words(l.N), s, i);
  }
  /// A span's chunks with zeros behind the last row, and whole quads of them.
  template <int width>
  WEFT_FUNCTION void load(Numbers (*to)[width], const Layout& l, std::int64_t s, std::int64_t span,
                          std::int64_t q) const {
    constexpr std::int64_t around = (width - L) / 2;
    const std::int64_t count = l.span_chunks(span), lanes = l.column_end(q);
    for (std::int64_t c = 0; c < (count + quad - 1) / quad * quad; ++c) {
      const std::int64_t begin = (span * s4d_span + c) * L, rest = l.N - begin, end = rest < L ? rest : L;
      const T* from = x + (s * l.N + begin) * l.D + q * number_count;
      std::int64_t t = -around;
      for (; t < 0; ++t)
        to[c][around + t] = Numbers{};
      for (; t < end; ++t, from += l.D)
        to[c][around + t] = sees(l, s, begin + t) ? numbers_at(from, lanes) : Numbers{};
      for (; t < L + around; ++t)
        to[c][around + t] = Numbers{};
    }
  }
};

/// sum[c] = sum over n of table[n] row c [n], or with the table backwards.
template <int width>
KOKKOS_INLINE_FUNCTION void project(Complex* sum, const float* table, const Numbers (*rows)[width], bool backwards) {
  constexpr int around = (width - L) / 2;
  const float* p = table + (backwards ? (L - 1) * pair : 0);
  const std::int64_t next = backwards ? -pair : pair;
  for (int c = 0; c < quad; ++c)
    sum[c] = Complex{};
  for (std::int64_t t = 0; t < L; ++t, p += next) {
    const Complex f = complex_at(p, side, number_count);
    for (int c = 0; c < quad; ++c) {
      const Numbers x = rows[c][around + t];
      sum[c].re = sum[c].re + f.re * x;
      sum[c].im = sum[c].im + f.im * x;
    }
  }
}

/// Adds Re(table[n + 1] z[c]) to row c [n], or with the table backwards, from n = L on.
KOKKOS_INLINE_FUNCTION void read_states(Numbers (*rows)[L], const float* table, const Complex* z, bool backwards) {
  const float* p = table + (backwards ? L * pair : pair);
  const std::int64_t next = backwards ? -pair : pair;
  for (std::int64_t t = 0; t < L; ++t, p += next) {
    const Complex f = complex_at(p, side, number_count);
    for (int c = 0; c < quad; ++c)
      rows[c][t] = (rows[c][t] + f.re * z[c].re) - f.im * z[c].im;
  }
}

/// out[c][t] = sum over i of tap(t - i) in[c][i], or, turned, of tap(i - t); from the front alone those of lags >= 0.
template <int width>
KOKKOS_INLINE_FUNCTION void convolve(Numbers (*out)[L], const float* taps, const Numbers (*in)[width], bool turned,
                                     bool front_alone) {
  constexpr int around = (width - L) / 2;
  const std::int64_t sign = turned ? -side : side;
  const float* lag = taps + L * side; // of 0
  for (std::int64_t t = 0; t < L; t += 2) {
    // Rows t and t + 1 together over what both see, and then the one that one of them sees.
    const std::int64_t begin = front_alone && turned ? t + 1 : 0, end = front_alone && !turned ? t + 1 : L;
    Numbers sum[2][quad] = {};
    for (std::int64_t i = begin; i < end; ++i) {
      const Numbers first = numbers_at(lag + (t - i) * sign, number_count);
      const Numbers second = numbers_at(lag + (t + 1 - i) * sign, number_count);
      for (int c = 0; c < quad; ++c) {
        sum[0][c] = sum[0][c] + first * in[c][around + i];
        sum[1][c] = sum[1][c] + second * in[c][around + i];
      }
    }
    if (front_alone) {
      const std::int64_t own = turned ? 0 : 1;
      const Numbers tap = numbers_at(lag, number_count);
      for (int c = 0; c < quad; ++c)
        sum[own][c] = sum[own][c] + tap * in[c][around + t + own];
    }
    for (int c = 0; c < quad; ++c) {
      out[c][t] = sum[0][c];
      out[c][t + 1] = sum[1][c];
    }
  }
}
/// z[c] = w s: states at a quad's borders, weighted; 0 where there is no chunk.
KOKKOS_INLINE_FUNCTION void weigh(Complex* z, const Complex* states, Complex w) {
  for (int c = 0; c < quad; ++c)
    z[c] = product(w, states[c]);
}

/// Of one mode at a quad's borders, step apart, of which there may be fewer.
KOKKOS_INLINE_FUNCTION void load_states(Complex* to, const float* from, std::int64_t step, std::int64_t count) {
  for (std::int64_t c = 0; c < quad; ++c)
    to[c] = c < count ? complex_at(from + c * step, side, number_count) : Complex{};
}

/// Writes a span's rows; those that are not seen are 0.
template <class T>
KOKKOS_INLINE_FUNCTION void put_rows(T* to, const Layout& l, const Rows<T>& rows, std::int64_t s, std::int64_t span,
                                     std::int64_t q, const Numbers (*from)[L]) {
  const std::int64_t lanes = l.column_end(q);
  for (std::int64_t c = 0; c < l.span_chunks(span); ++c) {
    const std::int64_t chunk = span * s4d_span + c;
    for (std::int64_t t = 0; t < l.chunk_length(chunk); ++t) {
      const std::int64_t i = chunk * L + t;
      put_numbers(to + (s * l.N + i) * l.D + q * number_count, rows.sees(l, s, i) ? from[c][t] : Numbers{}, lanes);
    }
  }
}
/// From the sums to the gradients of the tensors; the parts of each mode in that of the step go to `steps` [M,D].
void make_gradients(const Layout& l, const Parts& of, const S4dTensors<float*>& gradients,
                    const S4dTensors<const float*>& tensors, float* steps);

} // namespace weft::state_space
