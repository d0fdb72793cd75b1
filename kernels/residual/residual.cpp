#include "kernels/residual/residual.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/norm/row.hpp"
#include "kernels/random/words.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

namespace {
/// The dropout of one micro-batch, ready for the kernels.
struct Mask {
  Dropout dropout;
  std::int64_t length, width; ///< N, D
  std::uint32_t threshold;
  float kept; ///< 1 / (1 - p)

  Mask(const Dropout& d, std::int64_t n, std::int64_t w)
      : dropout(d), length(n), width(w), threshold(dropout_threshold(d.probability)),
        kept(1.0f / (1.0f - d.probability)) {}
  WEFT_FUNCTION bool off() const { return dropout.probability == 0.0f; }

  /// factors[0 .. count) = 0 or 1/(1-p) for the columns j0 .. j0 + count - 1 of row i; count <= strip_width.
  WEFT_FUNCTION void factors(float* to, std::int64_t i, std::int64_t j0, std::int64_t count) const {
    // A block of four numbers may begin in front of the first column and end behind the last.
    std::uint32_t words[strip_width + 4 + 4 * words_group];
    const std::int64_t first = i % length * width + j0, block = first / 4, skipped = first % 4;
    random_words(words, key_of(dropout, i / length), static_cast<std::uint32_t>(block),
                 static_cast<int>((skipped + count + 3) / 4));
    const std::uint32_t limit = threshold, *at = words + skipped;
    const float yes = kept;
    for (std::int64_t j = 0; j < count; ++j)
      to[j] = dropout_keeps(at[j], limit) ? yes : 0.0f;
  }
};

/// body(at, count, dropped) for groups of numbers of row i: `at` the first of `count`; dropped(x) = x times 0 or
/// 1/(1-p), or x without dropout.
template <class Body>
KOKKOS_INLINE_FUNCTION void for_row(const Mask& mask, std::int64_t i, const Body& body) {
  const bool off = mask.off();
  for (std::int64_t j0 = 0; j0 < mask.width; j0 += strip_width) {
    const std::int64_t columns = j0 + strip_width < mask.width ? strip_width : mask.width - j0;
    float factor[strip_width];
    if (!off)
      mask.factors(factor, i, j0, columns);
    for_numbers(0, columns, [&](std::int64_t j, std::int64_t count) {
      body(i * mask.width + j0 + j, count, [&](Numbers x) { return off ? x : numbers_at(factor + j, count) * x; });
    });
  }
}
} // namespace

template <class T>
void residual_forward(T* out, T* normed, float* mean, float* rstd, const T* x, const T* y, const Dropout& dropout,
                      const float* gain, const float* bias, float epsilon, const ResidualShape& shape) {
  const Mask mask(dropout, shape.length, shape.width);
  const std::int64_t width = shape.width;
  for_each(
      "weft::residual_forward", shape.batch * shape.length, KOKKOS_LAMBDA(std::int64_t i) {
        for_row(mask, i, [&](std::int64_t at, std::int64_t count, const auto& dropped) {
          put_numbers(out + at, numbers_at(x + at, count) + dropped(numbers_at(y + at, count)), count);
        });
        norm_row(normed + i * width, mean[i], rstd[i], out + i * width, gain, bias, width, epsilon);
      });
}

template <class T>
void residual_backward(T* dy, float* dbias, const T* dout, const Dropout& dropout, const ResidualShape& shape,
                       float* partial) {
  const Mask mask(dropout, shape.length, shape.width);
  const std::int64_t width = shape.width;
  column_sums_of_pass(
      "weft::residual_backward", dbias, shape.batch * shape.length, width, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t i, std::int64_t j0, std::int64_t columns) {
        float factor[strip_width];
        mask.factors(factor, i, j0, columns);
        const std::int64_t at = i * width + j0;
        for_numbers(0, columns, [&](std::int64_t j, std::int64_t count) {
          const Numbers d = stored<T>(numbers_at(factor + j, count) * numbers_at(dout + at + j, count));
          put_numbers(dy + at + j, d, count);
          put_numbers(sums + j, numbers_at(sums + j, count) + d, count);
        });
      });
}

template <class T>
void dropout_forward(T* out, const T* x, const Dropout& dropout, const ResidualShape& shape) {
  const Mask mask(dropout, shape.length, shape.width);
  for_each(
      "weft::dropout_forward", shape.batch * shape.length, KOKKOS_LAMBDA(std::int64_t i) {
        for_row(mask, i, [&](std::int64_t at, std::int64_t count, const auto& dropped) {
          put_numbers(out + at, dropped(numbers_at(x + at, count)), count);
        });
      });
}

template <class U, class T>
void residual_add(U* x, const T* y, float factor, const Dropout& dropout, const ResidualShape& shape) {
  const Mask mask(dropout, shape.length, shape.width);
  for_each(
      "weft::residual_add", shape.batch * shape.length, KOKKOS_LAMBDA(std::int64_t i) {
        for_row(mask, i, [&](std::int64_t at, std::int64_t count, const auto& dropped) {
          put_numbers(x + at, numbers_at(x + at, count) + dropped(numbers_at(y + at, count) * factor), count);
        });
      });
}
template void residual_add(float*, const bf16*, float, const Dropout&, const ResidualShape&);
template void residual_add(float*, const fp16*, float, const Dropout&, const ResidualShape&);

#define WEFT_RESIDUAL_OF(T)                                                                                            \
  template void residual_forward(T*, T*, float*, float*, const T*, const T*, const Dropout&, const float*,             \
                                 const float*, float, const ResidualShape&);                                           \
  template void residual_backward(T*, float*, const T*, const Dropout&, const ResidualShape&, float*);                 \
  template void dropout_forward(T*, const T*, const Dropout&, const ResidualShape&);                                   \
  template void residual_add(T*, const T*, float, const Dropout&, const ResidualShape&)
WEFT_FOR_EACH_STORAGE(WEFT_RESIDUAL_OF);

} // namespace weft
