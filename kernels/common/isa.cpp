#include "kernels/common/isa.hpp"
#ifndef WEFT_CUDA
#include <oneapi/dnnl/dnnl.hpp>
#endif
#include <algorithm>
#include <stdexcept>

namespace weft {

namespace {

/// What choose_isa was called with; empty: not yet.
std::string& wanted_name() {
  static std::string it;
  return it;
}

struct Chosen {
  Isa attention, products;
};
Chosen& chosen() {
  static Chosen it{best_for_attention(this_processor()), best_for_products(this_processor())};
  return it;
}

/// Keeps the matrix library within the instruction set: its first product settles the matter.
void limit_library([[maybe_unused]] Isa isa) {
#ifndef WEFT_CUDA
  constexpr dnnl::cpu_isa limits[] = {dnnl::cpu_isa::avx2, dnnl::cpu_isa::avx512_core, dnnl::cpu_isa::avx512_core_bf16};
  if (dnnl::set_max_cpu_isa(limits[static_cast<int>(isa)]) == dnnl::status::invalid_arguments)
    throw std::logic_error("choose_isa: the matrix library has multiplied before");
#endif
}

} // namespace

const char* name(Isa isa) {
  constexpr const char* names[] = {"avx2", "avx512", "avx512_bf16"};
  return names[static_cast<int>(isa)];
}

Isa processor_isa() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
    return Isa::avx2;
  return __builtin_cpu_supports("avx512bf16") ? Isa::avx512_bf16 : Isa::avx512;
}

Processor this_processor() {
  __builtin_cpu_init();
  return {processor_isa(), __builtin_cpu_is("intel") != 0,
          __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16")};
}

Isa best_for_attention(const Processor& it) { return it.intel ? std::min(it.most, Isa::avx512) : it.most; }
Isa best_for_products(const Processor& it) { return it.tiles ? it.most : best_for_attention(it); }

void choose_isa(const std::string& wanted) {
  if (!wanted_name().empty()) {
    if (wanted_name() != wanted)
      throw std::logic_error("choose_isa: got \"" + wanted + "\", but \"" + wanted_name() + "\" is in use");
    return;
  }
  if (wanted != "best") {
    const Isa best = processor_isa();
    Isa isa = best;
    bool known = false;
    for (const Isa one : {Isa::avx2, Isa::avx512, Isa::avx512_bf16})
      if (wanted == name(one)) {
        isa = one;
        known = true;
      }
    if (!known)
      throw std::invalid_argument("got \"" + wanted + "\", expected best, avx2, avx512 or avx512_bf16");
    if (isa > best)
      throw std::invalid_argument("got \"" + wanted + "\", but the best that this processor has is " + name(best) +
                                  "; set it to \"best\" or to \"" + name(best) + "\", or run on another machine");
    limit_library(isa);
    chosen() = {isa, isa};
  }
  wanted_name() = wanted;
}

Isa attention_isa() { return chosen().attention; }
Isa product_isa() { return chosen().products; }

} // namespace weft
