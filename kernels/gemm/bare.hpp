// What a matrix product takes in the bought library alone: the judge of gemm.hpp's speed. Not in a CUDA build, where
// gemm.hpp is a bare cuBLASLt product as it stands.
#pragma once
#include <cstdint>
#include <functional>

namespace weft {

/// A function that computes C[m,n] = A[m,k] B[k,n] over and over, with operands of its own (ones): oneDNN's matmul as
/// its user writes it down first, all matrices row-major, nothing fused, nothing packed beforehand; prepared here, run
/// there. T: storage of A and B, Out: of C. Where the processor cannot multiply bfloat16 the operands are fp32, not
/// converted: the most that the library gives there.
template <class T, class Out>
std::function<void()> bare_product(std::int64_t m, std::int64_t n, std::int64_t k);

} // namespace weft
