#include "config/patterns.hpp"
#include "kernels/lsh/released.hpp"
#include "model/layers/lsh_attention.hpp"
#include <cmath>

namespace weft {

namespace {

constexpr std::int64_t most_unsplit = 128; ///< buckets of one hash, where nobody says how many

/// Twice as many buckets as chunks; many are split into b1 b2, b1 the power of two at their root (trax's default).
std::vector<std::int64_t> automatic_buckets(std::int64_t length, std::int64_t chunk) {
  const std::int64_t b = 2 * std::max<std::int64_t>(1, length / chunk);
  if (b <= most_unsplit)
    return {b};
  std::int64_t b1 = 1;
  while (b1 * b1 < b)
    b1 *= 2;
  return {b1, 2 * (b / (2 * b1))};
}

void use_buckets(LshHash& hash, const std::vector<std::int64_t>& factors) {
  hash.count = static_cast<int>(factors.size());
  for (std::size_t f = 0; f < factors.size(); ++f)
    hash.factors[f] = static_cast<int>(factors[f]);
}

SharedKeys keys_of(const std::string& score) {
  return score == "trax" ? SharedKeys::trax : score == "raw" ? SharedKeys::raw : SharedKeys::unit;
}

} // namespace

std::int64_t LshSetup::slots(std::int64_t length) const { return released ? released_length(length) : length; }

LshRule LshSetup::rule_for(std::int64_t length) const {
  LshRule at = rule;
  if (released)
    at.chunk = slots(length) / 10;
  return at;
}

LshSetup lsh_setup_of(const Config& config, const AttentionSetup& sizes, std::int64_t layer, std::int64_t length) {
  const auto& a = config.attention;
  const auto root = static_cast<float>(std::sqrt(static_cast<double>(sizes.key_width)));
  LshSetup setup;
  setup.released = a.pattern == "lsh" && a.form == "lra" && !is_causal(config);
  if (setup.released) { // fixed key of the random numbers, ten buckets, scores multiplied by the root
    setup.hash.one_for_all_heads = setup.fixed_hashes = true;
    use_buckets(setup.hash, {10});
    setup.rule.scale = root;
    setup.rule.other_buckets = setup.rule.duplicates = true;
    setup.rule.self_last = false;
    setup.rule.chunk = (length / 10 + 1);
    setup.keys = SharedKeys::raw;
    return setup;
  }
  setup.qv_bias = config.model.code != "nystromformer"; // its hashing layer has none
  setup.keys = keys_of(a.score);
  setup.rule.scale = setup.keys == SharedKeys::trax ? 1 : 1 / root;
  setup.rule.causal = is_causal(config);
  setup.rule.self_last = a.self == "last_resort";
  if (a.pattern == "dense") { // everything in one bucket and one chunk
    setup.dense = true;
    setup.rule.chunk = length;
    setup.rule.cyclic = false;
    return setup;
  }
  setup.hash.seed = static_cast<std::uint64_t>(config.run.seed);
  setup.hash.layer = static_cast<std::uint32_t>(layer);
  setup.hash.rounds = setup.rule.rounds = a.rounds;
  setup.rule.chunk = a.chunk;
  use_buckets(setup.hash, a.buckets.empty() ? automatic_buckets(length, a.chunk) : a.buckets);
  setup.fixed_hashes = a.fixed_hashes;
  setup.rule.cyclic = a.look_back == "cyclic";
  setup.rule.other_buckets = a.other_buckets;
  setup.rule.duplicates = a.duplicates;
  setup.rule.mean_of_rounds = a.join == "mean";
  return setup;
}

} // namespace weft
