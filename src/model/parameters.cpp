#include "model/parameters.hpp"
#include "kernels/random/normal.hpp"
#include "kernels/random/uniform.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

int ParameterList::add(std::string name, std::vector<std::int64_t> shape, Initialiser initialiser, double std,
                       Decay decay, double inner) {
  constexpr std::int64_t line = 16; // floats in 64 bytes
  Parameter it{std::move(name), std::move(shape), initialiser, std, extent_, 1, decay, inner};
  for (std::int64_t n : it.shape)
    it.size *= n;
  count_ += it.size;
  extent_ += (it.size + line - 1) / line * line;
  list_.push_back(std::move(it));
  return static_cast<int>(list_.size()) - 1;
}

namespace {

/// A number of fill_uniform's as one within (0, 1), ends left out.
double share(float x) { return std::clamp(0.5 * (static_cast<double>(x) + 1), 0x1p-25, 1 - 0x1p-25); }

/// Radii of points that lie evenly on a ring (Orvieto et al. 2023, lemma 3.2).
void fill_ring_sizes(float* to, const Parameter& p, std::uint64_t seed, std::uint32_t tensor) {
  fill_uniform(to, p.size, 1, seed, tensor);
  for (std::int64_t i = 0; i < p.size; ++i) {
    const double squared = share(to[i]) * (p.std * p.std - p.inner * p.inner) + p.inner * p.inner;
    to[i] = static_cast<float>(std::log(-0.5 * std::log(squared)));
  }
}
void fill_ring_gains(float* to, const Parameter& p, const float* sizes) {
  for (std::int64_t i = 0; i < p.size; ++i) // 1 - exp(-2 exp(nu))
    to[i] = static_cast<float>(0.5 * std::log(-std::expm1(-2 * std::exp(static_cast<double>(sizes[i])))));
}
void fill_ring_angles(float* to, const Parameter& p, std::uint64_t seed, std::uint32_t tensor) {
  fill_uniform(to, p.size, 1, seed, tensor);
  for (std::int64_t i = 0; i < p.size; ++i)
    to[i] = static_cast<float>(std::log(p.std * share(to[i])));
}

void fill_multiples(float* to, const Parameter& p) {
  for (std::int64_t i = 0; i < p.size; ++i)
    to[i] = static_cast<float>(p.std * static_cast<double>(i % p.shape.back()));
}
void fill_between(float* to, const Parameter& p, std::uint64_t seed, std::uint32_t tensor) {
  fill_uniform(to, p.size, 1, seed, tensor);
  for (std::int64_t i = 0; i < p.size; ++i)
    to[i] = static_cast<float>(p.inner + (p.std - p.inner) * share(to[i]));
}

} // namespace

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
    if (p.initialiser == Initialiser::ring_size)
      fill_ring_sizes(to, p, seed, tensor);
    if (p.initialiser == Initialiser::ring_gain)
      fill_ring_gains(to, p, values + parameters[static_cast<int>(tensor) - 1].offset);
    if (p.initialiser == Initialiser::ring_angle)
      fill_ring_angles(to, p, seed, tensor);
    if (p.initialiser == Initialiser::constant)
      std::fill_n(to, p.size, static_cast<float>(p.std));
    if (p.initialiser == Initialiser::multiples)
      fill_multiples(to, p);
    if (p.initialiser == Initialiser::between)
      fill_between(to, p, seed, tensor);
    ++tensor;
  }
}

} // namespace weft
