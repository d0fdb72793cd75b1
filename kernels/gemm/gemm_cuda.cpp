// Device: cuBLASLt. It counts matrices column by column, so a row-major (M, K) is its (K, M): every product below is
// the transpose of the one in gemm.hpp.
#include "kernels/common/kokkos.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gemm/instances.hpp"
#include <cublasLt.h>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>

namespace weft {
namespace {

void require(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string("cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status));
}

template <class T>
constexpr cudaDataType_t type_of = std::is_same_v<T, float>  ? CUDA_R_32F
                                   : std::is_same_v<T, bf16> ? CUDA_R_16BF
                                                             : CUDA_R_16F;

/// C[m,n] = op(A) op(B), column-major; op transposes where told.
struct Product {
  std::int64_t m, n, k;
  bool a_transposed, b_transposed, bias;
  cudaDataType_t in, out;
  auto key() const { return std::tuple(m, n, k, a_transposed, b_transposed, bias, in, out); }
};

struct Prepared {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

cublasLtHandle_t handle() {
  static const cublasLtHandle_t it = [] {
    cublasLtHandle_t h = nullptr;
    require(cublasLtCreate(&h), "create");
    return h;
  }();
  return it;
}

constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

/// cuBLASLt refuses one that does not begin on 256 bytes; Kokkos puts a header of 128 before what it hands out.
void* workspace() {
  constexpr std::uintptr_t line = 256;
  static void* const it = [] {
    const auto at = reinterpret_cast<std::uintptr_t>(device_allocate(workspace_bytes + line, "cuBLASLt workspace"));
    return reinterpret_cast<void*>((at + line - 1) / line * line);
  }();
  return it;
}

Prepared prepare(const Product& p) {
  Prepared it;
  require(cublasLtMatmulDescCreate(&it.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "operation");
  const cublasOperation_t yes = CUBLAS_OP_T, no = CUBLAS_OP_N;
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    require(cublasLtMatmulDescSetAttribute(it.operation, attribute, &value, sizeof value), "attribute");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, p.a_transposed ? yes : no);
  set(CUBLASLT_MATMUL_DESC_TRANSB, p.b_transposed ? yes : no);
  if (p.bias)
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  const auto layout = [&](cublasLtMatrixLayout_t& to, cudaDataType_t type, std::int64_t rows, std::int64_t columns) {
    require(cublasLtMatrixLayoutCreate(&to, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                       rows),
            "layout");
  };
  layout(it.a, p.in, p.a_transposed ? p.k : p.m, p.a_transposed ? p.m : p.k);
  layout(it.b, p.in, p.b_transposed ? p.n : p.k, p.b_transposed ? p.k : p.n);
  layout(it.c, p.out, p.m, p.n);
  cublasLtMatmulPreference_t preference = nullptr;
  require(cublasLtMatmulPreferenceCreate(&preference), "preference");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    require(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), "preference");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  // It would take 256. Every tensor begins on 16 numbers, of two bytes at least.
  const std::uint32_t alignment = 32;
  for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    prefer(attribute, alignment);
  // Parts of a sum meet in fp32, never in the type of the result.
  const std::uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reduction);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  require(cublasLtMatmulAlgoGetHeuristic(handle(), it.operation, it.a, it.b, it.c, it.c, preference, 1, &found, &count),
          "algorithm");
  cublasLtMatmulPreferenceDestroy(preference);
  if (count == 0)
    throw std::runtime_error("cuBLASLt has no algorithm for a product of " + std::to_string(p.m) + " x " +
                             std::to_string(p.k) + " x " + std::to_string(p.n));
  it.algorithm = found.algo;
  return it;
}

/// beta: what C is multiplied by before the product is added to it.
void multiply(const Product& p, const void* a, const void* b, const float* bias, void* c, float beta = 0) {
  static std::map<decltype(p.key()), Prepared> known;
  auto found = known.find(p.key());
  if (found == known.end())
    found = known.emplace(p.key(), prepare(p)).first;
  const Prepared& it = found->second;
  if (p.bias)
    require(cublasLtMatmulDescSetAttribute(it.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
            "bias");
  const float one = 1;
  require(cublasLtMatmul(handle(), it.operation, &one, a, it.a, b, it.b, &beta, c, it.c, c, it.c, &it.algorithm,
                         workspace(), workspace_bytes, Space().cuda_stream()),
          "product");
}

template <class Out>
void add_bias(Out* y, const float* b, std::int64_t rows, std::int64_t columns) {
  for_each(
      "weft::add_bias", rows * columns,
      KOKKOS_LAMBDA(std::int64_t i) { y[i] = store<Out>(load(y[i]) + b[i % columns]); });
}

} // namespace

template <class T, class Out>
void linear_forward(const LinearShape& s, Out* y, const T* x, const T* w, const float* b) {
  const TimedRegion timed(&RegionSeconds::products);
  // The library adds an fp32 bias only to an fp32 result.
  const bool fused = b && std::is_same_v<T, float>;
  multiply({s.outputs, s.rows, s.inputs, false, false, fused, type_of<T>, type_of<Out>}, w, x, b, y);
  if (b && !fused)
    add_bias(y, b, s.rows, s.outputs);
}

template <class T, class Out>
void linear_backward_input(const LinearShape& s, Out* dx, const T* dy, const T* w) {
  const TimedRegion timed(&RegionSeconds::products);
  multiply({s.inputs, s.rows, s.outputs, true, false, false, type_of<T>, type_of<Out>}, w, dy, nullptr, dx);
}

template <class T>
void linear_backward_weight(const LinearShape& s, float* dw, const T* x, const T* dy, Into into) {
  const TimedRegion timed(&RegionSeconds::products);
  multiply({s.outputs, s.inputs, s.rows, false, true, false, type_of<T>, CUDA_R_32F}, dy, x, nullptr, dw,
           into == Into::add ? 1.0f : 0.0f);
}

template <class T>
std::size_t linear_workspace_bytes(const LinearShape&) {
  return workspace_bytes;
}

void linear_reserve(std::size_t) { workspace(); }

WEFT_LINEAR_INSTANCES;

} // namespace weft
