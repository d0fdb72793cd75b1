// Attention in double precision and plain loops over explicit key lists: the judge of the tiled version.
#pragma once
#include "kernels/random/dropout.hpp"
#include <cstdint>
#include <vector>

namespace weft::reference {

/// q, k [B,N,H,E], v, out [B,N,H,Ev], lse [B,H,N], all dense. Query i of head h sees keys[h mod keys.size()][i]; a
/// query without keys gives out = 0 and lse = -infinity. Key bits and dropout as in attention.hpp.
struct Attention {
  std::int64_t batch, length, heads, key_width, value_width;
  std::vector<std::vector<std::vector<int>>> keys; ///< [group][query], sorted
  std::vector<bool> seen = {};                     ///< [B,N], false: no key; empty: all are keys
  Dropout dropout = {};                            ///< of weight (i, j) of head h: element (h S + i) S + j
  std::int64_t dropout_stride = 0;                 ///< S; 0: N, or M where that is more
  std::int64_t key_length = 0;                     ///< M, rows of k and v; 0: N
  double scale = 0;                                ///< 0: 1 / sqrt(E)
  std::vector<double> table = {};                  ///< [H, table_stride, table_stride] scores to add; empty: none
  std::int64_t table_stride = 0;
  double* dtable = nullptr; ///< backward adds the gradient of the table to it; null: not wanted

  std::int64_t key_rows() const { return key_length == 0 ? length : key_length; }
};

/// Overwrites out and lse.
void attention_forward(const Attention& a, double* out, double* lse, const double* q, const double* k, const double* v);

/// Overwrites dq, dk, dv; recomputes the probabilities from q and k.
void attention_backward(const Attention& a, double* dq, double* dk, double* dv, const double* dout, const double* q,
                        const double* k, const double* v);

} // namespace weft::reference
