// Cross-entropy and the mean distance from the true class, for classes 0 .. V-1 that are numbers on a line, with the
// gradient in the same pass:
//   p_i = softmax(z_i),   d_iv = |v - target_i| / (V - 1),   e_i = sum_v p_iv d_iv
//   loss_i = share_i * (-log p_i,target + strength * e_i)      (the first term in nats)
//   dz_iv  = share_i * factor * (p_iv - [v = target_i] + strength * p_iv (d_iv - e_i))
// A guess next to the truth costs less than one far away. With strength 0, and with one class, it is the cross-entropy.
// Our own formula: the ListOps study (docs/listops_study.md) names such a loss and gives none.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// Shapes, hits, factor, shares and what is overwritten: as cross_entropy (kernels/loss/loss.hpp).
template <class T>
void class_proximity(float* losses, float* hits, T* dlogits, const float* logits, const std::uint16_t* targets,
                     float strength, float factor, std::int64_t rows, std::int64_t classes,
                     const float* shares = nullptr);

namespace reference {
void class_proximity(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets,
                     double strength, double factor, std::int64_t rows, std::int64_t classes,
                     const double* shares = nullptr);
} // namespace reference

} // namespace weft
