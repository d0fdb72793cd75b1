// Softmax cross-entropy over V classes, with its gradient in the same pass.
//   loss_i = log(sum_v exp(z_iv)) - z_i,target      (nats)
//   dz_iv  = factor * (softmax(z_i)_v - [v = target_i])
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// Overwrites losses[M] and hits[M] (1 where the largest logit, the first of equals, is the target's).
/// dlogits[M,V] is overwritten unless null, and may be the logits' own memory. factor: 1 / (predictions in the global
/// batch).
template <class T>
void cross_entropy(float* losses, float* hits, T* dlogits, const float* logits, const std::uint16_t* targets,
                   float factor, std::int64_t rows, std::int64_t vocabulary);

namespace reference {
void cross_entropy(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets, double factor,
                   std::int64_t rows, std::int64_t vocabulary);
} // namespace reference

} // namespace weft
