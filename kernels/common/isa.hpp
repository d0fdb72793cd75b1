// The instruction set that host kernels with more than one version use, and the matrix library with them.
#pragma once
#include <string>

namespace weft {

/// Each one contains those before it. avx512: F, BW, CD, DQ and VL (x86-64-v4); avx512_bf16: with AVX512-BF16.
enum class Isa { avx2, avx512, avx512_bf16 };

const char* name(Isa isa); ///< "avx2", "avx512", "avx512_bf16"

/// The most that this processor and its operating system offer.
Isa processor_isa();

/// What decides between them.
struct Processor {
  Isa most;
  bool intel; ///< whose vdpbf16ps is slower than converting to fp32
  bool tiles; ///< AMX for bf16
};
Processor this_processor();

/// What "best" means: the fastest. Converting bf16 to fp32 beats vdpbf16ps on Intel's processors (docs/performance.md);
/// the matrix library's products are left to AMX where there is one.
Isa best_for_attention(const Processor& it);
Isa best_for_products(const Processor& it);

/// Chooses "best" or one by name, for the whole process: once, before the first kernel (a later call with the same name
/// is fine). "best" leaves the matrix library free to use more, such as AMX. Throws std::invalid_argument, in words for
/// the user, if there is no such name or the processor lacks it, and std::logic_error if another one is in use.
void choose_isa(const std::string& wanted);

/// What was chosen, for attention and products of tiles, and for the matrix library (one unless "best" means two);
/// before choose_isa, the best.
Isa attention_isa();
Isa product_isa();

} // namespace weft
