// The sets in which the Long Range Arena's released code lets positions see each other for Local and for Sinkhorn
// attention (models/local, models/sinkhorn_transformer). It means blocks of b positions side by side, but lays N' of
// them out as (b, C), C = N' / b: position t belongs to set t mod C, as slot t div C of it. The padding mask is laid
// out as (C, b), as was meant. So slot s of set c is real where position c b + s is:
//   bit t of the keys = seen[(t mod C) b + t div C]
// Positions from N to N' - 1, zero vectors behind the sequence, count as real there.
// A query whose slot is not real has uniform weights over its whole set (padded_rows.hpp).
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct ReleasedSets {
  std::int64_t length;                                ///< N
  std::int64_t block;                                 ///< b
  std::int64_t sets;                                  ///< C
  std::int64_t whole() const { return sets * block; } ///< N'

  /// Local: filled up with 1 to b positions, a whole block where N is a multiple of b.
  static ReleasedSets with_tail(std::int64_t length, std::int64_t block) { return {length, block, length / block + 1}; }
  /// Sinkhorn: b divides N, and nothing is filled up.
  static ReleasedSets without_tail(std::int64_t length, std::int64_t block) { return {length, block, length / block}; }
};

/// Overwrites bits (S, ceil(N' / 32)), those behind N' with 0, from seen (S, ceil(N / 32)).
void released_set_bits(std::uint32_t* bits, const std::uint32_t* seen, std::int64_t sequences,
                       const ReleasedSets& sets);

namespace reference {

/// Rows of `sequences` sequences, dense: q, k (S, N, H, E); v, out (S, N, H, Ev).
struct ReleasedLocal {
  std::int64_t sequences, heads, key_width, value_width;
  ReleasedSets sets;
};
/// Overwrites out. seen as above; null: all are real.
void released_local_forward(const ReleasedLocal& a, double* out, const double* q, const double* k, const double* v,
                            const std::uint32_t* seen);
/// Overwrites dq, dk, dv: the derivative of what forward computes, uniform rows being constant.
void released_local_backward(const ReleasedLocal& a, double* dq, double* dk, double* dv, const double* dout,
                             const double* q, const double* k, const double* v, const std::uint32_t* seen);

} // namespace reference

} // namespace weft
