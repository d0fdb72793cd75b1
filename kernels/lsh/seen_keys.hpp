// The keys that queries saw in attention over hash buckets, for people to look at: from the buckets that a forward pass
// kept, by the rule that the kernels go by (kernels/lsh/rule.hpp).
#pragma once
#include "kernels/lsh/lsh_attention.hpp"

namespace weft {

/// Of one sequence and head; on the host.
class LshSeenKeys {
 public:
  /// buckets[R, N]. Positions in the bucket `behind` all others (LshHash::buckets()) are not real. Throws
  /// std::invalid_argument for another number of them.
  LshSeenKeys(const LshRule& rule, std::int64_t length, const std::vector<int>& buckets, std::int64_t behind);

  /// Of query i, ascending; one entry for each time that it counts in a softmax, so that a key has several with
  /// LshRule::duplicates or mean_of_rounds.
  std::vector<int> of(int i) const;

  std::int64_t real() const { return real_; } ///< positions

 private:
  LshRule rule_;
  std::int64_t length_;
  std::vector<int> buckets_, order_, chunk_of_; // [R, N]
  std::vector<std::uint32_t> seen_;             // bits of the real positions
  int real_ = 0;
};

} // namespace weft
