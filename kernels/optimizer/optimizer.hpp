// What a step does to the parameters: Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019,
// algorithm 2), one pass over memory.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct AdamStep {
  double learning_rate, beta1, beta2, epsilon;
  double weight_decay;    ///< 0 for tensors that are not decayed
  bool decoupled;         ///< AdamW: w -= learning_rate * weight_decay * w; Adam: g += weight_decay * w
  double gradient_factor; ///< clipping: min(1, clip / norm)
  std::int64_t step;      ///< 1 for the first update
};

/// g = gradient_factor * dw (+ weight_decay * w);  m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2;
/// w -= learning_rate * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon) (+ learning_rate * weight_decay
/// * w). Updates w, m, v in place; n elements.
void adam_step(float* w, float* m, float* v, const float* dw, std::int64_t n, const AdamStep& step);

/// A running statistic, from what is measured in a step: w += momentum * (factor * measured - w). n elements.
void running_step(float* w, const float* measured, std::int64_t n, double momentum, double factor);

namespace reference {
void adam_step(double* w, double* m, double* v, const double* dw, std::int64_t n, const AdamStep& step);
void running_step(double* w, const double* measured, std::int64_t n, double momentum, double factor);
} // namespace reference

} // namespace weft
