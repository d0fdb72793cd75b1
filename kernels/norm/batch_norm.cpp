#include "kernels/norm/batch_norm.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/pool/pool.hpp"

namespace weft {

namespace {

/// The rows of a micro-batch, the seen ones among them, and the blocks that they are added in.
struct SeenRows {
  std::int64_t sequences, length;
  const std::uint32_t* seen;

  WEFT_FUNCTION std::int64_t blocks_of_one() const { return (length + batch_norm_block - 1) / batch_norm_block; }
  WEFT_FUNCTION std::int64_t blocks() const { return sequences * blocks_of_one(); }
  /// Rows of block b, [first, end).
  WEFT_FUNCTION std::int64_t first(std::int64_t b) const {
    return b / blocks_of_one() * length + b % blocks_of_one() * batch_norm_block;
  }
  WEFT_FUNCTION std::int64_t end(std::int64_t b) const {
    const std::int64_t whole = first(b) + batch_norm_block, last = (b / blocks_of_one() + 1) * length;
    return whole < last ? whole : last;
  }
  WEFT_FUNCTION bool sees(std::int64_t row) const {
    return is_seen(seen, seen_words(length), row / length, row % length);
  }
  /// Seen rows of a block.
  KOKKOS_INLINE_FUNCTION std::int64_t count(std::int64_t b) const {
    if (!seen)
      return end(b) - first(b);
    const std::uint32_t* const words = seen + b / blocks_of_one() * seen_words(length);
    const std::int64_t begin = b % blocks_of_one() * batch_norm_block;
    std::int64_t sum = 0;
    for (std::int64_t w = begin / 32; w * 32 < begin + batch_norm_block && w * 32 < length; ++w)
      sum += Kokkos::popcount(w * 32 + 32 <= length ? words[w] : words[w] & ((1u << (length % 32)) - 1u));
    return sum;
  }
};
SeenRows rows_of(const BatchNormShape& shape, const std::uint32_t* seen) {
  return {shape.sequences, shape.length, seen};
}

/// body(b, j0, j1) for every block and parts of the channels: on a host whole rows, as memory likes it; on a device
/// neighbouring threads take neighbouring channels.
template <class Body>
void for_blocks(const char* label, std::int64_t blocks, std::int64_t width, const Body& body) {
  const std::int64_t part = strip_width > 4 ? width : strip_width, parts = (width + part - 1) / part;
  for_each(
      label, blocks * parts, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % parts * part;
        body(task / parts, j0, j0 + part < width ? j0 + part : width);
      });
}

/// The same for every row.
template <class Body>
void for_rows(const char* label, const BatchNormShape& shape, const Body& body) {
  for_blocks(label, shape.sequences * shape.length, shape.width, body);
}

/// Channels whose blocks one thread adds.
constexpr std::int64_t group = strip_width > 4 ? 16 : 1;

/// to = what, or to += what, channels j, ...
template <Into into, class T>
WEFT_FUNCTION void put_into(T* to, Numbers what, std::int64_t count) {
  put_numbers(to, into == Into::add ? numbers_at(to, count) + what : what, count);
}

template <Into into, class T>
void backward_into(const BatchNormShape& shape, T* dx, float* dgain, float* dbias, const T* dout, const T* x,
                   const float* mean, const float* r, const float* gain, const std::uint32_t* seen, float* workspace) {
  const SeenRows rows = rows_of(shape, seen);
  const std::int64_t D = shape.width, blocks = rows.blocks();
  for_blocks(
      "weft::batch_norm_backward_sums", blocks, D, KOKKOS_LAMBDA(std::int64_t b, std::int64_t j0, std::int64_t j1) {
        float *sums = workspace + 2 * b * D, *dots = sums + D; // of dout, of dout * normalised x
        for (std::int64_t j = j0; j < j1; ++j)
          sums[j] = dots[j] = 0;
        for (std::int64_t i = rows.first(b); i < rows.end(b); ++i) {
          if (!rows.sees(i))
            continue;
          for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
            const Numbers d = numbers_at(dout + i * D + j, count);
            const Numbers apart = numbers_at(x + i * D + j, count) - numbers_at(mean + j, count);
            put_numbers(sums + j, numbers_at(sums + j, count) + d, count);
            put_numbers(dots + j, numbers_at(dots + j, count) + d * (apart * numbers_at(r + j, count)), count);
          });
        }
      });
  float *mean_d = workspace + 2 * blocks * D, *mean_dot = mean_d + D;
  for_each(
      "weft::batch_norm_backward_blocks", (D + group - 1) / group, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t first = task * group, last = first + group < D ? first + group : D;
        double sum[group] = {}, dot[group] = {};
        std::int64_t n = 0;
        for (std::int64_t b = 0; b < blocks; ++b) {
          n += rows.count(b);
          for (std::int64_t j = first; j < last; ++j) {
            sum[j - first] += static_cast<double>(workspace[2 * b * D + j]);
            dot[j - first] += static_cast<double>(workspace[(2 * b + 1) * D + j]);
          }
        }
        for (std::int64_t j = first; j < last; ++j) {
          dbias[j] = static_cast<float>(sum[j - first]);
          dgain[j] = static_cast<float>(dot[j - first]);
          mean_d[j] = static_cast<float>(sum[j - first] / static_cast<double>(n > 0 ? n : 1));
          mean_dot[j] = static_cast<float>(dot[j - first] / static_cast<double>(n > 0 ? n : 1));
        }
      });
  for_rows(
      "weft::batch_norm_backward", shape, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j0, std::int64_t j1) {
        const bool sees = rows.sees(i);
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          const std::int64_t at = i * D + j;
          if (!sees)
            return into == Into::overwrite ? put_numbers(dx + at, Numbers{}, count) : void();
          const Numbers by = numbers_at(r + j, count);
          const Numbers normalised = (numbers_at(x + at, count) - numbers_at(mean + j, count)) * by;
          const Numbers slope = numbers_at(dout + at, count) - numbers_at(mean_d + j, count) -
                                normalised * numbers_at(mean_dot + j, count);
          put_into<into>(dx + at, numbers_at(gain + j, count) * by * slope, count);
        });
      });
}

} // namespace

template <class T>
void batch_norm_statistics(const BatchNormShape& shape, float* mean, float* r, float* variance, const T* x,
                           const std::uint32_t* seen, float epsilon, float* workspace) {
  const SeenRows rows = rows_of(shape, seen);
  const std::int64_t D = shape.width, blocks = rows.blocks();
  for_blocks(
      "weft::batch_norm_statistics", blocks, D, KOKKOS_LAMBDA(std::int64_t b, std::int64_t j0, std::int64_t j1) {
        float *means = workspace + 2 * b * D, *squares = means + D;
        for (std::int64_t j = j0; j < j1; ++j)
          means[j] = squares[j] = 0;
        const T* origin = nullptr; // the first row, about which sums are small
        std::int64_t n = 0;
        for (std::int64_t i = rows.first(b); i < rows.end(b); ++i) {
          if (!rows.sees(i))
            continue;
          const T* row = x + i * D;
          if (n++ == 0)
            origin = row;
          for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
            const Numbers apart = numbers_at(row + j, count) - numbers_at(origin + j, count);
            put_numbers(means + j, numbers_at(means + j, count) + apart, count);
          });
        }
        if (n == 0)
          return;
        const float divisor = static_cast<float>(n);
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          put_numbers(means + j, numbers_at(origin + j, count) + numbers_at(means + j, count) / divisor, count);
        });
        for (std::int64_t i = rows.first(b); i < rows.end(b); ++i) {
          if (!rows.sees(i))
            continue;
          for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
            const Numbers apart = numbers_at(x + i * D + j, count) - numbers_at(means + j, count);
            put_numbers(squares + j, numbers_at(squares + j, count) + apart * apart, count);
          });
        }
      });
  for_each(
      "weft::batch_norm_statistics_blocks", (D + group - 1) / group, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t first = task * group, last = first + group < D ? first + group : D;
        double sum[group] = {}, squares[group] = {};
        std::int64_t all = 0;
        for (std::int64_t b = 0; b < blocks; ++b) {
          const std::int64_t n = rows.count(b);
          all += n;
          for (std::int64_t j = first; j < last; ++j)
            sum[j - first] += static_cast<double>(n) * static_cast<double>(workspace[2 * b * D + j]);
        }
        const double n = static_cast<double>(all > 0 ? all : 1);
        for (std::int64_t j = first; j < last; ++j)
          sum[j - first] /= n;
        for (std::int64_t b = 0; b < blocks; ++b) {
          const double of_block = static_cast<double>(rows.count(b));
          for (std::int64_t j = first; j < last; ++j) {
            const double apart = static_cast<double>(workspace[2 * b * D + j]) - sum[j - first];
            squares[j - first] += static_cast<double>(workspace[(2 * b + 1) * D + j]) + of_block * apart * apart;
          }
        }
        for (std::int64_t j = first; j < last; ++j) {
          mean[j] = static_cast<float>(sum[j - first]);
          r[j] = static_cast<float>(1 / Kokkos::sqrt(squares[j - first] / n + static_cast<double>(epsilon)));
          variance[j] = static_cast<float>(squares[j - first] / (n > 1 ? n - 1 : 1));
        }
      });
}

void batch_norm_scale(float* r, const float* variance, std::int64_t width, float epsilon) {
  for_each(
      "weft::batch_norm_scale", width,
      KOKKOS_LAMBDA(std::int64_t j) { r[j] = 1.0f / Kokkos::sqrt(variance[j] + epsilon); });
}

template <class T>
void batch_norm_apply(const BatchNormShape& shape, T* out, const T* x, const float* mean, const float* r,
                      const float* gain, const float* bias, const std::uint32_t* seen) {
  const SeenRows rows = rows_of(shape, seen);
  const std::int64_t D = shape.width;
  for_rows(
      "weft::batch_norm_apply", shape, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j0, std::int64_t j1) {
        const bool sees = rows.sees(i);
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          Numbers y = Numbers{};
          if (sees)
            y = numbers_at(gain + j, count) *
                    ((numbers_at(x + i * D + j, count) - numbers_at(mean + j, count)) * numbers_at(r + j, count)) +
                numbers_at(bias + j, count);
          put_numbers(out + i * D + j, y, count);
        });
      });
}

template <class T>
void batch_norm_backward(const BatchNormShape& shape, T* dx, float* dgain, float* dbias, const T* dout, const T* x,
                         const float* mean, const float* r, const float* gain, const std::uint32_t* seen,
                         float* workspace, Into into) {
  if (into == Into::add)
    backward_into<Into::add>(shape, dx, dgain, dbias, dout, x, mean, r, gain, seen, workspace);
  else
    backward_into<Into::overwrite>(shape, dx, dgain, dbias, dout, x, mean, r, gain, seen, workspace);
}

#define WEFT_BATCH_NORM_OF(T)                                                                                          \
  template void batch_norm_statistics(const BatchNormShape&, float*, float*, float*, const T*, const std::uint32_t*,   \
                                      float, float*);                                                                  \
  template void batch_norm_apply(const BatchNormShape&, T*, const T*, const float*, const float*, const float*,        \
                                 const float*, const std::uint32_t*);                                                  \
  template void batch_norm_backward(const BatchNormShape&, T*, float*, float*, const T*, const T*, const float*,       \
                                    const float*, const float*, const std::uint32_t*, float*, Into)
WEFT_FOR_EACH_STORAGE(WEFT_BATCH_NORM_OF);

} // namespace weft
