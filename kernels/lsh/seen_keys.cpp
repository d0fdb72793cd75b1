#include "kernels/lsh/seen_keys.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/lsh/hash.hpp"
#include "kernels/lsh/rule.hpp"
#include <algorithm>
#include <stdexcept>

namespace weft {

namespace {
/// Appends to an array that has room: a function for host and device, like its caller.
struct Append {
  int *to, *count;
  WEFT_FUNCTION void operator()(int j) const { to[(*count)++] = j; }
};
} // namespace

LshSeenKeys::LshSeenKeys(const LshRule& rule, std::int64_t length, const std::vector<int>& buckets, std::int64_t behind)
    : rule_(rule), length_(length), buckets_(buckets), order_(buckets.size()), chunk_of_(buckets.size()),
      seen_(static_cast<std::size_t>((length + 31) / 32)) {
  if (static_cast<std::int64_t>(buckets.size()) != rule.rounds * length)
    throw std::invalid_argument("lsh: a bucket for every position and round");
  for (std::int64_t i = 0; i < length; ++i)
    if (buckets[static_cast<std::size_t>(i)] != behind)
      seen_[static_cast<std::size_t>(i / 32)] |= 1u << (i % 32);
  const AttentionShape shape{1, length, 1, 1, 1, 2, 1};
  const auto n = static_cast<std::int64_t>(buckets.size());
  Buffer<int> from(n, "buckets"), order(n, "order"), chunk_of(n, "chunk of"), real(1, "real positions"),
      work(lsh_sort_workspace(shape, rule.rounds, behind), "sorting");
  copy_to_device(from.data(), buckets.data(), from.bytes());
  lsh_sort(order.data(), chunk_of.data(), real.data(), from.data(), shape, rule.rounds, behind, rule.chunk,
           work.data());
  copy_to_host(order_.data(), order.data(), order.bytes());
  copy_to_host(chunk_of_.data(), chunk_of.data(), chunk_of.bytes());
  copy_to_host(&real_, real.data(), real.bytes());
}

std::vector<int> LshSeenKeys::of(int i) const {
  const detail::LshTables tables{
      rule_, {buckets_.data(), order_.data(), chunk_of_.data(), &real_}, length_, 1, seen_.data(), (length_ + 31) / 32};
  const int R = static_cast<int>(rule_.rounds), step = rule_.mean_of_rounds ? 1 : R;
  const int most = R * 2 * static_cast<int>(std::min(rule_.chunk, length_));
  std::vector<int> keys(static_cast<std::size_t>(most + R));
  int count = 0;
  for (int first = 0; first < R; first += step) { // each of these is a softmax
    const int before = count;
    tables.keys_of(0, 0, first, first + step, i, Append{keys.data(), &count});
    if (count == before && rule_.self_last && tables.is_real(0, i))
      keys[static_cast<std::size_t>(count++)] = i;
  }
  keys.resize(static_cast<std::size_t>(count));
  std::sort(keys.begin(), keys.end());
  return keys;
}

} // namespace weft
