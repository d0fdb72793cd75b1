#include "model/families/recurrent.hpp"
#include "model/families/classifier.hpp"
#include "model/layers/lru.hpp"
#include "model/layers/s4d.hpp"
#include "model/sampling/decoder.hpp"
#include "model/storage.hpp"

namespace weft {

namespace {
constexpr float norm_epsilon = 1e-6f;

constexpr std::int64_t usual_modes = 32; ///< of a state space model

template <class T>
std::unique_ptr<Mixing<T>> mixing(Plan& plan, const std::string& name, const Config& c) {
  const auto& m = c.model;
  const std::int64_t directions = m.bidirectional ? 2 : 1;
  if (m.family == "s4d") {
    const std::int64_t modes = m.state_width > 0 ? m.state_width : usual_modes;
    return std::make_unique<S4d<T>>(plan, name, S4dSetup{m.width, modes, directions, m.dt_min, m.dt_max});
  }
  const std::int64_t states = m.state_width > 0 ? m.state_width : m.width;
  return std::make_unique<Lru<T>>(plan, name, LruSetup{m.width, states, directions, m.r_min, m.r_max, m.phase_max});
}
} // namespace

template <class T>
RecurrentClassifier<T>::RecurrentClassifier(const Config& config)
    : Program<T>(config, sequences_of(config), config.model.context), family_(config.model.family),
      embedding_(plan_, tokens_alone(config)), stream_(blocks(config)),
      head_(plan_, one_map(config, config.model.width)) {
  this->plan_inputs();
}

template <class T>
std::unique_ptr<Stream<T>> RecurrentClassifier<T>::blocks(const Config& config) {
  const auto& m = config.model;
  auto stream = make_stream<T>(m.stream, plan_, m.width, static_cast<float>(m.dropout));
  for (std::int64_t l = 0; l < m.layers; ++l) {
    const std::string block = block_name(l, m.layers);
    stream->block();
    stream->norm(block + "norm", block, "input", "", norm_epsilon);
    stream->add(std::make_unique<Recurrent<T>>(plan_, block, m.family, m.width, static_cast<float>(m.dropout),
                                               mixing<T>(plan_, block, config)));
  }
  stream->end("norm", norm_epsilon);
  return stream;
}

template <class T>
void RecurrentClassifier<T>::run_forward(const Pass<T>& p) {
  embedding_.forward(p, stream_->entry(p));
  head_.forward(p, stream_->forward(p));
}

template <class T>
void RecurrentClassifier<T>::run_backward(const Pass<T>& p) {
  embedding_.backward(p, stream_->backward(p, head_.backward(p, stream_->out(p))));
}

template <class T>
std::unique_ptr<Decoder> RecurrentClassifier<T>::decoder(const float* /*weights*/, std::int64_t /*samples*/,
                                                         std::int64_t /*length*/) const {
  refuse_sampling(family_);
}

WEFT_FOR_STORAGE_TYPES(RecurrentClassifier);

} // namespace weft
