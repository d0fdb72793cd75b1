// The instruction set that host kernels with more than one version use, and the matrix library with them.
#pragma once
#include <string>

namespace weft {

/// Each one contains those before it. avx512: F, BW, CD, DQ and VL (x86-64-v4); avx512_bf16: with AVX512-BF16.
enum class Isa { avx2, avx512, avx512_bf16 };

const char* name(Isa isa); ///< "avx2", "avx512", "avx512_bf16"

/// The best that this processor and its operating system offer.
Isa processor_isa();

/// Chooses "best" or one by name, for the whole process: once, before the first kernel (a later call with the same name
/// is fine). "best" leaves the matrix library free to use more, such as AMX. Throws std::invalid_argument, in words for
/// the user, if there is no such name or the processor lacks it, and std::logic_error if another one is in use.
void choose_isa(const std::string& wanted);

/// What was chosen; before choose_isa, the best.
Isa chosen_isa();

} // namespace weft
