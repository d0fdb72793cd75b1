#include "training/causality.hpp"
#include "config/families.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/random/normal.hpp"
#include "kernels/random/philox.hpp"
#include <cmath>
#include <cstring>

namespace weft {

namespace {
constexpr std::uint32_t purpose_bytes = 0xCA05A1;

/// Matrices with variance 1 / inputs, so that every layer passes on what it sees; vectors as training begins.
std::vector<float> audit_weights(const ParameterList& parameters, std::uint64_t seed) {
  std::vector<float> weights(static_cast<std::size_t>(parameters.extent()));
  initialise(weights.data(), parameters, seed);
  std::uint32_t number = 0;
  for (const Parameter& p : parameters.all()) {
    ++number;
    if (p.shape.size() == 2)
      fill_normal(weights.data() + p.offset, p.size, 1 / std::sqrt(static_cast<double>(p.shape[0])), seed, number);
  }
  return weights;
}
} // namespace

std::int64_t Causality::first_slot(std::int64_t j) const {
  std::int64_t i = 0;
  while (i < length && !sees(i, j))
    ++i;
  return i;
}

std::int64_t Causality::leaking() const {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < length; ++j)
    count += leaks(j);
  return count;
}

std::int64_t Causality::early() const {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < length; ++j)
    count += first_slot(j) < j;
  return count;
}

Causality audit_causality(Model& model, const Config& config, const std::function<void(double)>& progress) {
  const std::int64_t N = config.model.context, V = config.model.vocabulary;
  const auto row = static_cast<std::size_t>(V), rows = static_cast<std::size_t>(N);
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  const std::vector<float> host = audit_weights(model.parameters(), seed);
  Buffer<float> weights(model.parameters().extent(), "weights");
  copy_to_device(weights.data(), host.data(), weights.bytes());
  model.use_weights(weights.data());

  std::vector<std::uint16_t> tokens(rows);
  for (std::int64_t i = 0; i < N; ++i)
    tokens[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(
        random4({seed, 0, 0, purpose_bytes}, static_cast<std::uint32_t>(i)).x[0] % static_cast<std::uint32_t>(V));
  Batch batch;
  batch.tokens = batch.targets = tokens.data();
  batch.length = N;
  Scores scores;
  std::vector<float> before(rows * row), after(rows * row);
  model.forward(batch, scores);
  model.copy_logits(before.data());

  Causality result;
  result.length = N;
  result.moved.resize(rows * rows);
  const std::size_t shift = slots_hold_their_token(config) ? 1 : 0;
  for (std::size_t j = 0; j < rows; ++j) {
    const std::uint16_t kept = tokens[j];
    tokens[j] = static_cast<std::uint16_t>((kept + V / 2) % V);
    model.forward(batch, scores);
    model.copy_logits(after.data());
    // Where slot i holds token i, the slot that predicts token i is the one before.
    for (std::size_t i = 0; i + shift < rows; ++i)
      result.moved[j * rows + i + shift] = std::memcmp(&before[i * row], &after[i * row], row * sizeof(float)) != 0;
    tokens[j] = kept;
    if (progress)
      progress(static_cast<double>(j + 1) / static_cast<double>(rows));
  }
  return result;
}

} // namespace weft
