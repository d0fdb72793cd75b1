#include "model/families/bilstm.hpp"
#include "model/families/classifier.hpp"
#include "model/sampling/decoder.hpp"
#include "model/storage.hpp"

namespace weft {

namespace {

std::int64_t state_width(const Config& c) { return c.model.state_width > 0 ? c.model.state_width : c.model.width; }

/// One dense layer, which begins as PyTorch's do.
ClassSetup head_of(const Config& c) {
  ClassSetup setup = one_map(c, 2 * state_width(c));
  setup.pooling_width = c.model.pooling_width;
  setup.start = ClassStart::torch;
  return setup;
}

} // namespace

template <class T>
BiLstmClassifier<T>::BiLstmClassifier(const Config& config)
    : Program<T>(config, sequences_of(config), config.model.context), D(config.model.width),
      width_(2 * state_width(config)), between_(static_cast<float>(config.model.layer_dropout)),
      embedding_(plan_, tokens_alone(config)), embedded_(plan_.template keep<T>("embedded", plan_.R * D)),
      lengths_(plan_), stages_(stages(config)), head_(plan_, head_of(config)) {
  plan_.template scratch<T>("branch", plan_.R * D); // the head's gradient lies there, and then each layer's
  this->plan_inputs();
}

template <class T>
std::vector<typename BiLstmClassifier<T>::Stage> BiLstmClassifier<T>::stages(const Config& config) {
  std::vector<Stage> all;
  for (std::int64_t l = 0; l < config.model.layers; ++l) {
    const std::string name = block_name(l, config.model.layers) + "lstm.";
    const bool drops = l > 0 && between_ > 0;
    const Piece<T> dropped = drops ? plan_.template keep<T>(name + "input", plan_.R * width_) : Piece<T>{};
    const std::uint32_t site = drops ? plan_.dropout_site() : 0;
    all.push_back({BiLstm<T>(plan_, name, l == 0 ? D : width_, width_ / 2), dropped, site});
  }
  return all;
}

template <class T>
const T* BiLstmClassifier<T>::input(const Pass<T>& p, std::size_t l) const {
  if (l == 0)
    return p(embedded_);
  return stages_[l].dropped && p.training() ? p(stages_[l].dropped) : stages_[l - 1].layer.out(p);
}

template <class T>
void BiLstmClassifier<T>::run_forward(const Pass<T>& p) {
  lengths_.find(p);
  embedding_.forward(p, p(embedded_));
  for (std::size_t l = 0; l < stages_.size(); ++l) {
    const Stage& stage = stages_[l];
    if (stage.dropped && p.training())
      dropout_forward(p(stage.dropped), stages_[l - 1].layer.out(p), dropout(p, stage),
                      {p.sequences(), p.length(), width_});
    stage.layer.forward(p, input(p, l), lengths_);
  }
  head_.forward(p, stages_.back().layer.out(p));
}

template <class T>
void BiLstmClassifier<T>::run_backward(const Pass<T>& p) {
  T* d = head_.backward(p, stages_.back().layer.out(p));
  for (std::size_t l = stages_.size(); l-- > 0;) {
    const Stage& stage = stages_[l];
    stage.layer.backward(p, d, d, input(p, l), lengths_);
    if (stage.dropped)
      dropout_forward(d, d, dropout(p, stage), {p.sequences(), p.length(), width_});
  }
  embedding_.backward(p, d);
}

template <class T>
std::unique_ptr<Decoder> BiLstmClassifier<T>::decoder(const float* /*weights*/, std::int64_t /*samples*/,
                                                      std::int64_t /*length*/) const {
  refuse_sampling("bilstm");
}

WEFT_FOR_STORAGE_TYPES(BiLstmClassifier);

} // namespace weft
