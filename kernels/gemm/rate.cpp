#include "kernels/gemm/rate.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/memory.hpp"
#include <algorithm>
#include <chrono>
#include <vector>

namespace weft {

template <class T>
MatrixRate matrix_rates(const LinearShape& s, double seconds) {
  linear_reserve(linear_workspace_bytes<T>(s));
  Buffer<T> x(s.rows * s.inputs, "rate x"), w(s.inputs * s.outputs, "rate w"), y(s.rows * s.outputs, "rate y");
  device_zero(x.data(), x.bytes());
  device_zero(w.data(), w.bytes());
  linear_forward(s, y.data(), x.data(), w.data(), nullptr);
  fence();
  const auto clock = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  std::vector<double> times;
  for (const double end = clock() + seconds; times.empty() || clock() < end;) {
    const double begin = clock();
    linear_forward(s, y.data(), x.data(), w.data(), nullptr);
    fence();
    times.push_back(clock() - begin);
  }
  std::sort(times.begin(), times.end());
  const double work =
      2.0 * static_cast<double>(s.rows) * static_cast<double>(s.inputs) * static_cast<double>(s.outputs);
  return {work / times.front(), work / times[times.size() / 2]};
}

#define WEFT_RATE_OF(T) template MatrixRate matrix_rates<T>(const LinearShape&, double)
WEFT_FOR_EACH_STORAGE(WEFT_RATE_OF);

} // namespace weft
