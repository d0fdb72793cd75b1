#include "training/owners.hpp"
#include <algorithm>

namespace weft {

namespace {
std::int64_t end_of(const ParameterList& parameters, std::size_t i) {
  return i + 1 < parameters.all().size() ? parameters.all()[i + 1].offset : parameters.extent();
}

/// Parts of at most `most` elements, filled from the front; as many as it takes.
std::vector<Owned> filled(const ParameterList& parameters, std::int64_t most) {
  std::vector<Owned> parts;
  for (std::size_t i = 0; i < parameters.all().size(); ++i) {
    const std::int64_t begin = parameters.all()[i].offset, end = end_of(parameters, i);
    if (parts.empty() || end - parts.back().begin > most)
      parts.push_back({i, i, begin, begin});
    parts.back().last = i + 1;
    parts.back().end = end;
  }
  return parts;
}
} // namespace

std::vector<Owned> owners(const ParameterList& parameters, int ranks) {
  const auto wanted = static_cast<std::size_t>(ranks);
  std::int64_t low = 1;
  for (std::size_t i = 0; i < parameters.all().size(); ++i)
    low = std::max(low, end_of(parameters, i) - parameters.all()[i].offset);
  std::int64_t high = std::max(low, parameters.extent());
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (filled(parameters, middle).size() <= wanted)
      high = middle;
    else
      low = middle + 1;
  }
  std::vector<Owned> parts = filled(parameters, low);
  const std::size_t all = parameters.all().size();
  parts.resize(wanted, {all, all, parameters.extent(), parameters.extent()});
  return parts;
}

std::int64_t largest_part(const ParameterList& parameters, int ranks) {
  std::int64_t most = 0;
  for (const Owned& part : owners(parameters, ranks))
    most = std::max(most, part.extent());
  return most;
}

} // namespace weft
