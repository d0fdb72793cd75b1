// MEGA's attention of one new position, over a cache of the positions before it in its chunk and its own: the forward
// pass of pointwise_attention.hpp, or of attention.hpp with scores by distance, for a single query per sample. The new
// position is the p-th of its chunk, from 0, and sees keys 0 .. p:
//   s_j = q . k_j / sqrt(Z) + a_{j-p},   out = sum over j of softmax(s)_j v_j        ChunkWeights::softmax
//   s_j = q . k_j / (p + 1) + a_{j-p},   out = sum over j of f(s_j) v_j              laplace, squared_relu
// a_d = bias[M - 1 + d] for |d| < M, else 0. Sums are fp32, over keys in ascending order: neither threads nor the other
// samples change a bit.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

enum class ChunkWeights { softmax, laplace, squared_relu };

/// Rows q | k | v of the new position lie at row b * row_stride. The caches are (samples, capacity, Z) and (samples,
/// capacity, V).
struct ChunkDecode {
  std::int64_t samples, key_width, value_width; ///< Z, V
  std::int64_t capacity;                        ///< positions of a chunk
  std::int64_t row_stride;                      ///< of qkv
  ChunkWeights weights = ChunkWeights::softmax;
  std::int64_t reach = 0; ///< M; 0: no bias; bias [2 M - 1]
};

/// Floats.
constexpr std::int64_t chunk_decode_workspace(const ChunkDecode& call) { return call.samples * call.capacity; }

/// Overwrites out[samples, V]; k and v of qkv are written to row `place` (p) of the caches, nothing else there changes.
template <class T>
void chunk_decode(const ChunkDecode& call, T* out, const T* qkv, T* keys, T* values, const float* bias,
                  std::int64_t place, float* workspace);

namespace reference {
/// Rows 0 .. place of the caches hold all keys and values, the new ones too, of which qkv is not read.
void chunk_decode(const ChunkDecode& call, double* out, const double* qkv, const double* keys, const double* values,
                  const double* bias, std::int64_t place);
} // namespace reference

} // namespace weft
