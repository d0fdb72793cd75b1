// Which rank answers for which tensors: it writes them into checkpoints and, with parallel.shard_optimizer, it alone
// holds their moments and updates their weights.
#pragma once
#include "model/parameters.hpp"
#include <vector>

namespace weft {

/// Neighbouring tensors, whole ones.
struct Owned {
  std::size_t first = 0, last = 0; ///< indices into the parameter list, last one past
  std::int64_t begin = 0, end = 0; ///< elements of the flat buffers, gaps between tensors included
  std::int64_t extent() const { return end - begin; }
};

/// The parts of all ranks, in rank order: together they are all tensors, none twice; the largest is as small as parts
/// of neighbouring whole tensors allow. A part is empty where there are fewer tensors than ranks.
std::vector<Owned> owners(const ParameterList& parameters, int ranks);

/// Elements of the largest part.
std::int64_t largest_part(const ParameterList& parameters, int ranks);

} // namespace weft
