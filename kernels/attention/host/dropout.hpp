// The dropout mask of one tile on a host: one version for every instruction set, so that the bits cannot differ.
#pragma once
#include "kernels/attention/attention_tables.hpp"

namespace weft::detail {

enum class KeepBits { by_query, by_key };

/// keep[32]: bit s of keep[r] says that dropout keeps the weight of query slot r and key slot s; by_key: bit r of
/// keep[s]. `seen`: per query the keys that are seen, null for all; queries that see none get 0 instead of their bits.
/// Bits of slots without a position (-1) mean nothing.
void dropout_bits(std::uint32_t* keep, KeepBits order, const Widening& widening, std::int64_t b, int h,
                  const int* query_positions, const int* key_positions, const std::uint32_t* seen);

} // namespace weft::detail
