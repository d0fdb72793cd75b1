// Promise: the storage types round to nearest even, keep subnormals, infinities and NaN, and do so alike number by
// number, in vectors, and in integer arithmetic.
#include "kernels/common/numbers.hpp"
#include "kernels/common/types.hpp"
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace weft;

namespace {

/// What the bits mean, from the definition of binary16.
double meaning(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, digits = bits & 0x3ff;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31)
    return digits != 0 ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(digits, -24) : std::ldexp(1024 + digits, exponent - 25));
}

fp16 of_bits(int bits) { return fp16{static_cast<std::uint16_t>(bits)}; }

TEST(Fp16, EveryNumberMeansWhatTheFormatSaysAndComesBack) {
  for (int bits = 0; bits < 65536; ++bits) {
    const fp16 x = of_bits(bits);
    const double want = meaning(x.bits);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(load(x)) && std::isnan(wide_of(x))) << bits;
      ASSERT_TRUE(std::isnan(meaning(store<fp16>(load(x)).bits)) && std::isnan(meaning(narrow_of(load(x)).bits)))
          << bits;
      continue;
    }
    ASSERT_EQ(load(x), want) << bits;
    ASSERT_EQ(wide_of(x), want) << bits;
    ASSERT_EQ(store<fp16>(load(x)).bits, bits);
    ASSERT_EQ(narrow_of(load(x)).bits, bits);
  }
}

TEST(Fp16, WhatLiesBetweenTwoNumbersGoesToTheNearestAndTheMiddleToTheEvenOne) {
  for (int bits = 0; bits < 0x7bff; ++bits) {
    const double low = meaning(of_bits(bits).bits), high = meaning(of_bits(bits + 1).bits);
    const auto middle = static_cast<float>((low + high) / 2);
    const int even = bits % 2 == 0 ? bits : bits + 1;
    for (const int sign : {0, 0x8000}) {
      const auto signed_one = [&](float x) { return sign != 0 ? -x : x; };
      const auto expect = [&](float x, int want) {
        ASSERT_EQ(store<fp16>(signed_one(x)).bits, want | sign) << x;
        ASSERT_EQ(narrow_of(signed_one(x)).bits, want | sign) << x;
      };
      expect(middle, even);
      expect(std::nextafter(middle, 0.0f), bits);
      expect(std::nextafter(middle, 1e9f), bits + 1);
    }
  }
}

TEST(Fp16, TooLargeBecomesInfinityAndTooSmallZero) {
  for (const auto& [x, want] : {std::pair<float, int>{65504, 0x7bff},
                                {std::nextafter(65520.0f, 0.0f), 0x7bff},
                                {65520, 0x7c00},
                                {1e30f, 0x7c00},
                                {INFINITY, 0x7c00},
                                {-70000, 0xfc00},
                                {5.9604645e-8f, 1}, // 2^-24
                                {2.9802322e-8f, 0}, // 2^-25: the middle between 0 and the smallest
                                {2.9802326e-8f, 1},
                                {-1e-30f, 0x8000}}) {
    EXPECT_EQ(store<fp16>(x).bits, want) << x;
    EXPECT_EQ(narrow_of(x).bits, want) << x;
  }
}

/// All lanes of a vector, and the first few of one, get what each number gets alone.
template <class T>
void expect_vectors_as_numbers() {
  std::mt19937 generator(7);
  std::vector<float> values = {0.0f, -0.0f, INFINITY, -INFINITY, 65504, 65519, 65520, 1e30f, 6e-5f, 6e-8f, 2e-8f};
  while (values.size() < 8000)
    values.push_back(
        std::ldexp(static_cast<float>(generator()) / 4294967296.0f - 0.5f, static_cast<int>(generator() % 60) - 40));
  for (std::size_t i = 0; i + number_count <= values.size(); i += number_count)
    for (int count = 1; count <= number_count; ++count) {
      T some[number_count];
      put_numbers(some, numbers_at(values.data() + i, count), count);
      float back[number_count], again[number_count];
      put_numbers(back, numbers_at(some, count), count);
      put_numbers(again, stored<T>(numbers_at(values.data() + i, count)), count);
      for (int v = 0; v < count; ++v) {
        const T want = store<T>(values[i + static_cast<std::size_t>(v)]);
        ASSERT_EQ(some[v].bits, want.bits) << values[i + static_cast<std::size_t>(v)];
        ASSERT_EQ(back[v], load(want));
        ASSERT_EQ(again[v], load(want));
      }
    }
}

TEST(Vectors, StoreAndLoadFp16AsNumbersAreStored) { expect_vectors_as_numbers<fp16>(); }
TEST(Vectors, StoreAndLoadBf16AsNumbersAreStored) { expect_vectors_as_numbers<bf16>(); }

TEST(Vectors, KeepNaNInFp16) {
  const std::vector<float> values(number_count, NAN);
  fp16 narrow[number_count];
  put_numbers(narrow, numbers_at(values.data(), number_count), number_count);
  for (const fp16 x : narrow)
    EXPECT_TRUE(std::isnan(load(x)));
  EXPECT_TRUE(std::isnan(total_of(stored<fp16>(numbers_at(values.data(), number_count)))));
}

} // namespace
