#include "model/sampling/chain_decoder.hpp"
#include "config/families.hpp"
#include "io/error.hpp"
#include "kernels/common/alone.hpp"
#include "kernels/common/memory.hpp"
#include "model/storage.hpp"
#include <chrono>
#include <stdexcept>

namespace weft {

template <class T>
ChainDecoder<T>::ChainDecoder(const Config& config, const RowSetup& setup, const Embedding<T>& embedding,
                              const Stream<T>& stream, const LanguageHead<T>& head)
    : setup_(setup), L(config.model.layers), lists_(config, setup.length), embedding_(embedding),
      stream_(stream.rows(setup)), head_(head, setup), previous_(setup.samples, "tokens"),
      threads_(device_is_host ? Runtime::threads() : 1) {
  if (slots_hold_their_token(config))
    throw InputError("got data.scoring = \"reproduction\", whose first slot holds the first token, so that there is "
                     "nothing to predict it from; expected \"paper\"");
}

template <class T>
void ChainDecoder<T>::step(const std::uint16_t* previous, float* logits) {
  if (position_ >= length())
    throw std::logic_error("a decoder of " + std::to_string(length()) + " slots was asked for one more");
  lists_.move_to(position_);
  keys_seen_ = 0;
  for (std::int64_t layer = 0; layer < L; ++layer)
    keys_seen_ += lists_.keys_of_layer(layer);
  if (position_ > 0)
    copy_to_device(previous_.data(), previous, previous_.bytes());
  const Slot slot{position_, previous_.data(), &lists_};
  const Alone alone(threads_.alone());
  const auto begin = std::chrono::steady_clock::now();
  embedding_.forward_row(setup_, slot, stream_->entry());
  const T* rows = stream_->forward(slot);
  if (logits) {
    const Buffer<float>& all = head_.forward(rows);
    copy_to_host(logits, all.data(), all.bytes());
  }
  threads_.took(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  ++position_;
}

WEFT_FOR_STORAGE_TYPES(ChainDecoder);

} // namespace weft
