// What several builders share: orders of positions, and which key tiles are worth a look.
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>
#include <stdexcept>
#include <string>

namespace weft::build {

void require(bool condition, const char* expected) {
  if (!condition)
    throw std::invalid_argument(std::string("attention pattern: expected ") + expected);
}

std::vector<int> transposed_time(int length, int l) {
  if (l == 1 || l >= length)
    return {};
  std::vector<int> order;
  order.reserve(length);
  for (int residue = 0; residue < l; ++residue)
    for (int p = residue; p < length; p += l)
      order.push_back(p);
  return order;
}

std::vector<int> summary_columns(int length, int l, int c, int group) {
  std::vector<int> columns;
  for (std::int64_t block = 0; block < length; block += l) {
    const std::int64_t end = block + l - static_cast<std::int64_t>(group) * c;
    for (std::int64_t j = end - c; j < end && j < length; ++j)
      columns.push_back(static_cast<int>(j));
  }
  return columns;
}

Candidates same_class(const std::vector<int>& order, int l) {
  std::vector<int> start(order.size()); // slot -> slot at which its class starts
  for (std::size_t s = 0; s < order.size(); ++s)
    start[s] = s > 0 && order[s] % l == order[s - 1] % l ? start[s - 1] : static_cast<int>(s);
  return [start](int tile, std::vector<int>& tiles) {
    const int first = start.empty() ? 0 : start[tile * query_tile] / key_tile; // no order: see strided builders
    for (int k = first; k <= tile; ++k)
      tiles.push_back(k);
  };
}

Candidates from_position(int length, std::function<int(int)> first) {
  return [length, first](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    for (int k = std::max(first(low), 0) / key_tile; k <= high / key_tile; ++k)
      tiles.push_back(k);
  };
}

Candidates columns_up_to(int length, std::vector<int> columns, std::function<int(int)> limit) {
  return [length, columns, limit](int tile, std::vector<int>& tiles) {
    const int high = std::min((tile + 1) * query_tile, length) - 1;
    const auto seen = std::upper_bound(columns.begin(), columns.end(), limit(high)) - columns.begin();
    for (int k = 0; k * key_tile < seen; ++k)
      tiles.push_back(k);
  };
}

} // namespace weft::build
