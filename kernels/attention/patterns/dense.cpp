// Dense causal attention: S_i = {j <= i}.
#include "kernels/attention/pattern.hpp"

namespace weft {

Pattern dense(int length) {
  detail::require(length >= 1, "a length of 1 or more");
  Pattern pattern{length, {}, {}};
  add_pass(pattern);
  add_part(pattern, {Rule::causal, 1}, detail::from_position(length, [](int) { return 0; }));
  return pattern;
}

} // namespace weft
