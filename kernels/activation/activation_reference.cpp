#include "kernels/activation/activation.hpp"
#include <cmath>
#include <numbers>

namespace weft::reference {

namespace {
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
const double root = std::sqrt(2 / std::numbers::pi);

double value_of(Activation kind, double x) {
  switch (kind) {
  case Activation::sigmoid_gelu:
    return x * sigmoid(1.702 * x);
  case Activation::gelu_tanh:
    return x * (1 + std::tanh(root * (x + 0.044715 * x * x * x))) / 2;
  case Activation::gelu:
    return x * std::erfc(-x / std::numbers::sqrt2) / 2;
  case Activation::relu:
    return x < 0 ? 0 : x;
  case Activation::silu:
    return x * sigmoid(x);
  case Activation::tanh:
    return std::tanh(x);
  }
  return x;
}

double slope_of(Activation kind, double x) {
  switch (kind) {
  case Activation::sigmoid_gelu: {
    const double s = sigmoid(1.702 * x);
    return s + 1.702 * x * s * (1 - s);
  }
  case Activation::gelu_tanh: {
    const double t = std::tanh(root * (x + 0.044715 * x * x * x));
    return (1 + t) / 2 + x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x) / 2;
  }
  case Activation::gelu:
    return std::erfc(-x / std::numbers::sqrt2) / 2 + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
  case Activation::relu:
    return x > 0 ? 1 : 0 * x;
  case Activation::silu: {
    const double s = sigmoid(x);
    return s + x * s * (1 - s);
  }
  case Activation::tanh:
    return 1 - std::tanh(x) * std::tanh(x);
  }
  return 1;
}
} // namespace

void activation_forward(double* out, const double* u, std::int64_t n, Activation kind) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = value_of(kind, u[i]);
}

void activation_backward(double* du, const double* dout, const double* u, std::int64_t n, Activation kind) {
  for (std::int64_t i = 0; i < n; ++i)
    du[i] = dout[i] * slope_of(kind, u[i]);
}

} // namespace weft::reference
