// Locality-sensitive hashing of attention heads (Kitaev, Kaiser, Levskaya 2020, "Reformer", arXiv:2001.04451, section
// 2): a round draws a Gaussian matrix G and the bucket of a vector q is
//   h(q) = index of the first largest of the b numbers [q G; -q G],   G (E, b/2),
// a number that depends on the direction of q alone, so that queries and normalised keys need one hash. Many buckets
// are made of several small hashes with matrices of their own, b = b_1 b_2 ...: h = h_1 + b_1 (h_2 + b_2 (...)), which
// takes (b_1 + b_2 + ...)/2 columns. A factor of 1 has no columns, and every vector in bucket 0.
//
// G is a function of (seed, step, layer, head, round): nothing of it is stored.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"

namespace weft {

constexpr int most_hash_factors = 4;

/// Columns of a factor as they lie in memory: whole vectors, zeros behind.
WEFT_FUNCTION constexpr std::int64_t padded_hash_columns(std::int64_t columns) { return (columns + 7) / 8 * 8; }

struct LshHash {
  std::int64_t rounds = 1;              ///< R
  int factors[most_hash_factors] = {1}; ///< b_1, b_2, ...: 1 or even
  int count = 1;                        ///< factors in use
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  const std::uint32_t* moment = nullptr; ///< where the kernels run: {step}, which counts instead; null: `step` counts
  std::uint32_t layer = 0;
  bool one_for_all_heads = false; ///< every head has the matrices of head 0

  WEFT_FUNCTION std::int64_t buckets() const {
    std::int64_t b = 1;
    for (int f = 0; f < count; ++f)
      b *= factors[f];
    return b;
  }
  /// Columns of a matrix as they lie in memory.
  WEFT_FUNCTION std::int64_t columns() const {
    std::int64_t n = 0;
    for (int f = 0; f < count; ++f)
      n += padded_hash_columns(factors[f] / 2);
    return n;
  }
};

/// The step that no training has: projections of an evaluation, and fixed ones.
constexpr std::uint32_t fixed_hash_step = 0xffffffffu;

/// Overwrites projections[H, R, E, hash.columns()] with numbers from N(0, 1).
void lsh_projections(float* projections, const LshHash& hash, std::int64_t heads, std::int64_t width);

/// Overwrites buckets[S, H, R, N] from q[S, N, H, E] (strides of `shape`; v is not there). A position whose bit in
/// seen[S, ceil(N / 32)] is 0 gets the bucket behind all others, hash.buckets(); null: every position is real.
template <class T>
void lsh_buckets(int* buckets, const LshHash& hash, const AttentionShape& shape, const T* q, const float* projections,
                 const std::uint32_t* seen);

/// Ints of workspace for lsh_sort.
std::int64_t lsh_sort_workspace(const AttentionShape& shape, std::int64_t rounds, std::int64_t buckets);

/// For every sequence, head and round: order[S, H, R, N], the positions sorted by bucket and, within one, by time; and
/// chunk_of[S, H, R, N], the number of the chunk of `chunk` sorted positions in which a position lies. real[S]: how
/// many positions of a sequence are in buckets below `buckets`. A stable counting sort.
void lsh_sort(int* order, int* chunk_of, int* real, const int* buckets_of, const AttentionShape& shape,
              std::int64_t rounds, std::int64_t buckets, std::int64_t chunk, int* workspace);

namespace reference {
/// The bucket of one vector q (E) by projections (E, hash.columns()) laid out as above.
int lsh_bucket(const LshHash& hash, const double* q, const double* projections, std::int64_t width);
} // namespace reference

} // namespace weft
