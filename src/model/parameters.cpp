#include "model/parameters.hpp"
#include "kernels/random/normal.hpp"
#include "kernels/random/uniform.hpp"
#include <algorithm>

namespace weft {

int ParameterList::add(std::string name, std::vector<std::int64_t> shape, Initialiser initialiser, double std,
                       Decay decay) {
  constexpr std::int64_t line = 16; // floats in 64 bytes
  Parameter it{std::move(name), std::move(shape), initialiser, std, extent_, 1, decay};
  for (std::int64_t n : it.shape)
    it.size *= n;
  count_ += it.size;
  extent_ += (it.size + line - 1) / line * line;
  list_.push_back(std::move(it));
  return static_cast<int>(list_.size()) - 1;
}

void initialise(float* values, const ParameterList& parameters, std::uint64_t seed) {
  std::fill_n(values, parameters.extent(), 0.0f);
  std::uint32_t tensor = 0;
  for (const Parameter& p : parameters.all()) {
    float* const to = values + p.offset;
    if (p.initialiser == Initialiser::one)
      std::fill_n(to, p.size, 1.0f);
    if (p.initialiser == Initialiser::normal)
      fill_normal(to, p.size, p.std, seed, tensor);
    if (p.initialiser == Initialiser::uniform)
      fill_uniform(to, p.size, p.std, seed, tensor);
    if (p.initialiser == Initialiser::truncated_normal)
      fill_truncated_normal(to, p.size, p.std, seed, tensor);
    if (p.initialiser == Initialiser::alternating) {
      fill_normal(to, p.size, p.std, seed, tensor);
      for (std::int64_t i = 0; i < p.size; ++i)
        to[i] += i % p.shape.back() % 2 == 0 ? 1.0f : -1.0f;
    }
    ++tensor;
  }
}

} // namespace weft
