// The decoder of a language model that is an embedding, a chain of layers and a head: the same parts, row by row.
#pragma once
#include "model/heads/language.hpp"
#include "model/layers/embedding.hpp"
#include "model/sampling/decoder.hpp"
#include "model/sampling/key_lists.hpp"
#include "model/sampling/thread_choice.hpp"
#include "model/stream/stream.hpp"

namespace weft {

template <class T>
class ChainDecoder final : public Decoder {
 public:
  ChainDecoder(const Config& config, const RowSetup& setup, const Embedding<T>& embedding, const Stream<T>& stream,
               const LanguageHead<T>& head);
  void restart() override { position_ = 0; }
  std::int64_t position() const override { return position_; }
  std::int64_t samples() const override { return setup_.samples; }
  std::int64_t length() const override { return setup_.length; }
  std::int64_t keys_seen() const override { return keys_seen_; }
  std::size_t cache_bytes() const override { return stream_->cache_bytes(); }
  void step(const std::uint16_t* previous, float* logits) override;

 private:
  RowSetup setup_;
  std::int64_t L, position_ = 0, keys_seen_ = 0;
  KeyLists lists_;
  const Embedding<T>& embedding_;
  std::unique_ptr<StreamRows<T>> stream_;
  typename LanguageHead<T>::Rows head_;
  Buffer<std::uint16_t> previous_;
  ThreadChoice threads_;
};

} // namespace weft
