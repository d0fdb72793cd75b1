#include "model/stream/pre_norm.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"
#include "model/stream/branch.hpp"

namespace weft {

template <class T>
PreNorm<T>::PreNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms)
    : Stream<T>(plan, width), plan_(plan), D(width), dropout_(dropout), norms_(norms), recompute_(plan.recompute),
      room_(plan, width) {}

template <class T>
void PreNorm<T>::norm(const std::string& name, const std::string& block, const std::string& input,
                      const std::string& number, float epsilon) {
  Stage stage;
  const bool inside = stages_.size() != blocks_.back();
  stage.input = plan_.keep_unless<T>(inside && recompute_ == Recompute::block, block, input, plan_.R * D);
  stage.norm = Norm<T>(plan_, name, block + "mean" + number, block + "rstd" + number, D, epsilon, norms_);
  stages_.push_back(std::move(stage));
}

template <class T>
void PreNorm<T>::add(std::unique_ptr<Layer<T>> layer) {
  stages_.back().branch = Branch<T>(plan_, std::move(layer), dropout_);
}

template <class T>
void PreNorm<T>::end(const std::string& name, float epsilon) {
  Stage stage;
  stage.input = plan_.keep<T>("stream", plan_.R * D);
  stage.norm = name.empty() ? Norm<T>::identity(D) : Norm<T>(plan_, name, "mean", "rstd", D, epsilon, norms_);
  stages_.push_back(std::move(stage));
}

/// From norm_s(x[s]) in `normed` to x[s+1], and norm_{s+1}(x[s+1]) in `normed`.
template <class T>
void PreNorm<T>::advance(const Pass<T>& p, std::size_t s) {
  const Stage &stage = stages_[s], &next = stages_[s + 1];
  stage.branch.layer->forward_beside(p, p(room_.branch), p(normed_), p(stage.input));
  next.norm.residual(p, p(next.input), p(normed_), p(stage.input), p(room_.branch), stage.branch.dropout(p));
}

template <class T>
const T* PreNorm<T>::forward(const Pass<T>& p) {
  stages_.front().norm.forward(p, p(normed_), entry(p));
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    const TracedSpan span("forward layer", static_cast<std::int64_t>(b));
    for (std::size_t s = blocks_[b]; s < block_end(b); ++s)
      advance(p, s);
  }
  return p(normed_);
}

/// What the backward pass of stages [begin, end), a block, wants and was not kept. Leaves the last one's norm in
/// `normed`.
template <class T>
void PreNorm<T>::again(const Pass<T>& p, std::size_t begin, std::size_t end) {
  stages_[begin].norm.again(p, p(normed_), p(stages_[begin].input));
  for (std::size_t s = begin; s + 1 < end; ++s)
    advance(p, s);
  stages_[end - 1].branch.layer->again(p, p(normed_));
}

template <class T>
T* PreNorm<T>::backward(const Pass<T>& p, T* dout) {
  T *dstream = p(room_.dstream), *dbranch = p(room_.branch), *normed = p(normed_);
  device_zero(dstream, static_cast<std::size_t>(p.rows() * D) * sizeof(T));
  const Stage& end = stages_.back();
  end.norm.backward(p, dstream, dout, p(end.input));
  if (end.norm.gain)
    p.done(end.norm.gain);
  for (std::size_t b = blocks_.size(); b-- > 0;) {
    const TracedSpan span("backward layer", static_cast<std::int64_t>(b));
    if (recompute_ == Recompute::block)
      again(p, blocks_[b], block_end(b));
    for (std::size_t s = block_end(b); s-- > blocks_[b];) {
      const Stage& stage = stages_[s];
      const bool ready = recompute_ == Recompute::block && s + 1 == block_end(b);
      if (!ready)
        stage.norm.again(p, normed, p(stage.input));
      if (recompute_ == Recompute::attention)
        stage.branch.layer->again(p, normed);
      const T* dy = branch_gradient(p, stage.branch, static_cast<const T*>(dstream), D, dbranch, p(room_.no_bias),
                                    p(room_.partial));
      stage.branch.layer->backward_beside(p, dbranch, dy, normed, p(stage.input), dstream);
      stage.norm.backward(p, dstream, dbranch, p(stage.input));
      p.done(stage.norm.gain);
    }
  }
  return dstream;
}

/// One row per sample through the chain.
template <class T>
class PreNorm<T>::Rows final : public StreamRows<T> {
 public:
  Rows(const PreNorm& chain, const RowSetup& setup)
      : chain_(chain), setup_(setup), layers_(setup), stream_(setup.samples * chain.D, "stream"),
        normed_(stream_.size(), "normed"), branch_(stream_.size(), "branch"),
        statistics_(2 * setup.samples, "statistics") {
    for (const Stage& stage : chain.stages_)
      if (stage.branch.layer)
        layers_.add(*stage.branch.layer);
  }
  T* entry() override { return stream_.data(); }
  const T* forward(const Slot& slot) override;
  std::size_t cache_bytes() const override { return layers_.cache_bytes(); }

 private:
  const PreNorm& chain_;
  RowSetup setup_;
  RowLayers<T> layers_;
  Buffer<T> stream_, normed_, branch_;
  Buffer<float> statistics_;
};

template <class T>
const T* PreNorm<T>::Rows::forward(const Slot& slot) {
  chain_.stages_.front().norm.rows(setup_, statistics_.data(), normed_.data(), stream_.data());
  for (std::size_t s = 0; s < layers_.size(); ++s) {
    const Norm<T>& next = chain_.stages_[s + 1].norm;
    layers_[s].forward_beside(slot, branch_.data(), normed_.data(), stream_.data());
    next.residual_rows(setup_, statistics_.data(), stream_.data(), normed_.data(), stream_.data(), branch_.data());
  }
  return normed_.data();
}

template <class T>
std::unique_ptr<StreamRows<T>> PreNorm<T>::rows(const RowSetup& setup) const {
  return std::make_unique<Rows>(*this, setup);
}

WEFT_FOR_STORAGE_TYPES(PreNorm);

} // namespace weft
