// The keys of one position for every layer and head: what the patterns say, as lists where the kernels run.
#pragma once
#include "kernels/attention/attention_decode.hpp"
#include "model/patterns.hpp"
#include <vector>

namespace weft {

/// Every choice of pattern that the model has is built once; a position's lists are made once for all layers.
///
/// The keys that the last position sees come first in the cache, then all others, both in order: the columns that a
/// fixed pattern reads again and again lie side by side, and memory reads rows in order fastest.
class KeyLists {
 public:
  /// For positions 0 .. length - 1. Throws InputError as build_pattern.
  KeyLists(const Config& config, std::int64_t length);

  /// Makes the lists of query i; time and memory grow with the keys. Throws InputError where i would see a later key.
  void move_to(std::int64_t i);
  DecodeKeys of_layer(std::int64_t layer) const;
  std::int64_t keys_of_layer(std::int64_t layer) const; ///< over all heads
  std::int64_t longest() const { return longest_; }     ///< upper limit over all positions below length

 private:
  std::int64_t heads_, period_, longest_ = 0, longest_now_ = 0;
  bool self_last_;                ///< a position's own key only where there is no other
  std::vector<Pattern> patterns_; ///< by choice
  std::vector<std::string> names_;
  std::vector<std::vector<int>> list_of_head_; ///< [period][H]: number of the choice
  std::vector<std::vector<int>> row_of_;       ///< [choice][position]: row of the cache
  std::vector<int> host_keys_, host_begin_, host_newest_;
  Buffer<int> keys_, begin_, newest_, heads_of_layers_;
};

} // namespace weft
