#include "model/stream/post_norm.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"
#include "model/stream/branch.hpp"

namespace weft {

template <class T>
PostNorm<T>::PostNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms)
    : Stream<T>(plan, width), plan_(plan), D(width), dropout_(dropout), norms_(norms),
      entry_(plan.keep<T>("stream", plan.R * width)), room_(plan, width) {}

template <class T>
void PostNorm<T>::norm(const std::string& name, const std::string& block, const std::string& /*input*/,
                       const std::string& number, float epsilon) {
  Stage stage;
  stage.norm = Norm<T>(plan_, name, block + "mean" + number, block + "rstd" + number, D, epsilon, norms_);
  stage.sum = plan_.keep<T>(block + "sum" + number, plan_.R * D);
  stages_.push_back(std::move(stage));
}

template <class T>
void PostNorm<T>::add(std::unique_ptr<Layer<T>> layer) {
  stages_.back().branch = Branch<T>(plan_, std::move(layer), dropout_);
}

template <class T>
const T* PostNorm<T>::forward(const Pass<T>& p) {
  const T* x = p(entry_);
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const TracedSpan span("forward stage", static_cast<std::int64_t>(s));
    const Stage& stage = stages_[s];
    stage.branch.layer->forward(p, p(room_.branch), x);
    stage.norm.residual(p, p(stage.sum), p(normed_), x, p(room_.branch), stage.branch.dropout(p));
    x = p(normed_);
  }
  return x;
}

template <class T>
T* PostNorm<T>::backward(const Pass<T>& p, T* dout) {
  T *dsum = p(room_.dstream), *dx = dout;
  for (std::size_t s = stages_.size(); s-- > 0;) {
    const TracedSpan span("backward stage", static_cast<std::int64_t>(s));
    const Stage& stage = stages_[s];
    const Norm<T>& norm = stage.norm;
    norm.backward(p, dsum, dx, p(stage.sum), Into::overwrite);
    const T* x = p(entry_);
    if (s > 0) {
      stages_[s - 1].norm.again(p, p(normed_), p(stages_[s - 1].sum));
      x = p(normed_);
    }
    dx = p(room_.branch);
    const T* dbranch = branch_gradient(p, stage.branch, dsum, D, dx, p(room_.no_bias), p(room_.partial));
    stage.branch.layer->backward(p, dx, dbranch, x);
    residual_add(dx, dsum, 1, Dropout{}, {p.sequences(), p.length(), D});
    p.done(norm.gain);
  }
  return dx;
}

/// One row per sample through the chain.
template <class T>
class PostNorm<T>::Rows final : public StreamRows<T> {
 public:
  Rows(const PostNorm& chain, const RowSetup& setup)
      : chain_(chain), setup_(setup), layers_(setup), x_(setup.samples * chain.D, "stream"), sum_(x_.size(), "sum"),
        branch_(x_.size(), "branch"), statistics_(2 * setup.samples, "statistics") {
    for (const Stage& stage : chain.stages_)
      layers_.add(*stage.branch.layer);
  }
  T* entry() override { return x_.data(); }
  const T* forward(const Slot& slot) override {
    for (std::size_t s = 0; s < layers_.size(); ++s) {
      layers_[s].forward(slot, branch_.data(), x_.data());
      chain_.stages_[s].norm.residual_rows(setup_, statistics_.data(), sum_.data(), x_.data(), x_.data(),
                                           branch_.data());
    }
    return x_.data();
  }
  std::size_t cache_bytes() const override { return layers_.cache_bytes(); }

 private:
  const PostNorm& chain_;
  RowSetup setup_;
  RowLayers<T> layers_;
  Buffer<T> x_, sum_, branch_;
  Buffer<float> statistics_;
};

template <class T>
std::unique_ptr<StreamRows<T>> PostNorm<T>::rows(const RowSetup& setup) const {
  return std::make_unique<Rows>(*this, setup);
}

WEFT_FOR_STORAGE_TYPES(PostNorm);

} // namespace weft
