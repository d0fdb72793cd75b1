// A causal window of exactly l keys, the query's own among them: S_i = {i - l < j <= i}. First set of strided
// attention; Child et al. 2019 (arXiv:1904.10509) print l + 1 keys in section 4.3, their code uses l.
#include "kernels/attention/patterns/build.hpp"

namespace weft {
namespace {

struct Window {
  int l;
  bool allowed(int i, int j) const { return j <= i && i - j < l; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return k.high <= q.low && q.high - k.low < l;
  }
};

} // namespace

Pattern local(int length, int l) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a window of 1 key or more");
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part(pattern, Window{l}, build::from_position(length, [l](int low) { return low - l + 1; }));
  return pattern;
}

} // namespace weft
