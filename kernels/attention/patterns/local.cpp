// A causal window of exactly l keys, the query's own among them: S_i = {i - l < j <= i}. First set of strided
// attention; Child et al. 2019 (arXiv:1904.10509) print l + 1 keys in section 4.3, their code uses l.
#include "kernels/attention/pattern.hpp"

namespace weft {

Pattern local(int length, int l) {
  detail::require(length >= 1, "a length of 1 or more");
  detail::require(l >= 1, "a window of 1 key or more");
  Pattern pattern{length, {}, {}};
  add_pass(pattern);
  add_part(pattern, {Rule::window, l}, detail::from_position(length, [l](int low) { return low - l + 1; }));
  return pattern;
}

} // namespace weft
