// Token by token: the forward pass of a trained model for one new slot of several sequences at once, over a cache of
// keys and values per layer. A token costs the keys that its pattern sees. See docs/sampling.md.
#pragma once
#include "model/model.hpp"
#include <cstdint>
#include <memory>

namespace weft {

class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Forgets everything: the next step is slot 0. The cache's memory is kept.
  virtual void restart() = 0;
  /// The slot that the next step computes: how many steps were taken since the start.
  virtual std::int64_t position() const = 0;
  /// Slot i = position(): previous[samples] (host) are the tokens i - 1, not read at slot 0. logits: (samples, V) in
  /// host memory, those of token i, overwritten; null while a given part is only read in. They are what Model::forward
  /// has there, up to the order of its sums; a sample's bits do not depend on the samples beside it or on threads.
  /// Throws std::logic_error behind the last slot.
  virtual void step(const std::uint16_t* previous, float* logits) = 0;

  virtual std::int64_t samples() const = 0;
  virtual std::int64_t length() const = 0;
  /// Keys that the last step's heads saw, over all layers, for one sample.
  virtual std::int64_t keys_seen() const = 0;
  virtual std::size_t cache_bytes() const = 0;
};

/// A decoder of `model`, which `config` describes and which outlives it, for `samples` sequences of at most `length` <=
/// N slots. weights: fp32, parameters().extent() elements where the kernels run, to outlive the decoder; the matrices
/// are copied in the storage type. No other memory of the model is used: it need not be allocated. Throws InputError
/// for a length outside 1 .. N and, from step(), where a pattern sees the future.
std::unique_ptr<Decoder> make_decoder(const Model& model, const Config& config, const float* weights,
                                      std::int64_t samples, std::int64_t length);

/// Bytes that its cache will take.
std::size_t decoder_cache_bytes(const Config& config, std::int64_t samples, std::int64_t length);

} // namespace weft
