#include "kernels/recurrence/s4d.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/pool/pool.hpp"
#include "kernels/recurrence/complex.hpp"

namespace weft {

namespace {

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

void make_tables(const Layout& l, const Parts& to, const S4dTensors<const float*>& tensors, bool weighted) {
  for_each(
      "weft::s4d_powers", l.columns * l.M, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t m = task % l.M, q = task / l.M, j0 = q * number_count, lanes = l.column_end(q);
        double re[number_count], im[number_count], power_re[number_count], power_im[number_count];
        for (std::int64_t v = 0; v < number_count; ++v) {
          const std::int64_t j = v < lanes ? j0 + v : j0, at = j * l.M + m;
          const double real = v < lanes ? 1 : 0;
          const Mode mode(tensors.decay[at], tensors.angle[at], tensors.step[j]);
          re[v] = mode.lambda_re;
          im[v] = mode.lambda_im;
          power_re[v] = real;
          power_im[v] = 0;
          for (std::int64_t k = 0; k < l.K; ++k) {
            const float* c = tensors.c + (k * l.D * l.M + at) * 2;
            const double c_re = 2 * real * static_cast<double>(c[0]), c_im = 2 * real * static_cast<double>(c[1]);
            float* w = to.factors + l.place(q, l.states()) + (k * l.M + m) * pair + v;
            w[0] = static_cast<float>(c_re * mode.held_re - c_im * mode.held_im);
            w[side] = static_cast<float>(c_re * mode.held_im + c_im * mode.held_re);
          }
        }
        float *power = to.powers + l.row(q, m), *with = to.weighted + l.row(q, m);
        for (std::int64_t n = 0; n <= L; ++n, power += pair, with += pair)
          for (std::int64_t v = 0; v < number_count; ++v) {
            power[v] = kept(power_re[v]);
            power[side + v] = kept(power_im[v]);
            if (weighted) {
              with[v] = kept(static_cast<double>(n) * power_re[v]);
              with[side + v] = kept(static_cast<double>(n) * power_im[v]);
            }
            const double next = power_re[v] * re[v] - power_im[v] * im[v];
            power_im[v] = power_re[v] * im[v] + power_im[v] * re[v];
            power_re[v] = next;
          }
      });
  for_each(
      "weft::s4d_taps", l.columns * L, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t n = task % L, q = task / L;
        float* taps = to.taps + l.place(q, l.taps());
        Numbers kernel[2] = {};
        for (std::int64_t m = 0; m < l.M; ++m) {
          const Complex power = complex_at(to.powers + l.row(q, m) + n * pair, side, number_count);
          for (std::int64_t k = 0; k < l.K; ++k) {
            const float* from = to.factors + l.place(q, l.states()) + (k * l.M + m) * pair;
            const Complex w = complex_at(from, side, number_count);
            kernel[k] = (kernel[k] + w.re * power.re) - w.im * power.im;
          }
        }
        if (n == 0) {
          const Numbers skip = numbers_at(tensors.skip + q * number_count, l.column_end(q));
          put_numbers(taps, Numbers{}, number_count);
          put_numbers(taps + L * side, kernel[0] + kernel[1] + skip, number_count);
        } else {
          put_numbers(taps + (L + n) * side, kernel[0], number_count);
          put_numbers(taps + (L - n) * side, kernel[1], number_count);
        }
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

/// From the sums to the gradients of the tensors; the parts of each mode in that of the step go to `steps` [M,D].
void make_gradients(const Layout& l, const Parts& of, const S4dTensors<float*>& gradients,
                    const S4dTensors<const float*>& tensors, float* steps) {
  for_each(
      "weft::s4d_gradients", l.columns * l.M, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t m = task % l.M, q = task / l.M;
        const float *powers = of.powers + l.row(q, m), *weighted = of.weighted + l.row(q, m);
        const float* sums = of.sums + l.place(q, l.sums());
        const float* pairs = of.pairs + l.place(q, 2 * l.states()) + m * pair;
        const Complex lambda = complex_at(powers + pair, side, number_count);
        const Complex end = complex_at(powers + L * pair, side, number_count);
        float p[2][4][number_count]; // P and P', real and imaginary parts
        for (std::int64_t k = 0; k < l.K; ++k) {
          const Complex across = complex_at(pairs + k * l.M * pair, side, number_count);
          const Complex between = complex_at(pairs + (l.K + k) * l.M * pair, side, number_count);
          const Complex within = complex_at(sums + l.taps() * side + (k * l.M + m) * pair, side, number_count);
          const Complex chunks = product(end, between);
          const Numbers wide = Numbers{} + static_cast<float>(L);
          Complex sum = product(lambda, across);
          const Complex apart = {(within.re + across.re) + wide * chunks.re,
                                 (within.im + across.im) + wide * chunks.im};
          Complex by_lag = product(lambda, apart);
          for (std::int64_t n = 0; n < L; ++n) {
            const Numbers r = numbers_at(sums + (k == 0 ? L + n : L - n) * side, number_count);
            const Complex f = complex_at(powers + n * pair, side, number_count);
            const Complex g = complex_at(weighted + n * pair, side, number_count);
            sum = {sum.re + f.re * r, sum.im + f.im * r};
            by_lag = {by_lag.re + g.re * r, by_lag.im + g.im * r};
          }
          put_numbers(p[k][0], sum.re, number_count);
          put_numbers(p[k][1], sum.im, number_count);
          put_numbers(p[k][2], by_lag.re, number_count);
          put_numbers(p[k][3], by_lag.im, number_count);
        }
        for (std::int64_t v = 0; v < l.column_end(q); ++v) {
          const std::int64_t j = q * number_count + v, at = j * l.M + m;
          const Mode mode(tensors.decay[at], tensors.angle[at], tensors.step[j]);
          // Sums over directions of C P and of 2 C held P'
          double c_re = 0, c_im = 0, w_re = 0, w_im = 0;
          for (std::int64_t k = 0; k < l.K; ++k) {
            const std::int64_t place = (k * l.D * l.M + at) * 2;
            const double re = static_cast<double>(tensors.c[place]), im = static_cast<double>(tensors.c[place + 1]);
            const double p_re = static_cast<double>(p[k][0][v]), p_im = static_cast<double>(p[k][1][v]);
            const double l_re = static_cast<double>(p[k][2][v]), l_im = static_cast<double>(p[k][3][v]);
            const double h_re = re * mode.held_re - im * mode.held_im, h_im = re * mode.held_im + im * mode.held_re;
            gradients.c[place] = static_cast<float>(2 * (mode.held_re * p_re - mode.held_im * p_im));
            gradients.c[place + 1] = static_cast<float>(-2 * (mode.held_re * p_im + mode.held_im * p_re));
            c_re += 2 * (re * p_re - im * p_im);
            c_im += 2 * (re * p_im + im * p_re);
            w_re += 2 * (h_re * l_re - h_im * l_im);
            w_im += 2 * (h_re * l_im + h_im * l_re);
          }
          // By A: dt w P' + C P (dt lambda - held) / A;  by dt: A w P' + C P lambda
          const double squared = mode.a_re * mode.a_re + mode.a_im * mode.a_im;
          const double e_re = mode.dt * mode.lambda_re - mode.held_re, e_im = mode.dt * mode.lambda_im - mode.held_im;
          const double by_re = (e_re * mode.a_re + e_im * mode.a_im) / squared;
          const double by_im = (e_im * mode.a_re - e_re * mode.a_im) / squared;
          const double da_re = mode.dt * w_re + c_re * by_re - c_im * by_im;
          const double da_im = mode.dt * w_im + c_re * by_im + c_im * by_re;
          gradients.decay[at] = static_cast<float>(mode.a_re * da_re);
          gradients.angle[at] = static_cast<float>(-da_im);
          steps[m * l.D + j] = static_cast<float>(
              mode.dt * (mode.a_re * w_re - mode.a_im * w_im + c_re * mode.lambda_re - c_im * mode.lambda_im));
        }
      });
  for_each(
      "weft::s4d_steps", l.D, KOKKOS_LAMBDA(std::int64_t j) {
        float sum = 0;
        for (std::int64_t m = 0; m < l.M; ++m)
          sum += steps[m * l.D + j];
        gradients.step[j] = sum;
        gradients.skip[j] = of.sums[l.place(j / number_count, l.sums()) + j % number_count + L * side];
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
