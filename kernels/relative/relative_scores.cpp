#include "kernels/relative/relative_scores.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

void relative_scores_forward(const RelativeScores& shape, float* table, const float* bias) {
  const std::int64_t N = shape.length, M = shape.reach, C = shape.stride();
  for_each_range(
      "weft::relative_scores_forward", N * C, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end; ++at) {
          const std::int64_t i = at / C, first = i / C * C, apart = first + at % C - i;
          if (first + at % C < N)
            table[at + first] = apart < M && -apart < M ? bias[M - 1 + apart] : 0.0f;
        }
      });
}

void relative_scores_backward(const RelativeScores& shape, float* dbias, const float* dtable) {
  const std::int64_t N = shape.length, M = shape.reach, C = shape.stride();
  const std::int64_t all = 2 * M - 1, strips = (all + strip_width - 1) / strip_width;
  // A task has neighbouring diagonals: row after row it adds what lies side by side.
  for_each(
      "weft::relative_scores_backward", strips, KOKKOS_LAMBDA(std::int64_t strip) {
        const std::int64_t first = strip * strip_width;
        const std::int64_t last = first + strip_width < all ? first + strip_width : all;
        float sums[strip_width] = {};
        for (std::int64_t i = 0; i < N; ++i) {
          const std::int64_t left = i - (M - 1) + first, right = i - (M - 1) + last; // columns of the strip
          const std::int64_t low = i / C * C, high = low + C < N ? low + C : N;      // of the chunk
          const std::int64_t begin = left < low ? low - left : 0;
          const std::int64_t end = right > high ? last - first - (right - high) : last - first;
          const float* row = dtable + i * C + left;
          for (std::int64_t d = begin; d < end; ++d)
            sums[d] += row[d];
        }
        for (std::int64_t d = first; d < last; ++d)
          dbias[d] = sums[d - first];
      });
}

} // namespace weft
