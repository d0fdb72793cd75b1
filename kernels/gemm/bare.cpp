#ifndef WEFT_CUDA
#include "kernels/gemm/bare.hpp"
#include "kernels/common/isa.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/types.hpp"
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <type_traits>
#include <vector>

namespace weft {
namespace {

using Type = dnnl::memory::data_type;

/// One product with what it needs; the functions that run it share it.
struct Bare {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  Buffer<unsigned char> a, b, c;
  dnnl::matmul primitive;
  std::unordered_map<int, dnnl::memory> arguments;
};

Buffer<unsigned char> ones(std::int64_t n, Type type) {
  const std::size_t cell = type == Type::f32 ? sizeof(float) : sizeof(bf16);
  Buffer<unsigned char> out(n * static_cast<std::int64_t>(cell), "bare product");
  if (type == Type::f32) {
    const std::vector<float> values(static_cast<std::size_t>(n), 1.0f);
    copy_to_device(out.data(), values.data(), out.bytes());
  } else {
    const std::vector<bf16> values(static_cast<std::size_t>(n), store<bf16>(1.0f));
    copy_to_device(out.data(), values.data(), out.bytes());
  }
  return out;
}

} // namespace

template <class T, class Out>
std::function<void()> bare_product(std::int64_t m, std::int64_t n, std::int64_t k) {
  const bool wide = std::is_same_v<T, float> || product_isa() < Isa::avx512_bf16;
  const Type in = wide ? Type::f32 : Type::bf16, out = wide || std::is_same_v<Out, float> ? Type::f32 : Type::bf16;
  auto it = std::make_shared<Bare>();
  it->a = ones(m * k, in);
  it->b = ones(k * n, in);
  it->c = ones(m * n, out);
  const auto row_major = dnnl::memory::format_tag::ab;
  const dnnl::memory::desc a({m, k}, in, row_major), b({k, n}, in, row_major), c({m, n}, out, row_major);
  it->primitive = dnnl::matmul({dnnl::matmul::desc(a, b, c), it->engine});
  it->arguments = {{DNNL_ARG_SRC, {a, it->engine, it->a.data()}},
                   {DNNL_ARG_WEIGHTS, {b, it->engine, it->b.data()}},
                   {DNNL_ARG_DST, {c, it->engine, it->c.data()}}};
  return [it] {
    it->primitive.execute(it->stream, it->arguments);
    it->stream.wait();
  };
}

template std::function<void()> bare_product<float, float>(std::int64_t, std::int64_t, std::int64_t);
template std::function<void()> bare_product<bf16, bf16>(std::int64_t, std::int64_t, std::int64_t);
template std::function<void()> bare_product<bf16, float>(std::int64_t, std::int64_t, std::int64_t);

} // namespace weft
#endif
