#include "model/families/lru.hpp"
#include "model/families/classifier.hpp"
#include "model/layers/lru.hpp"
#include "model/sampling/decoder.hpp"
#include "model/storage.hpp"

namespace weft {

namespace {
constexpr float norm_epsilon = 1e-6f;

LruSetup lru_of(const Config& c) {
  const auto& m = c.model;
  return {m.width,
          m.state_width > 0 ? m.state_width : m.width,
          m.bidirectional ? 2 : 1,
          m.r_min,
          m.r_max,
          m.phase_max,
          static_cast<float>(m.dropout)};
}
} // namespace

template <class T>
LruClassifier<T>::LruClassifier(const Config& config)
    : Program<T>(config, sequences_of(config), config.model.context), embedding_(plan_, tokens_alone(config)),
      stream_(blocks(config)), head_(plan_, one_map(config, config.model.width)) {
  this->plan_inputs();
}

template <class T>
std::unique_ptr<Stream<T>> LruClassifier<T>::blocks(const Config& config) {
  const auto& m = config.model;
  auto stream = make_stream<T>(m.stream, plan_, m.width, static_cast<float>(m.dropout));
  for (std::int64_t l = 0; l < m.layers; ++l) {
    const std::string block = block_name(l, m.layers);
    stream->block();
    stream->norm(block + "norm", block, "input", "", norm_epsilon);
    stream->add(std::make_unique<Lru<T>>(plan_, block, lru_of(config)));
  }
  stream->end("norm", norm_epsilon);
  return stream;
}

template <class T>
void LruClassifier<T>::run_forward(const Pass<T>& p) {
  embedding_.forward(p, stream_->entry(p));
  head_.forward(p, stream_->forward(p));
}

template <class T>
void LruClassifier<T>::run_backward(const Pass<T>& p) {
  embedding_.backward(p, stream_->backward(p, head_.backward(p, stream_->out(p))));
}

template <class T>
std::unique_ptr<Decoder> LruClassifier<T>::decoder(const float* /*weights*/, std::int64_t /*samples*/,
                                                   std::int64_t /*length*/) const {
  refuse_sampling("lru");
}

WEFT_FOR_STORAGE_TYPES(LruClassifier);

} // namespace weft
