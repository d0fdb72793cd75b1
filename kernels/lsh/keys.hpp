// Keys of shared query/key attention (Kitaev et al. 2020, section 2): one projection gives q, and the key of a position
// is made of its query. Three conventions are in use, which differ by a factor of the scores:
//   unit   k = q / |q|                           score q . k / sqrt(E)   (0 where |q| <= 1e-12)
//   trax   k = q / sqrt(|q|^2 + 1e-6 E)          score q . k
//   raw    k = q                                 score q . k / sqrt(E)
// The score's factor is the caller's. A gradient by k joins that of q through the derivative of the above:
//   unit   dq += (dk - k (k . dk)) / |q|
//   trax   dq += (dk - k (k . dk)) / sqrt(|q|^2 + 1e-6 E)
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"

namespace weft {

enum class SharedKeys { unit, trax, raw };

/// Overwrites k[B, N, H, E] from q; both with the strides of `shape`.
template <class T>
void shared_keys_forward(SharedKeys kind, const AttentionShape& shape, T* k, const T* q);

/// Overwrites dq[B, N, H, E] and dv[B, N, H, Ev] of type T, with the strides of `shape`, from the fp32 gradients by q,
/// k and v without gaps.
template <class T>
void shared_keys_backward(SharedKeys kind, const AttentionShape& shape, T* dq, T* dv, const float* dq_part,
                          const float* dk_part, const float* dv_part, const T* q);

namespace reference {
/// Rows of E numbers, without gaps.
void shared_keys_forward(SharedKeys kind, double* k, const double* q, std::int64_t rows, std::int64_t width);
/// Adds to dq.
void shared_keys_backward(SharedKeys kind, double* dq, const double* dk, const double* q, std::int64_t rows,
                          std::int64_t width);
} // namespace reference

} // namespace weft
