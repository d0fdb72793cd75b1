// The permutation by which PyTorch's random_split takes a data set apart, so that published splits can be made again.
#pragma once
#include <cstdint>
#include <vector>

namespace weft {

/// What torch.randperm(n) gives on the CPU after manual_seed(seed), n below 2^31: numbers 0 .. n-1; for i = 0 .. n-2
/// entry i changes places with entry i + (next word of MT19937 mod (n - i)).
std::vector<std::int64_t> torch_permutation(std::int64_t n, std::uint32_t seed);

constexpr std::uint32_t arena_split_seed = 42; ///< of S4, S5 and MEGA for Image, Pathfinder and Path-X

} // namespace weft
