#include "kernels/lstm/steps.hpp"

namespace weft {

std::int64_t lstm_workspace(const LstmShape& shape) {
  const lstm::Sizes s(shape);
  const std::int64_t forward = s.forward_panels(nullptr).floats() + 3 * s.states();
  const std::int64_t backward = s.backward_panels(nullptr).floats() + (2 + lstm::groups) * s.states();
  return std::max(forward, backward);
}

double lstm_work(const LstmShape& shape) {
  const auto of = [](std::int64_t x) { return static_cast<double>(x); };
  return of(shape.sequences) * of(shape.length) * 2 * 2 * lstm::groups * of(shape.hidden) * of(shape.hidden);
}

void lstm_sequences(std::int32_t* lengths, std::int32_t* order, const std::uint32_t* seen, const LstmShape& shape) {
  const std::int64_t S = shape.sequences, N = shape.length, words = (N + 31) / 32;
  for_each(
      "weft::lstm_lengths", S, KOKKOS_LAMBDA(std::int64_t s) {
        std::int64_t n = N;
        while (seen && n > 0 && (seen[s * words + (n - 1) / 32] >> ((n - 1) % 32) & 1u) == 0)
          --n;
        lengths[s] = static_cast<std::int32_t>(n);
      });
  for_each(
      "weft::lstm_order", S, KOKKOS_LAMBDA(std::int64_t s) {
        std::int64_t place = 0; // behind the longer ones, and those as long that come before
        for (std::int64_t r = 0; r < S; ++r)
          place += lengths[r] > lengths[s] || (lengths[r] == lengths[s] && r < s) ? 1 : 0;
        order[place] = static_cast<std::int32_t>(s);
      });
}

} // namespace weft
