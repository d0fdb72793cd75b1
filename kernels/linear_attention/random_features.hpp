// Positive random features of the softmax kernel (Choromanski et al. 2021, arXiv:2009.14794, lemma 1 and section 2.4):
// with rows omega_1 .. omega_M and x' = x / E^(1/4),
//   phi(x)_m = M^(-1/2) (exp(omega_m . x' - |x'|^2 / 2 - c) + epsilon)
//   E[phi(q) . phi(k)] = exp(q . k / sqrt(E) - c_q - c_k)   (epsilon = 0)
// c keeps exp in range and cancels in a ratio up to epsilon: of a query the largest omega_m . x' of its row, of keys
// the largest over features and real positions of a sequence and head. Keys of causal attention have c = 0: a maximum
// over later positions would let them change an earlier output, and exp(omega . x' - |x'|^2 / 2) <= exp(|omega|^2 / 2)
// is in range for every x near the sizes that attention works with.
//
// Backward, c being a constant:   dx' = sum over m of p_m (omega_m - x'),   p = dL/dphi (phi - M^(-1/2) epsilon)
//
// Orthogonal blocks (section 2.4): for every E rows a Gaussian E x E matrix is drawn and its rows made orthonormal; row
// m gets the length of a Gaussian vector of its own. Rows of the last block are left out.
#pragma once
#include "kernels/common/types.hpp"
#include "kernels/linear_attention/linear_attention.hpp"
#include "kernels/random/dropout.hpp"

namespace weft {

/// Which draw: a function of seed, step div every, and layer alone.
struct FeatureDraw {
  Dropout moment;         ///< seed and step; the rest is not looked at
  std::int64_t every = 0; ///< steps that share a draw; 0: all do
  std::uint32_t layer = 0;
};

struct RandomFeatures {
  std::int64_t features, width; ///< M, E
  float epsilon;

  /// Floats of the matrix: (M, E padded), then transposed (E, M padded), with zeros in the padding.
  std::int64_t matrix() const { return features * padded_features(width) + width * padded_features(features); }
  /// Doubles of workspace of a draw.
  std::int64_t draw_workspace() const { return (features + width - 1) / width * width * width; }
  /// What of a feature is constant.
  float floor() const;
};

/// floor(E ln E), at least 1 (the paper's theorem 4 asks for this order).
std::int64_t default_features(std::int64_t width);

/// Overwrites omega.
void draw_random_features(const RandomFeatures& features, const FeatureDraw& draw, float* omega, double* workspace);

enum class FeaturesOf { queries, keys, causal_keys };

/// Floats of workspace of the forward pass: a maximum for every chunk.
std::int64_t random_features_workspace(const AttentionShape& shape);

/// Overwrites phi[B,H,N,padded_features(M)] (LinearAttention, map given). x is q or k with the strides of the shape.
/// Rows of keys that `seen` (or null) does not have are not read, and are 0.
template <class T>
void random_features_forward(const RandomFeatures& features, FeaturesOf of, const AttentionShape& shape, float* phi,
                             const T* x, const float* omega, const std::uint32_t* seen, float* workspace);

/// Overwrites dx from p, which linear_attention_backward leaves where phi was. Rows of keys that are not seen get 0.
template <class T>
void random_features_backward(const RandomFeatures& features, FeaturesOf of, const AttentionShape& shape, T* dx,
                              const float* p, const T* x, const float* omega, const std::uint32_t* seen);

namespace reference {
/// x (rows, E), omega (M, E), phi (rows, M), stabilisers (rows) or null for 0: phi as above.
void random_features_forward(double* phi, const double* x, const double* omega, const double* stabilisers,
                             std::int64_t rows, std::int64_t width, std::int64_t features, double epsilon);
/// dx from dphi.
void random_features_backward(double* dx, const double* dphi, const double* phi, const double* x, const double* omega,
                              std::int64_t rows, std::int64_t width, std::int64_t features, double epsilon);
/// stabilisers (B, N, H) of x (B, N, H, E).
void random_features_stabilisers(double* stabilisers, FeaturesOf of, const double* x, const double* omega,
                                 std::int64_t batch, std::int64_t length, std::int64_t heads, std::int64_t width,
                                 std::int64_t features, const std::uint32_t* seen);
} // namespace reference

} // namespace weft
