// The tile functions of a host core, once per instruction set; kernels/attention/host/engine.hpp chooses.
#pragma once
#include "kernels/attention/attention_tables.hpp"

namespace weft::detail {

template <class T>
struct HostTiles {
  /// Query tile t of head h of sequence b, through the key tiles of pass call.pass.
  void (*forward)(const ForwardCall<T>& call, std::int64_t b, int h, int t);
  /// Key tile kt of part call.part of head h against its query tiles in [first_query, end_query).
  void (*backward)(const BackwardCall<T>& call, const PartTables& part, std::int64_t b, int h, int kt, int first_query,
                   int end_query);
};

namespace host_avx2 {
extern const HostTiles<float> fp32_tiles;
extern const HostTiles<bf16> bf16_tiles;
extern const HostTiles<fp16> fp16_tiles;
} // namespace host_avx2
namespace host_avx512 {
extern const HostTiles<float> fp32_tiles;
extern const HostTiles<bf16> bf16_tiles;
} // namespace host_avx512
namespace host_avx512_bf16 {
extern const HostTiles<bf16> bf16_tiles;
} // namespace host_avx512_bf16

// The same sources as the last two, compiled for AVX2.
namespace host_avx512_emulated {
extern const HostTiles<float> fp32_tiles;
extern const HostTiles<bf16> bf16_tiles;
} // namespace host_avx512_emulated
namespace host_avx512_bf16_emulated {
extern const HostTiles<bf16> bf16_tiles;
} // namespace host_avx512_bf16_emulated

} // namespace weft::detail
