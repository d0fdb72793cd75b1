// The second term of Sinkhorn attention as the Long Range Arena's released code has it (models/sinkhorn_transformer).
// Its contraction sums the block of the keys and the last index of the sort matrix apart, and the rows of that matrix
// sum to one: whatever the sort net says, each sorted block is the plain sum of all of them. In the sets of
// kernels/attention/released_sets.hpp without a tail (N = C b, position t is slot t div C of set t mod C),
//   K_s = sum of k_t over the C positions of slot s, V_s likewise,   s in [0, b)
//   out_t = local_t + sum_j w_tj V_j,   w_t = softmax over j of q_t . K_j / sqrt(E)
// Slots s and j see each other where some run of b positions has both: seen[c b + s] and seen[c b + j] for a c. A query
// whose slot sees none has uniform weights 1/b. Keys are summed whether they are real or not.
// Dropout as in attention.hpp, of weight (t, j) of head h as element (h N + t) b + j, not of uniform weights.
// Every sum has one order, fixed by the shape.
#pragma once
#include "kernels/common/types.hpp"
#include "kernels/random/dropout.hpp"

namespace weft {

/// q[s,t,h,e] lies at q[(s N + t) row_stride + h E + e], k, dq, dk alike, v and dv with Ev for E; local, out and dout
/// are dense (S, N, H, Ev).
struct SummedShape {
  std::int64_t sequences, length, block; ///< S, N, b; b divides N
  std::int64_t heads, key_width, value_width;
  std::int64_t row_stride;
  std::int64_t sets() const { return length / block; } ///< C
  std::int64_t pair_words() const { return sequences * block * ((block + 31) / 32); }
  /// Floats of workspace.
  std::int64_t sums() const { return 3 * sequences * heads * block * (key_width + value_width); }
  std::int64_t weights() const { return 2 * sequences * heads * length * block; }
};

/// Overwrites pairs (S, b, ceil(b / 32)), bit j of row s: slots s and j see each other. seen (S, ceil(N / 32)).
void summed_pairs(const SummedShape& shape, std::uint32_t* pairs, const std::uint32_t* seen);

/// Overwrites out. pairs null: all slots see each other.
template <class T>
void summed_forward(const SummedShape& shape, T* out, const T* local, const T* q, const T* k, const T* v,
                    const std::uint32_t* pairs, const Dropout& dropout, float* sums, float* weights);

/// Adds to dq, dk and dv what this term gives them. (That of local is dout itself.)
template <class T>
void summed_backward(const SummedShape& shape, T* dq, T* dk, T* dv, const T* dout, const T* q, const T* k, const T* v,
                     const std::uint32_t* pairs, const Dropout& dropout, float* sums, float* weights);

namespace reference {
/// Dense rows: q, k (S, N, H, E), v (S, N, H, Ev); row_stride is not looked at. Adds to out; seen null: all are real.
void summed_forward(const SummedShape& shape, double* out, const double* q, const double* k, const double* v,
                    const std::uint32_t* seen, const Dropout& dropout = {});
/// Adds to dq, dk, dv.
void summed_backward(const SummedShape& shape, double* dq, double* dk, double* dv, const double* dout, const double* q,
                     const double* k, const double* v, const std::uint32_t* seen, const Dropout& dropout = {});
} // namespace reference

} // namespace weft
