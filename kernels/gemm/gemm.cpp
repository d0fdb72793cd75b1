// Host: oneDNN matmul. Primitives are made once per shape and kept.
#ifndef WEFT_CUDA
#include "kernels/gemm/gemm.hpp"
#include "kernels/common/isa.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/gemm/instances.hpp"
#include "kernels/sum/sum.hpp"
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <tuple>
#include <type_traits>

namespace weft {
namespace {

using Type = dnnl::memory::data_type;
template <class T>
constexpr Type type_of = std::is_same_v<T, float>  ? Type::f32
                         : std::is_same_v<T, bf16> ? Type::bf16
                                                   : Type::f16;

/// C[m,n] = A[m,k] B[k,n] (+ bias[n]), A or B possibly stored transposed; added: C += that.
struct Product {
  std::int64_t m, n, k;
  bool a_transposed, b_transposed, bias;
  Type in, out;
  bool added = false;
  auto key() const { return std::tuple(m, n, k, a_transposed, b_transposed, bias, in, out, added); }
};

struct Prepared {
  dnnl::matmul primitive;
  dnnl::memory a, b, c, bias;
};

const dnnl::engine& engine() {
  static const dnnl::engine it(dnnl::engine::kind::cpu, 0);
  return it;
}

dnnl::memory::desc matrix(std::int64_t rows, std::int64_t columns, bool transposed, Type type) {
  return {{rows, columns}, type, transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, 1}};
}

Prepared prepare(const Product& p) {
  const auto a = matrix(p.m, p.k, p.a_transposed, p.in), b = matrix(p.k, p.n, p.b_transposed, p.in),
             c = matrix(p.m, p.n, false, p.out), bias = matrix(1, p.n, false, Type::f32);
  const auto op = p.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
  dnnl::primitive_attr attributes;
  if (p.added) {
    dnnl::post_ops after;
    after.append_sum(1.0f);
    attributes.set_post_ops(after);
  }
  Prepared it{dnnl::matmul({op, attributes, engine()}),
              {a, engine(), nullptr},
              {b, engine(), nullptr},
              {c, engine(), nullptr},
              {bias, engine(), nullptr}};
  return it;
}

void multiply(const Product& p, const void* a, const void* b, const float* bias, void* c) {
  static std::map<decltype(p.key()), Prepared> known;
  static dnnl::stream stream(engine());
  auto found = known.find(p.key());
  if (found == known.end())
    found = known.emplace(p.key(), prepare(p)).first;
  Prepared& it = found->second;
  it.a.set_data_handle(const_cast<void*>(a));
  it.b.set_data_handle(const_cast<void*>(b));
  it.c.set_data_handle(c);
  std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, it.a}, {DNNL_ARG_WEIGHTS, it.b}, {DNNL_ARG_DST, it.c}};
  if (p.bias) {
    it.bias.set_data_handle(const_cast<float*>(bias));
    arguments.emplace(DNNL_ARG_BIAS, it.bias);
  }
  it.primitive.execute(stream, arguments);
  stream.wait();
}

Buffer<float>& scratch() {
  static Buffer<float> it;
  return it;
}

/// oneDNN multiplies bfloat16 everywhere, but in plain loops where the processor cannot, and binary16 nowhere: there we
/// convert to fp32.
template <class T>
bool converts() {
  return std::is_same_v<T, fp16> || (std::is_same_v<T, bf16> && product_isa() < Isa::avx512_bf16);
}

/// oneDNN's products for AVX2 read x by columns for the weights' gradient, and where x has more columns than dy that
/// takes up to twice as long as making the gradient's transpose, which reads dy by columns.
bool gradient_by_transpose(const LinearShape& s) { return product_isa() == Isa::avx2 && s.inputs > s.outputs; }

/// to[n, m] = from[m, n] transposed, or to += that
void transpose(float* to, const float* from, std::int64_t m, std::int64_t n, Into into) {
  constexpr std::int64_t side = 32;
  const std::int64_t down = (m + side - 1) / side, across = (n + side - 1) / side;
  for_each(
      "weft::transpose", down * across, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t i0 = task / across * side, j0 = task % across * side;
        const std::int64_t i1 = i0 + side < m ? i0 + side : m, j1 = j0 + side < n ? j0 + side : n;
        for (std::int64_t j = j0; j < j1; ++j)
          for (std::int64_t i = i0; i < i1; ++i)
            to[j * m + i] = into == Into::add ? to[j * m + i] + from[i * n + j] : from[i * n + j];
      });
}

template <class T, class Out>
void multiply_as(const Product& wanted, const T* a, const T* b, const float* bias, Out* c) {
  if constexpr (std::is_same_v<T, float>) {
    multiply(wanted, a, b, bias, c);
  } else {
    if (!converts<T>())
      return multiply(wanted, a, b, bias, c);
    const std::int64_t na = wanted.m * wanted.k, nb = wanted.k * wanted.n, nc = wanted.m * wanted.n;
    if (scratch().size() < na + nb + nc)
      throw std::logic_error("linear_reserve was not called with the workspace that this product needs");
    float *wide_a = scratch().data(), *wide_b = wide_a + na, *wide_c = wide_b + nb;
    convert(wide_a, a, na);
    convert(wide_b, b, nb);
    Product wide = wanted;
    wide.in = wide.out = Type::f32;
    if constexpr (std::is_same_v<Out, float>) {
      multiply(wide, wide_a, wide_b, bias, c);
    } else {
      multiply(wide, wide_a, wide_b, bias, wide_c);
      convert(c, wide_c, nc);
    }
  }
}

} // namespace

template <class T, class Out>
void linear_forward(const LinearShape& s, Out* y, const T* x, const T* w, const float* b) {
  const TimedRegion timed(&RegionSeconds::products);
  multiply_as<T>({s.rows, s.outputs, s.inputs, false, false, b != nullptr, type_of<T>, type_of<Out>}, x, w, b, y);
}

template <class T, class Out>
void linear_backward_input(const LinearShape& s, Out* dx, const T* dy, const T* w) {
  const TimedRegion timed(&RegionSeconds::products);
  multiply_as<T>({s.rows, s.inputs, s.outputs, false, true, false, type_of<T>, type_of<Out>}, dy, w, nullptr, dx);
}

template <class T>
void linear_backward_weight(const LinearShape& s, float* dw, const T* x, const T* dy, Into into) {
  const TimedRegion timed(&RegionSeconds::products);
  if (!gradient_by_transpose(s))
    return multiply_as<T>({s.inputs, s.outputs, s.rows, true, false, false, type_of<T>, Type::f32, into == Into::add},
                          x, dy, nullptr, dw);
  const std::int64_t n = s.inputs * s.outputs;
  if (scratch().size() < n)
    throw std::logic_error("linear_reserve was not called with the workspace that this product needs");
  float* const transposed = scratch().data() + scratch().size() - n; // behind what a conversion takes
  multiply_as<T>({s.outputs, s.inputs, s.rows, true, false, false, type_of<T>, Type::f32}, dy, x, nullptr, transposed);
  transpose(dw, transposed, s.outputs, s.inputs, into);
}

template <class T>
std::size_t linear_workspace_bytes(const LinearShape& s) {
  const std::int64_t transposed = gradient_by_transpose(s) ? s.inputs * s.outputs : 0;
  const std::int64_t converted = converts<T>() ? s.rows * s.inputs + s.inputs * s.outputs + s.rows * s.outputs : 0;
  return sizeof(float) * static_cast<std::size_t>(transposed + converted);
}

void linear_reserve(std::size_t bytes) {
  if (bytes <= scratch().bytes())
    return;
  if (scratch().size() == 0)
    at_runtime_end([] { scratch() = Buffer<float>(); });
  scratch() = Buffer<float>(static_cast<std::int64_t>(bytes / sizeof(float)), "gemm scratch");
}

WEFT_LINEAR_INSTANCES;

} // namespace weft
#endif
