// Softmax cross-entropy over V classes, with its gradient in the same pass.
//   loss_i = share_i * (log(sum_v exp(z_iv)) - z_i,target)      (nats)
//   dz_iv  = share_i * factor * (softmax(z_i)_v - [v = target_i])
// A row is a prediction: a token that is to be guessed, or the class of a whole sequence.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// Overwrites losses[P] and hits[P] (1 where the largest logit, the first of equals, is the target's).
/// dlogits[P,V] is overwritten unless null, and may be the logits' own memory. factor: 1 / (predictions in the global
/// batch). shares[P]: the weight of each row in loss and gradient; null: every row counts 1. A row whose share is 0 is
/// not scored: its loss, hit and gradient are 0, and neither its logits nor its target are read.
template <class T>
void cross_entropy(float* losses, float* hits, T* dlogits, const float* logits, const std::uint16_t* targets,
                   float factor, std::int64_t rows, std::int64_t classes, const float* shares = nullptr);

namespace reference {
void cross_entropy(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets, double factor,
                   std::int64_t rows, std::int64_t classes, const double* shares = nullptr);
} // namespace reference

} // namespace weft
