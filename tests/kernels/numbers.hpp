// Random inputs, comparisons that NaN fails, and finite differences. Used by the tests of all operations.
#pragma once
#include "kernels/common/memory.hpp"
#include "kernels/common/types.hpp"
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

namespace weft::testing {

using Doubles = std::vector<double>;

/// The base of a suite that is run for every storage type.
template <class T>
struct StorageTest : ::testing::Test {
  // One rounding to storage per output number; sums are fp32. 2-norm errors of random arrays stay below these.
  static constexpr double limit = std::is_same_v<T, float> ? 3e-6 : std::is_same_v<T, bf16> ? 6e-3 : 8e-4;
};
using StorageTypes = ::testing::Types<float, bf16, fp16>;
#define WEFT_STORAGE_SUITE(Name)                                                                                       \
  template <class T>                                                                                                   \
  struct Name : StorageTest<T> {};                                                                                     \
  TYPED_TEST_SUITE(Name, StorageTypes)

inline Doubles random_doubles(std::int64_t n, unsigned seed, double scale = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, scale);
  Doubles values(static_cast<std::size_t>(n));
  for (double& v : values)
    v = normal(generator);
  return values;
}

/// To the storage type and back, so that only arithmetic is compared.
template <class T>
Doubles rounded(const Doubles& values) {
  Doubles out;
  for (double v : values)
    out.push_back(static_cast<double>(load(store<T>(static_cast<float>(v)))));
  return out;
}

/// Memory where kernels run that holds these numbers.
template <class T>
Buffer<T> buffer_of(const std::vector<T>& values) {
  Buffer<T> buffer(static_cast<std::int64_t>(values.size()), "test");
  copy_to_device(buffer.data(), values.data(), buffer.bytes());
  return buffer;
}

template <class T>
Buffer<T> to_device(const Doubles& values) {
  std::vector<T> host;
  for (double v : values)
    host.push_back(store<T>(static_cast<float>(v)));
  Buffer<T> buffer(static_cast<std::int64_t>(values.size()), "test");
  copy_to_device(buffer.data(), host.data(), buffer.bytes());
  return buffer;
}

template <class T>
Doubles to_doubles(const Buffer<T>& buffer) {
  std::vector<T> host(static_cast<std::size_t>(buffer.size()));
  copy_to_host(host.data(), buffer.data(), buffer.bytes());
  Doubles values;
  for (T v : host)
    values.push_back(static_cast<double>(load(v)));
  return values;
}

/// |a - b| / |b| over whole arrays (2-norms); NaN where either holds one, infinite where the sizes differ.
inline double relative_error(const Doubles& a, const Doubles& b) {
  if (a.size() != b.size() || a.empty())
    return INFINITY;
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / (size > 0 ? size : 1));
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += a[i] * b[i];
  return sum;
}

/// The gradient of f at x by fourth-order central differences.
inline Doubles finite_difference(const std::function<double(const Doubles&)>& f, Doubles x, double h = 1e-3) {
  Doubles gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    const auto f_at = [&](double shift) {
      x[i] = at + shift;
      return f(x);
    };
    gradient[i] = (8 * (f_at(h) - f_at(-h)) - (f_at(2 * h) - f_at(-2 * h))) / (12 * h);
    x[i] = at;
  }
  return gradient;
}

/// The same of f(values) by one of its members.
template <class Values, class Function>
Doubles finite_difference_by(Doubles Values::*member, const Values& values, const Function& f, double h = 1e-3) {
  Values moved = values;
  return finite_difference(
      [&](const Doubles& x) {
        moved.*member = x;
        return static_cast<double>(f(moved));
      },
      values.*member, h);
}

/// Numbers in a storage type.
template <class T>
std::vector<T> as_stored(const Doubles& values) {
  std::vector<T> out;
  for (const double v : values)
    out.push_back(store<T>(static_cast<float>(v)));
  return out;
}

/// Fails on NaN.
inline ::testing::AssertionResult at_most(double error, double limit) {
  if (error <= limit)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "the error is " << error << ", allowed are " << limit << "; ";
}

} // namespace weft::testing

#define EXPECT_AT_MOST(error, limit) EXPECT_TRUE(weft::testing::at_most(error, limit)) << #error << " "
