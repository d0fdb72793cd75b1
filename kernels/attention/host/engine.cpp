#include "kernels/attention/host/engine.hpp"
#include "kernels/common/isa.hpp"
#include <stdexcept>

namespace weft {

bool attention_path_runs(AttentionPath path) {
  switch (path) {
  case AttentionPath::best:
  case AttentionPath::portable:
    return true;
  case AttentionPath::avx512:
    return device_is_host && processor_isa() >= Isa::avx512;
  case AttentionPath::avx512_bf16:
    return device_is_host && processor_isa() >= Isa::avx512_bf16;
  default:
    return device_is_host;
  }
}

#ifndef WEFT_CUDA
namespace detail {

namespace {
AttentionPath chosen_path() {
  constexpr AttentionPath paths[] = {AttentionPath::avx2, AttentionPath::avx512, AttentionPath::avx512_bf16};
  return paths[static_cast<int>(attention_isa())];
}

AttentionPath checked(AttentionPath path) {
  if (!attention_path_runs(path))
    throw std::invalid_argument(std::string("attention: the path needs more than this processor has, ") +
                                name(processor_isa()));
  return path == AttentionPath::best ? chosen_path() : path;
}
} // namespace

template <>
const HostTiles<float>& host_tiles<float>(AttentionPath path) {
  switch (checked(path)) {
  case AttentionPath::avx512:
  case AttentionPath::avx512_bf16:
    return host_avx512::fp32_tiles;
  case AttentionPath::avx512_emulated:
  case AttentionPath::avx512_bf16_emulated:
    return host_avx512_emulated::fp32_tiles;
  default:
    return host_avx2::fp32_tiles;
  }
}

template <>
const HostTiles<bf16>& host_tiles<bf16>(AttentionPath path) {
  switch (checked(path)) {
  case AttentionPath::avx512:
    return host_avx512::bf16_tiles;
  case AttentionPath::avx512_bf16:
    return host_avx512_bf16::bf16_tiles;
  case AttentionPath::avx512_emulated:
    return host_avx512_emulated::bf16_tiles;
  case AttentionPath::avx512_bf16_emulated:
    return host_avx512_bf16_emulated::bf16_tiles;
  default:
    return host_avx2::bf16_tiles;
  }
}

/// One version for every processor: fp16 is meant for GPUs, on a host it is there to be tested.
template <>
const HostTiles<fp16>& host_tiles<fp16>(AttentionPath path) {
  checked(path);
  return host_avx2::fp16_tiles;
}

} // namespace detail
#endif

} // namespace weft
