#include "kernels/lsh/hash.hpp"

namespace weft::reference {

int lsh_bucket(const LshHash& hash, const double* q, const double* projections, std::int64_t width) {
  const std::int64_t columns = hash.columns();
  int bucket = 0, unit = 1;
  std::int64_t first = 0;
  for (int f = 0; f < hash.count; ++f) {
    const int half = hash.factors[f] / 2;
    int best = 0;
    double largest = 0;
    for (int candidate = 0; candidate < 2 * half; ++candidate) {
      double x = 0;
      for (std::int64_t e = 0; e < width; ++e)
        x += q[e] * projections[e * columns + first + candidate % half];
      if (candidate >= half)
        x = -x;
      if (candidate == 0 || x > largest) {
        best = candidate;
        largest = x;
      }
    }
    bucket += unit * best;
    unit *= hash.factors[f];
    first += padded_hash_columns(half);
  }
  return bucket;
}

} // namespace weft::reference
