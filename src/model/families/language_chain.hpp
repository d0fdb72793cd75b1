// A chain that predicts the next token and can be sampled from.
#pragma once
#include "model/families/chain.hpp"
#include "model/heads/language.hpp"
#include "model/sampling/chain_decoder.hpp"

namespace weft {

template <class T>
class LanguageChain : public Chain<T, LanguageHead<T>> {
 public:
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const final {
    const RowSetup setup{this->parameters(), weights, samples, length};
    return std::make_unique<ChainDecoder<T>>(config_, setup, this->embedding_, *this->stream_, this->head_);
  }

 protected:
  LanguageChain(const Config& config, const ChainSetup& setup, const LanguageSetup& head)
      : Chain<T, LanguageHead<T>>(config, config.training.micro_batch, std::nullopt, setup, head), config_(config) {}

 private:
  const Config config_;
};

} // namespace weft
