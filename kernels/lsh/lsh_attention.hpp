// Attention over hash buckets (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451, section 2). Every round r sorts the
// positions by bucket (kernels/lsh/hash.hpp) and cuts the sorted list into chunks of m. Query i, which lies in chunk c
// of round r, meets the positions j of chunk c, and then those of the chunk before. Of these it sees
//   j <= i                             if causal,
//   j in the bucket of i               unless other_buckets (never one that it meets in another round's chunk),
//   j whose key bit is 1,
//   j != i                             if self_last: itself only where it sees nothing else in any round,
//   j that it did not see before       unless duplicates: chunk c counts as before chunk c - 1, rounds in their order.
// All that it sees in all rounds, S_i, is a set, or with duplicates a multiset, and the output is the softmax over it:
//   s_ij = scale q_i . k_j,   lse_i = log sum_{S_i} exp(s_ij),   out_i = sum_{S_i} exp(s_ij - lse_i) v_j
// This is what joining the rounds by their log-sum-exp gives, with the paper's log N_ij taken off each score where
// duplicates are not wanted. With mean_of_rounds, S_i^r is what i sees in round r (duplicates stay within it only, for
// rounds know nothing of each other), and out_i = (1/R) sum_r out_i^r.
//
// The chunk before chunk 0: none, or if cyclic the last chunk of real positions of the round before; of the last round
// for round 0. So the rounds form one ring, as in the published codes. Positions that are not real are sorted behind
// all others and move nothing.
//
// A query that sees only itself has out_i = v_i and lse_i = -infinity; one that sees nothing, not even itself (its own
// key bit is 0), has out_i = 0, and gives and gets no gradient. Buckets are constants in the backward pass.
//
// On a host the tiles are those of the attention engine, with tables made for one tile at a time; on a device a thread
// takes a row. Dropout, the influence of what is not seen, and the order of sums are as in
// kernels/attention/attention.hpp. A query that sees only itself keeps it whatever dropout says.
#pragma once
#include "kernels/attention/attention.hpp"

namespace weft {

struct LshRule {
  std::int64_t rounds = 1, chunk = 64; ///< R, m
  float scale = 1;
  bool causal = false, cyclic = true, other_buckets = false, duplicates = false, self_last = true,
       mean_of_rounds = false;
};

/// What kernels/lsh/hash.hpp makes, where the kernels run.
struct LshOrder {
  const int* buckets;  ///< [S, H, R, N]
  const int* order;    ///< [S, H, R, N]
  const int* chunk_of; ///< [S, H, R, N]
  const int* real;     ///< [S]
};

enum class LshPath { best, portable }; ///< portable: the device's version on any device, for tests

/// Statistics of the rows, lse: [S, H, N] floats, with mean_of_rounds [R, S, H, N].
std::int64_t lsh_statistics(const LshRule& rule, const AttentionShape& shape);

/// Floats of workspace that forward (backward = false) or backward needs; linear in N.
std::int64_t lsh_attention_workspace(const LshRule& rule, const AttentionShape& shape, bool backward);

/// Overwrites out[S, N, H, Ev] and lse. q, k, v with the strides of `shape`; extras as in attention.hpp. Throws
/// std::invalid_argument for what is out of range.
template <class T>
void lsh_attention_forward(const LshRule& rule, const LshOrder& order, const AttentionShape& shape, T* out, float* lse,
                           const T* q, const T* k, const T* v, float* workspace, const AttentionExtras& extras = {},
                           LshPath path = LshPath::best);

/// Overwrites dq, dk [S, N, H, E] and dv [S, N, H, Ev], fp32 and dense (no gaps). out and lse as forward left them,
/// rule, order and extras as forward had them.
template <class T>
void lsh_attention_backward(const LshRule& rule, const LshOrder& order, const AttentionShape& shape, float* dq,
                            float* dk, float* dv, const T* dout, const T* q, const T* k, const T* v, const T* out,
                            const float* lse, float* workspace, const AttentionExtras& extras = {},
                            LshPath path = LshPath::best);

namespace reference {
/// The same by brute force over the sets, from buckets alone. Dense tensors; q and k are given apart.
struct Lsh {
  std::int64_t sequences, length, heads, key_width, value_width;
  LshRule rule;
  std::vector<int> buckets; ///< [S, H, R, N]
  std::vector<bool> seen;   ///< [S, N]; empty: every position is real
};
/// What query i sees in round r (r < 0: in all of them), one entry for each time.
std::vector<int> lsh_keys(const Lsh& lsh, std::int64_t s, std::int64_t h, std::int64_t i, std::int64_t r = -1);
void lsh_attention_forward(const Lsh& lsh, double* out, const double* q, const double* k, const double* v);
/// Overwrites dq, dk, dv.
void lsh_attention_backward(const Lsh& lsh, double* dq, double* dk, double* dv, const double* dout, const double* q,
                            const double* k, const double* v);
} // namespace reference

} // namespace weft
