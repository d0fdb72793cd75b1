// Promise: products of tiles have the same bits for every instruction set, those of a chain of fused multiply-adds, and
// write nothing behind the last group of eight columns.
#ifndef WEFT_CUDA
#include "kernels/common/isa.hpp"
#define WEFT_PRODUCTS host_avx512_emulated
#define WEFT_PRODUCT_LANES 16
#include "kernels/common/host_product.hpp"
#include "tests/kernels/support.hpp"
#include <cmath>
#include <functional>

using namespace weft;
using tiles::HostProduct;
using tiles::Sum;

namespace {

struct Shape {
  std::int64_t rows, columns, depth;
};

/// One product between sentinels, a by rows or by columns.
struct Product {
  Shape shape;
  std::int64_t ld_out, ld_b, row, step;
  std::vector<float> a, b, before;
  bool add;
  Sum sum;

  Product(const Shape& of, bool turned, bool adds, Sum which)
      : shape(of), ld_out((of.columns + 7) / 8 * 8 + 8), ld_b(ld_out + 8), row(turned ? 1 : of.depth + 3),
        step(turned ? of.rows + 1 : 1), add(adds), sum(which) {
    const auto numbers = [](std::int64_t n, unsigned seed) {
      return test::stored<float>(test::random_normal(static_cast<std::size_t>(n), seed));
    };
    a = numbers((shape.rows + 1) * (shape.depth + 3), 1);
    b = numbers(std::max<std::int64_t>(1, shape.depth) * ld_b, 2);
    before = numbers(shape.rows * ld_out, 3);
  }
  std::vector<float> run(void (*product)(const HostProduct&)) const {
    std::vector<float> out = before;
    product(
        {out.data(), ld_out, shape.rows, shape.columns, a.data(), row, step, shape.depth, b.data(), ld_b, add, sum});
    return out;
  }
  std::vector<float> plain() const {
    std::vector<float> out = before;
    for (std::int64_t i = 0; i < shape.rows; ++i)
      for (std::int64_t j = 0; j < (shape.columns + 7) / 8 * 8; ++j) {
        float& to = out[static_cast<std::size_t>(i * ld_out + j)];
        float s = add ? to : 0.0f;
        for (std::int64_t p = 0; p < shape.depth; ++p)
          if (sum == Sum::all || (sum == Sum::up_to_row ? p <= i : p >= i))
            s = std::fma(a[static_cast<std::size_t>(i * row + p * step)], b[static_cast<std::size_t>(p * ld_b + j)], s);
        to = s;
      }
    return out;
  }
};

void for_products(const std::function<void(const Product&)>& body) {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{8, 64, 64}, Shape{9, 40, 33}, Shape{3, 7, 5}, Shape{13, 48, 13},
                             Shape{2, 80, 4}, Shape{31, 17, 40}, Shape{40, 96, 20}, Shape{6, 8, 0}, Shape{7, 129, 3}})
    for (const bool turned : {false, true})
      for (const bool add : {false, true})
        for (const Sum sum : {Sum::all, Sum::up_to_row, Sum::from_row}) {
          SCOPED_TRACE(testing::Message()
                       << shape.rows << " x " << shape.columns << " x " << shape.depth << (turned ? ", turned" : "")
                       << (add ? ", added" : "") << ", sum " << static_cast<int>(sum));
          body(Product(shape, turned, add, sum));
        }
}

TEST(HostProduct, IsAChainOfFusedMultiplyAdds) {
  for_products([](const Product& p) { EXPECT_TRUE(test::same_bits(p.run(tiles::host_avx2::product), p.plain())); });
}
TEST(HostProduct, SixteenLanesHaveTheSameBits) {
  for_products(
      [](const Product& p) { EXPECT_TRUE(test::same_bits(p.run(tiles::host_avx512_emulated::product), p.plain())); });
}
TEST(HostProduct, Avx512HasTheSameBits) {
  if (processor_isa() < Isa::avx512)
    GTEST_SKIP() << "SKIPPED: this processor has no AVX-512";
  for_products([](const Product& p) { EXPECT_TRUE(test::same_bits(p.run(tiles::host_avx512::product), p.plain())); });
}

} // namespace
#endif
