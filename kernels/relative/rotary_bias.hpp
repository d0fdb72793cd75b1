// MEGA's rotary bias (Ma et al. 2023, arXiv:2209.10655, section 3.4; Su et al. 2021, arXiv:2104.09864): two vectors a
// and b of width Z, turned by the positions of query and key, and their product, which depends on the distance alone:
//   t_d = R_i a . R_{i+d} b = sum over e < Z/2 of (a_e b_e + a'_e b'_e) cos(d w_e) - (a_e b'_e - a'_e b_e) sin(d w_e),
//   w_e = 10000^(-2 e / Z)
// a'_e = a_{e + Z/2}: halves are turned against each other. Angles and sums are double: d w_e may be large.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct RotaryBias {
  std::int64_t reach; ///< M: distances -(M - 1) .. M - 1
  std::int64_t width; ///< Z, even
};

/// Overwrites bias [2 M - 1], as kernels/relative/relative_scores.hpp and kernels/pointwise_attention have it.
void rotary_bias_forward(const RotaryBias& shape, float* bias, const float* a, const float* b);

/// Overwrites da, db [Z].
void rotary_bias_backward(const RotaryBias& shape, float* da, float* db, const float* dbias, const float* a,
                          const float* b);

namespace reference {
/// By turning both vectors.
void rotary_bias_forward(const RotaryBias& shape, double* bias, const double* a, const double* b);
void rotary_bias_backward(const RotaryBias& shape, double* da, double* db, const double* dbias, const double* a,
                          const double* b);
} // namespace reference

} // namespace weft
