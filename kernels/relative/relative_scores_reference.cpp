#include "kernels/relative/relative_scores.hpp"
#include <algorithm>
#include <cstdlib>

namespace weft::reference {

namespace {
/// body(i, j, its place in the table) for every pair of a chunk.
template <class Body>
void each_pair(const RelativeScores& s, const Body& body) {
  const std::int64_t c = s.stride();
  for (std::int64_t i = 0; i < s.length; ++i)
    for (std::int64_t j = 0; j < s.length; ++j)
      if (i / c == j / c)
        body(i, j, i * c + j);
}
} // namespace

void relative_scores_forward(const RelativeScores& s, double* table, const double* bias) {
  each_pair(s, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
    table[at] = std::abs(j - i) < s.reach ? bias[s.reach - 1 + j - i] : 0;
  });
}

void relative_scores_backward(const RelativeScores& s, double* dbias, const double* dtable) {
  std::fill_n(dbias, 2 * s.reach - 1, 0.0);
  each_pair(s, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
    if (std::abs(j - i) < s.reach)
      dbias[s.reach - 1 + j - i] += dtable[at];
  });
}

} // namespace weft::reference
