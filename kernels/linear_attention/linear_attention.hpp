// Linear attention: for every sequence b and head h, with features phi(q_i), phi(k_j) of width M,
//   out_i = (sum over j of w_ij v_j) / (guard + sum over j of w_ij),   w_ij = phi(q_i) . phi(k_j)
// over every j, or over j <= i (causal). Nothing of size N x N exists: the sums over j go first (Katharopoulos et al.
// 2020, arXiv:2006.16236, section 3.2),
//   A = sum over j of phi(k_j) [v_j, 1]   (M, Ev + 1),   [numerator, denominator] = phi(q_i) A
// and in causal form the sequence is cut into chunks: products of rows within a chunk, A of the chunks before it.
//
// Backward, with g = dL/dout, D_i the denominator with its guard, e_i = [g_i / D_i, -(g_i . out_i) / D_i]:
//   B = sum over i of phi(q_i) e_i  (i >= j where causal),
//   dphi(q_i) = A e_i,   dphi(k_j) = B [v_j, 1],   dv_j = phi(k_j) B without its last column
//
// A denominator of 0 (no real key) gives out_i = 0, and no gradient. Where not causal a NaN in a real key or value
// reaches every row of its head. In causal form a later key or value has no influence on out_i, not even as NaN; in the
// backward pass this holds for finite numbers. All sums are fp32, in an order fixed by the shape alone: neither threads
// nor other sequences change a bit.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"

namespace weft {

/// phi of a number x of q or k; `given`: the features are arrays that the caller has made.
enum class FeatureMap {
  elu,  ///< x + 1 above 0, e^x below (Katharopoulos et al., equation 7)
  relu, ///< max(x, 0) + floor (Choromanski et al. 2021, arXiv:2009.14794, the generalised kernel, without projection)
  given
};

struct LinearAttention {
  AttentionShape shape;
  FeatureMap map;
  bool causal;
  float guard;            ///< 0 or more
  float floor = 0;        ///< relu: added to every feature; given: the part of every feature that is constant
  std::int64_t given = 0; ///< M of given features
  /// Key bits, where the kernels run: [B, ceil(N / 32)], bit i mod 32 of word i / 32: position i is a real key. Another
  /// one is left out of every sum, not even read, and gets gradients 0. Null: all are real.
  const std::uint32_t* seen = nullptr;

  std::int64_t features() const { return map == FeatureMap::given ? given : shape.key_width; }
};

/// Given features lie as [B,H,N,padded_features(M)] in fp32, with zeros behind the M of a row.
constexpr std::int64_t padded_features(std::int64_t features) { return (features + 7) / 8 * 8; }

/// Floats of workspace that either pass needs; linear in N.
std::int64_t linear_attention_workspace(const LinearAttention& call);

/// Operations of a pass: what its products multiply and add.
double linear_attention_work(const LinearAttention& call, bool backward);

/// Overwrites out[B,N,H,Ev] and denominators[B,H,N]. q, k [B,N,H,E] and v [B,N,H,Ev] with the strides of the shape; of
/// given features q and k are not read. T: float, bf16, fp16.
template <class T>
void linear_attention_forward(const LinearAttention& call, T* out, float* denominators, const T* q, const T* k,
                              const T* v, const float* phi_q, const float* phi_k, float* workspace);

/// Overwrites dv and, of elu and relu, dq and dk; out and denominators as forward left them. Of given features phi_q
/// and phi_k are overwritten with dphi (phi - floor), number by number: the gradient by the logarithm of what varies.
template <class T>
void linear_attention_backward(const LinearAttention& call, T* dq, T* dk, T* dv, const T* dout, const T* q, const T* k,
                               const T* v, const T* out, const float* denominators, float* phi_q, float* phi_k,
                               float* workspace);

/// Floats of a running state, B H of (padded M, Ev + 1 in whole groups): zero before the first position.
std::int64_t linear_attention_state(const LinearAttention& call);

/// The next position of every sequence (causal, shape.length 1, features not given): adds it to the state and
/// overwrites out[B,1,H,Ev]. A sequence's bits are those of its rows alone.
template <class T>
void linear_attention_step(const LinearAttention& call, float* state, T* out, const T* q, const T* k, const T* v);

namespace reference {
/// Dense arrays: phi_q, phi_k (B, N, H, M), v and out (B, N, H, Ev), over explicit weights w_ij.
struct LinearAttention {
  std::int64_t batch, length, heads, features, value_width;
  bool causal;
  double guard;
  const std::uint32_t* seen = nullptr;
};
void linear_attention_forward(const LinearAttention& call, double* out, const double* phi_q, const double* phi_k,
                              const double* v);
void linear_attention_backward(const LinearAttention& call, double* dphi_q, double* dphi_k, double* dv,
                               const double* dout, const double* phi_q, const double* phi_k, const double* v);
/// phi(x) and dx = dphi phi'(x) of n numbers.
void features_forward(FeatureMap map, double floor, double* phi, const double* x, std::int64_t n);
void features_backward(FeatureMap map, double* dx, const double* dphi, const double* x, std::int64_t n);
} // namespace reference

} // namespace weft
