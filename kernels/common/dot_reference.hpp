// What references in double precision share.
#pragma once
#include <cstdint>

namespace weft::reference {

/// sum over e < n of a_e b_e, in order
inline double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t e = 0; e < n; ++e)
    sum += a[e] * b[e];
  return sum;
}

} // namespace weft::reference
