#include "kernels/pointwise_attention/chunk_decode.hpp"
#include <cmath>
#include <vector>

namespace weft::reference {

void chunk_decode(const ChunkDecode& call, double* out, const double* qkv, const double* keys, const double* values,
                  const double* bias, std::int64_t place) {
  const std::int64_t Z = call.key_width, V = call.value_width, C = call.capacity, M = call.reach;
  for (std::int64_t b = 0; b < call.samples; ++b) {
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t j = 0; j <= place; ++j) {
      double s = 0;
      for (std::int64_t e = 0; e < Z; ++e)
        s += qkv[b * call.row_stride + e] * keys[(b * C + j) * Z + e];
      s /= call.weights == ChunkWeights::softmax ? std::sqrt(static_cast<double>(Z)) : static_cast<double>(place + 1);
      if (place - j < M)
        s += bias[M - 1 + j - place];
      const double positive = s > 0 ? s : 0;
      weights.push_back(call.weights == ChunkWeights::softmax ? std::exp(s)
                        : call.weights == ChunkWeights::laplace
                            ? (1 + std::erf((s - 0.707107) / (0.282095 * std::sqrt(2.0)))) / 2
                            : positive * positive);
      sum += weights.back();
    }
    for (std::int64_t c = 0; c < V; ++c) {
      double& to = out[b * V + c] = 0;
      for (std::int64_t j = 0; j <= place; ++j)
        to += weights[static_cast<std::size_t>(j)] * values[(b * C + j) * V + c];
      if (call.weights == ChunkWeights::softmax)
        to /= sum;
    }
  }
}

} // namespace weft::reference
