// Attention over a pattern (pattern.hpp): for every sequence b, head h and query i with key set S_i of the head
//   s_ij = q_i . k_j / sqrt(E),   p_ij = exp(s_ij - lse_i),   lse_i = log sum_{j in S_i} exp(s_ij),
//   out_i = sum_{j in S_i} p_ij v_j
// by one fused pass over the listed tiles with an online softmax in fp32 (Milakov and Gimelshein 2018,
// arXiv:1805.02867), and its gradient from the stored lse (Dao et al. 2022, arXiv:2205.14135):
//   delta_i = dout_i . out_i,   ds_ij = p_ij (dout_i . v_j - delta_i) / sqrt(E),
//   dv_j = sum_i p_ij dout_i,   dk_j = sum_i ds_ij q_i,   dq_i = sum_j ds_ij k_j
// Nothing of size N x N exists; tiles that the pattern does not list are never computed.
//
// A call may add three things (AttentionExtras). Key bits: S_i becomes the real keys of S_i. Attention dropout: with
// mask bits m_ij and probability p, w_ij = m_ij / (1 - p),
//   out_i = sum_{j in S_i} w_ij p_ij v_j,   ds_ij = p_ij (w_ij dout_i . v_j - delta_i) / sqrt(E),
//   dv_j = sum_i w_ij p_ij dout_i,          lse, delta, dk and dq as above.
// A table of scores: s_ij = scale q_i . k_j + a_ij with a table a of the head, which all sequences share; its gradient,
//   da_ij = sum over the sequences of ds_ij / scale,   ds_ij / scale = p_ij (w_ij dout_i . v_j - delta_i)
//
// A query with no key: out_i = 0, lse_i = -infinity, and it gives and gets no gradient.
// A pair outside S_i has no influence: if k_j, v_j are NaN or infinite, out_i keeps its bits. In the backward pass this
// holds for finite values only (there, a NaN reaches all rows of its tile). A key whose bit is 0 has no influence in
// either pass, not even as NaN or infinity. Whether a dropped pair passes a NaN on is not said.
// Every sum has one order, fixed by pattern and shape: the bits do not depend on the number of threads.
#pragma once
#include "kernels/attention/pattern.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/types.hpp"
#include "kernels/random/dropout.hpp"
#include <cstddef>
#include <vector>

namespace weft {

namespace detail {
struct PartTables; // tables of one part where the kernels run: attention_tables.hpp
}

/// The tile lists of all heads, where the kernels run. Head h uses pattern h mod (number of patterns).
class AttentionPlan {
 public:
  /// Throws std::invalid_argument without patterns or with patterns of different length.
  AttentionPlan(const std::vector<Pattern>& per_group, int heads);
  int length() const { return length_; }
  int heads() const { return heads_; }
  std::int64_t keys() const { return keys_; }   ///< pairs (i, j) over all heads of one sequence
  std::int64_t tiles() const { return tiles_; } ///< tiles executed over all heads of one sequence
  std::size_t host_bytes() const { return table_.bytes() + parts_.bytes(); } ///< memory of the tables

  // For the kernels:
  int groups() const { return groups_; }
  int passes() const { return passes_; }                     ///< of the pattern that has most
  int parts() const { return parts_per_group_; }             ///< likewise
  int key_tiles(int part) const { return key_tiles_[part]; } ///< of that part, the largest over the groups
  const detail::PartTables* part_tables() const;             ///< [groups][parts]
  const int* pass_begin() const { return table_.data(); }    ///< [groups][passes + 1], numbers of parts

 private:
  int length_ = 0, heads_ = 0, groups_ = 0, passes_ = 0, parts_per_group_ = 0;
  std::int64_t keys_ = 0, tiles_ = 0;
  std::vector<int> key_tiles_;
  Buffer<int> table_;
  Buffer<unsigned char> parts_;
};

/// Which code runs. `best`: on a device the team version, on a host what attention_isa() names
/// (kernels/common/isa.hpp). The others are for tests. `portable`: the team version on any device (slow on a host). The
/// last two are the sources of avx512 and avx512_bf16 compiled for AVX2, so that all but the choice of instructions is
/// tested on every host.
enum class AttentionPath { best, portable, avx2, avx512, avx512_bf16, avx512_emulated, avx512_bf16_emulated };

/// Whether this build and this processor can take the path.
bool attention_path_runs(AttentionPath path);

/// What a call adds to its pattern. Any may be left out, and then costs nothing and changes no bit.
struct AttentionExtras {
  /// Key bits, where the kernels run: [B, ceil(N / 32)], bit i mod 32 of word i / 32: position i is a real key. Bits
  /// past N are not looked at. (With keys of their own: M for N.) A key whose bit is 0 has weight 0 and gradients 0; a
  /// tile without a real key is skipped. Its position still is a query like any other. Null: all keys are real.
  const std::uint32_t* seen = nullptr;
  /// Attention dropout. Weight (i, j) of head h is element (h S + i) S + j; H S^2 <= 2^34.
  Dropout dropout;
  /// S: the length that the elements are counted by, N and M or more, so that a call at a shorter length draws the
  /// numbers of the full one. 0: N, or M where that is more.
  std::int64_t dropout_stride = 0;
  /// Of q . k; 0: 1 / sqrt(E), and without q and k (E = 0) nothing.
  float scale = 0;
  /// The table of scores, fp32: a_ij of head h is table[(h table_stride + i) table_stride + j], so that a call at a
  /// shorter length takes the corner of the full table. Pairs outside S_i are not looked at.
  const float* table = nullptr;
  std::int64_t table_stride = 0;
  /// Its gradient, laid out alike: backward adds to it, sequence after sequence, and touches no pair outside the tiles
  /// of the pattern.
  float* dtable = nullptr;
  /// In place of a table: scores by the distance of key and query, fp32, of all heads and sequences alike (Raffel et
  /// al. 2020, arXiv:1910.10683, section 2.1, without their buckets; MEGA's "simple" bias):
  ///   a_ij = distances[reach - 1 + (j - i)],   0 where |j - i| >= reach
  const float* distances = nullptr;
  std::int64_t reach = 0;
  /// Its gradient, [2 reach - 1]: backward adds to it.
  float* ddistances = nullptr;
};

/// Bytes of workspace that forward (backward = false) or backward needs, for the largest of fp32, bf16 and fp16; linear
/// in N, and in reach, that of scores by distance.
std::size_t attention_workspace_bytes(const AttentionPlan& plan, const AttentionShape& shape, bool backward,
                                      std::int64_t reach = 0);

/// Overwrites out[B,N,H,Ev] and lse[B,H,N]. Throws std::invalid_argument if shape and plan disagree, and where the
/// extras are out of range. With keys of their own (M) the plan is one over M keys: patterns/dense.cpp, `every_key`. T:
/// float, bf16, fp16.
template <class T>
void attention_forward(const AttentionPlan& plan, const AttentionShape& shape, T* out, float* lse, const T* q,
                       const T* k, const T* v, float* workspace, AttentionPath path = AttentionPath::best,
                       const AttentionExtras& extras = {});

/// Overwrites dq, dk [B,N,H,E] and dv [B,N,H,Ev]; out and lse as forward left them, extras as forward had them. Gaps
/// between rows stay as they are.
template <class T>
void attention_backward(const AttentionPlan& plan, const AttentionShape& shape, T* dq, T* dk, T* dv, const T* dout,
                        const T* q, const T* k, const T* v, const T* out, const float* lse, float* workspace,
                        AttentionPath path = AttentionPath::best, const AttentionExtras& extras = {});

} // namespace weft
