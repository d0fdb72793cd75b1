// What the kernel tests share: random arrays, arrays with guarded surroundings where the kernels run, comparers.
#pragma once
#include "kernels/common/memory.hpp"
#include "kernels/common/types.hpp"
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace weft::test {

/// Normal numbers, the same on every machine: sums of twelve uniform ones from the generator's raw output.
inline std::vector<double> random_normal(std::size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<double> x(n);
  for (double& value : x) {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += generator() / 4294967296.0;
    value = sum;
  }
  return x;
}

/// Rounded to the storage type, as storage and as double.
template <class T>
std::vector<T> stored(const std::vector<double>& x) {
  std::vector<T> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    result[i] = store<T>(static_cast<float>(x[i]));
  return result;
}
template <class T>
std::vector<double> widened(const std::vector<T>& x) {
  std::vector<double> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    result[i] = load(x[i]);
  return result;
}
template <class T>
std::vector<double> rounded(const std::vector<double>& x) {
  return widened(stored<T>(x));
}

/// An array where the kernels run, with guard elements before and after it that nobody may touch.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t n) : Guarded(std::vector<T>(n, sentinel())) {}
  explicit Guarded(const std::vector<T>& values)
      : n_(values.size()), memory_(static_cast<std::int64_t>(values.size() + 2 * guard), "test") {
    std::vector<T> all(n_ + 2 * guard, sentinel());
    if (n_ > 0)
      std::memcpy(all.data() + guard, values.data(), n_ * sizeof(T));
    copy_to_device(memory_.data(), all.data(), all.size() * sizeof(T));
  }
  T* data() { return memory_.data() + guard; }
  std::size_t size() const { return n_; }
  std::vector<T> get() const {
    std::vector<T> values = all();
    return std::vector<T>(values.begin() + guard, values.end() - guard);
  }
  bool guards_survive() const {
    const std::vector<T> values = all();
    for (std::size_t i = 0; i < guard; ++i)
      if (!is_sentinel(values[i]) || !is_sentinel(values[values.size() - 1 - i]))
        return false;
    return true;
  }
  /// A value that no kernel computes; new arrays are full of it.
  static T sentinel() { return store<T>(std::is_same_v<T, fp16> ? -54321.0f : -1.2345678e33f); }
  static bool is_sentinel(T x) {
    const T expected = sentinel();
    return std::memcmp(&x, &expected, sizeof x) == 0;
  }

 private:
  static constexpr std::size_t guard = 64;
  std::vector<T> all() const {
    fence();
    std::vector<T> values(n_ + 2 * guard);
    copy_to_host(values.data(), memory_.data(), values.size() * sizeof(T));
    return values;
  }
  std::size_t n_;
  Buffer<T> memory_;
};

/// max |x|; NaN if any is NaN.
inline double largest(const std::vector<double>& x) {
  double result = 0;
  for (const double value : x)
    if (!(std::fabs(value) <= result)) // also true for NaN
      result = std::isnan(result) ? result : std::fabs(value);
  return result;
}

/// max |got - want| over whole arrays; equal infinities count as equal; NaN if a difference is NaN, infinity if the
/// sizes differ. Compare with !(error <= limit), which rejects NaN.
inline double difference(const std::vector<double>& got, const std::vector<double>& want) {
  if (got.size() != want.size())
    return std::numeric_limits<double>::infinity();
  std::vector<double> errors(got.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    errors[i] = std::isinf(want[i]) && got[i] == want[i] ? 0.0 : got[i] - want[i];
  return largest(errors);
}

/// difference / max |want|.
inline double relative_difference(const std::vector<double>& got, const std::vector<double>& want) {
  const double scale = largest(want), error = difference(got, want);
  return error == 0 ? 0 : error / scale;
}

/// Whether two arrays of the same type hold the same bits.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

} // namespace weft::test
