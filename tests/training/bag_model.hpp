// A small model of classes, quick and easy to follow: what the floors above models (steps, evaluations) are tested
// with.
#pragma once
#include "config/config.hpp"
#include "kernels/common/memory.hpp"
#include "model/model.hpp"
#include "model/sampling/decoder.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::test {

/// logits_c = mean over the real tokens t of all documents of W[t, c]; sequences: 2 for pairs. momentum: above 0 there
/// is a running statistic in front of W, the greatest length of a micro-batch and the number of its first row.
class BagModel final : public Model {
 public:
  BagModel(const Config& config, std::int64_t classes, std::int64_t sequences = 1, bool variable = true,
           bool recurrent = false, double momentum = 0)
      : B(config.training.micro_batch), V(config.model.vocabulary), C(classes), S(sequences), variable_(variable) {
    if (momentum > 0) {
      parameters_.add("measured", {2}, Initialiser::one);
      parameters_.mark_running(0, momentum);
    }
    first_ = parameters_.extent();
    parameters_.add("weight", {V, C}, Initialiser::zero, 0, recurrent ? Decay::never : Decay::by_rank);
    if (recurrent)
      parameters_.mark_recurrent(0);
  }
  ModelCosts costs() const override { return {}; }
  void allocate() override {}
  void use_weights(const float* weights) override {
    weights_.resize(static_cast<std::size_t>(parameters_.extent()));
    copy_to_host(weights_.data(), weights, weights_.size() * sizeof(float));
  }
  bool variable_length() const override { return variable_; }

  void forward_backward(const Batch& batch, float* gradients, Scores& scores, const GradientsReady& ready) override {
    std::vector<float> gradient(weights_.size(), 0.0f);
    run(batch, scores, &gradient);
    if (first_ > 0) {
      gradient[0] = static_cast<float>(batch.length);
      gradient[1] = static_cast<float>(batch.first_sample);
    }
    copy_to_device(gradients, gradient.data(), gradient.size() * sizeof(float));
    if (ready)
      ready(0);
  }
  void forward(const Batch& batch, Scores& scores) override { run(batch, scores, nullptr); }
  void copy_logits(float* logits) override { std::copy(logits_.begin(), logits_.end(), logits); }
  std::string first_nonfinite_activation() override { return ""; }
  std::unique_ptr<Decoder> decoder(const float*, std::int64_t, std::int64_t) const override { return nullptr; }

  std::vector<std::int64_t> lengths; ///< of all micro-batches so far

 private:
  void run(const Batch& batch, Scores& scores, std::vector<float>* gradient) {
    lengths.push_back(batch.length);
    logits_.assign(static_cast<std::size_t>(B * C), 0.0f);
    scores.losses.assign(static_cast<std::size_t>(B), 0.0f);
    scores.hits.assign(static_cast<std::size_t>(B), 0.0f);
    for (std::int64_t b = 0; b < B; ++b)
      example(batch, b, scores, gradient);
  }

  std::vector<std::uint16_t> real_tokens(const Batch& batch, std::int64_t b) const {
    std::vector<std::uint16_t> tokens;
    for (std::int64_t s = 0; s < S; ++s)
      for (std::int64_t i = 0, row = s * B + b; i < batch.length; ++i)
        if (!batch.seen || (batch.seen[row * ((batch.length + 31) / 32) + i / 32] >> (i % 32) & 1u) != 0)
          tokens.push_back(batch.tokens[row * batch.length + i]);
    return tokens;
  }

  void example(const Batch& batch, std::int64_t b, Scores& scores, std::vector<float>* gradient) {
    const std::vector<std::uint16_t> tokens = real_tokens(batch, b);
    const float each = 1 / static_cast<float>(tokens.size());
    float* z = logits_.data() + b * C;
    for (const std::uint16_t t : tokens)
      for (std::int64_t c = 0; c < C; ++c)
        z[c] += each * weights_[static_cast<std::size_t>(first_ + t * C + c)];
    double sum = 0;
    for (std::int64_t c = 0; c < C; ++c)
      sum += std::exp(static_cast<double>(z[c]));
    const std::int64_t target = batch.targets[b];
    scores.losses[static_cast<std::size_t>(b)] = static_cast<float>(std::log(sum) - static_cast<double>(z[target]));
    scores.hits[static_cast<std::size_t>(b)] = std::max_element(z, z + C) - z == target ? 1.0f : 0.0f;
    if (!gradient)
      return;
    for (std::int64_t c = 0; c < C; ++c) {
      const auto p = static_cast<float>(std::exp(static_cast<double>(z[c])) / sum) - (c == target ? 1.0f : 0.0f);
      for (const std::uint16_t t : tokens)
        (*gradient)[static_cast<std::size_t>(first_ + t * C + c)] += batch.loss_factor * each * p;
    }
  }

  std::int64_t B, V, C, S, first_ = 0; ///< first_: where W begins
  bool variable_;
  std::vector<float> weights_, logits_;
};

} // namespace weft::test
