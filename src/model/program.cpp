#include "model/program.hpp"
#include "io/error.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

template <class T>
Program<T>::Program(const Config& config, std::int64_t sequences, std::int64_t length, std::optional<FrontBit> front)
    : front_(front), plan_(parameters_, arena_, sequences, length + (front ? 1 : 0), recompute_of(config)) {
  if (config.parallel.cuda_graph && !device_is_host)
    replay_ = std::make_unique<Replay>(device_recorder());
}

template <class T>
ModelCosts Program<T>::costs() const {
  ModelCosts c = plan_.costs();
  if (!std::is_same_v<T, float>)
    c.low_precision_bytes = static_cast<std::size_t>(parameters_.extent()) * sizeof(T);
  for (const LinearShape& shape : plan_.products())
    c.scratch_bytes = std::max(c.scratch_bytes, linear_workspace_bytes<T>(shape));
  return c;
}

template <class T>
typename Program<T>::Sent Program<T>::place(const char* name, std::int64_t n, int element) {
  const std::size_t bytes = static_cast<std::size_t>(n * element);
  return {arena_.plan({name, 0, bytes, element, false}), bytes, nullptr};
}

/// Room for what a batch may hold.
template <class T>
void Program<T>::plan_inputs() {
  const std::int64_t P = predictions().P;
  tokens_ = place("tokens", plan_.R, sizeof(std::uint16_t));
  moment_ = place("moment", 2, sizeof(std::uint32_t)); // step and first sample
  targets_ = place("targets", P, sizeof(std::uint16_t));
  seen_ = place("seen", plan_.S * bit_words(plan_.N), sizeof(std::uint32_t));
  shares_ = place("shares", P, sizeof(float));
}

template <class T>
void Program<T>::allocate() {
  arena_.allocate();
  for (Sent* sent : {&tokens_, &moment_, &targets_, &seen_, &shares_})
    sent->upload = std::make_unique<Upload>(sent->bytes);
  linear_reserve(costs().scratch_bytes);
  if (!std::is_same_v<T, float>)
    low_precision_ = Buffer<T>(parameters_.extent(), "weights in the storage type");
}

template <class T>
void Program<T>::use_weights(const float* weights) {
  weights_ = weights;
  if constexpr (!std::is_same_v<T, float>)
    convert(low_precision_.data(), weights, parameters_.extent());
}

template <class T>
void Program<T>::send(Sent& sent, const void* from, std::size_t bytes) {
  sent.upload->send(arena_.at<unsigned char>(sent.piece), from, bytes);
}

/// What changes from one micro-batch to the next goes to its place on the device.
template <class T>
void Program<T>::load(const Batch& batch) {
  const std::int64_t S = plan_.S, N = slots_of(batch);
  predicted_ = predictions().per_token ? S * N : predictions().P;
  const auto P = static_cast<std::size_t>(predicted_);
  send(tokens_, batch.tokens, static_cast<std::size_t>(S * batch.length) * sizeof(std::uint16_t));
  if (batch.targets != batch.tokens)
    send(targets_, batch.targets, P * sizeof(std::uint16_t));
  if (batch.seen && front_)
    shift_bits(shifted_, batch.seen, S, batch.length, *front_);
  if (batch.seen)
    send(seen_, front_ ? shifted_.data() : batch.seen,
         static_cast<std::size_t>(S * bit_words(N)) * sizeof(std::uint32_t));
  if (batch.shares)
    send(shares_, batch.shares, P * sizeof(float));
  const std::uint32_t moment[] = {batch.step, batch.first_sample};
  send(moment_, moment, sizeof moment);
}

template <class T>
Pass<T> Program<T>::pass(const Batch& batch, float* gradients, const GradientsReady* ready) {
  typename Pass<T>::Source s(arena_, parameters_);
  s.weights = weights_;
  s.low = low_precision_.data();
  s.gradients = gradients;
  s.ready = ready;
  s.dropout = {0, batch.seed, batch.step, batch.first_sample, 0, nullptr};
  if (replay_)
    s.dropout.moment = arena_.at<std::uint32_t>(moment_.piece);
  s.loss_factor = batch.loss_factor;
  s.sequences = plan_.S;
  s.length = slots_of(batch);
  s.tokens = arena_.at<std::uint16_t>(tokens_.piece);
  s.targets = batch.targets != batch.tokens ? arena_.at<std::uint16_t>(targets_.piece) : s.tokens;
  s.seen = batch.seen ? arena_.at<std::uint32_t>(seen_.piece) : nullptr;
  s.shares = batch.shares ? arena_.at<float>(shares_.piece) : nullptr;
  return Pass<T>(s);
}

/// Loss and hits of the last pass, on the host after the next fence().
template <class T>
void Program<T>::fetch(Scores& scores) {
  const auto n = static_cast<std::size_t>(predicted_);
  scores.losses.resize(n);
  scores.hits.resize(n);
  copy_to_host_later(scores.losses.data(), arena_.at<float>(predictions().losses.number), n * sizeof(float));
  copy_to_host_later(scores.hits.data(), arena_.at<float>(predictions().hits.number), n * sizeof(float));
}

template <class T>
void Program<T>::train(const Batch& batch, float* gradients, const GradientsReady& ready) {
  const Pass<T> p = pass(batch, gradients, &ready);
  {
    const TracedSpan span("forward");
    run_forward(p);
  }
  const TracedSpan span("backward");
  run_backward(p);
}

template <class T>
void Program<T>::forward_backward(const Batch& batch, float* gradients, Scores& scores, const GradientsReady& ready) {
  load(batch);
  if (replay_)
    replay_->run(
        {gradients, weights_, batch.loss_factor, batch.seed, batch.length, batch.seen != nullptr,
         batch.shares != nullptr},
        [&](const GradientsReady& reached) { train(batch, gradients, reached); },
        [&](std::int64_t first) {
          if (ready)
            ready(first);
        });
  else
    train(batch, gradients, ready);
  fetch(scores);
}

template <class T>
void Program<T>::forward(const Batch& batch, Scores& scores) {
  load(batch);
  {
    const TracedSpan span("forward");
    run_forward(pass(batch, nullptr, nullptr));
  }
  fetch(scores);
  fence();
}

template <class T>
void Program<T>::copy_logits(float* logits) {
  if (predictions().chunks > 1)
    throw InputError(fmt::format("got model.loss_chunks = {}, with which logits are never there as a whole, expected 1",
                                 predictions().chunks));
  copy_to_host(logits, arena_.at<float>(predictions().logits.number),
               static_cast<std::size_t>(predicted_ * predictions().V) * sizeof(float));
}

template <class T>
std::vector<int> Program<T>::kept_integers(const std::string& piece) {
  const std::vector<Arena::Piece>& pieces = arena_.pieces();
  const auto found = std::find_if(pieces.begin(), pieces.end(), [&](const auto& p) { return p.name == piece; });
  if (found == pieces.end())
    return {};
  std::vector<int> numbers(found->bytes / sizeof(int));
  copy_to_host(numbers.data(), arena_.at<int>(static_cast<int>(found - pieces.begin())), found->bytes);
  return numbers;
}

template <class T>
std::string Program<T>::first_nonfinite_activation() {
  for (std::size_t i = 0; i < arena_.pieces().size(); ++i) {
    const Arena::Piece& piece = arena_.pieces()[i];
    if (!piece.finite)
      continue;
    const auto n = static_cast<std::int64_t>(piece.bytes) / piece.element;
    const int number = static_cast<int>(i);
    const std::int64_t bad = piece.element == 4 ? weft::first_nonfinite(arena_.at<float>(number), n)
                                                : weft::first_nonfinite(arena_.at<T>(number), n);
    if (bad >= 0)
      return piece.name;
  }
  return "";
}

WEFT_FOR_STORAGE_TYPES(Program);

} // namespace weft
