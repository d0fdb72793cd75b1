#include "kernels/relative/relative_scores.hpp"
#include <algorithm>
#include <cstdlib>

namespace weft::reference {

void relative_scores_forward(const RelativeScores& s, double* table, const double* bias) {
  for (std::int64_t i = 0; i < s.length; ++i)
    for (std::int64_t j = 0; j < s.length; ++j)
      table[i * s.length + j] = std::abs(j - i) < s.reach ? bias[s.reach - 1 + j - i] : 0;
}

void relative_scores_backward(const RelativeScores& s, double* dbias, const double* dtable) {
  std::fill_n(dbias, 2 * s.reach - 1, 0.0);
  for (std::int64_t i = 0; i < s.length; ++i)
    for (std::int64_t j = 0; j < s.length; ++j)
      if (std::abs(j - i) < s.reach)
        dbias[s.reach - 1 + j - i] += dtable[i * s.length + j];
}

} // namespace weft::reference
