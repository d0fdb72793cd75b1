#include "model/stream/post_norm.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"
#include "model/stream/branch_gradient.hpp"

namespace weft {

template <class T>
PostNorm<T>::PostNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms)
    : plan_(plan), D(width), dropout_(dropout), norms_(norms) {
  entry_ = plan.keep<T>("stream", plan.R * D);
  normed_ = plan.scratch<T>("normed", plan.R * D);
  branch_ = plan.scratch<T>("branch", plan.R * D);
  dstream_ = plan.scratch<T>("dstream", plan.R * D);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(plan.R, D));
  no_bias_ = plan.scratch<float>("no bias", D);
}

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
  stages_.back().layer = std::move(layer);
  stages_.back().site = plan_.dropout_site();
  stages_.back().dropout = stages_.back().layer->drops_itself() ? 0.0f : dropout_;
}

template <class T>
const T* PostNorm<T>::forward(const Pass<T>& p) {
  const T* x = p(entry_);
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const TracedSpan span("forward stage", static_cast<std::int64_t>(s));
    const Stage& stage = stages_[s];
    stage.layer->forward(p, p(branch_), x);
    stage.norm.residual(p, p(stage.sum), p(normed_), x, p(branch_), p.dropout(stage.dropout, stage.site));
    x = p(normed_);
  }
  return x;
}

template <class T>
T* PostNorm<T>::backward(const Pass<T>& p, T* dout) {
  T *dsum = p(dstream_), *dx = dout;
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
    dx = p(branch_);
    const T* dbranch =
        branch_gradient(p, *stage.layer, dsum, p.dropout(stage.dropout, stage.site), D, dx, p(no_bias_), p(partial_));
    stage.layer->backward(p, dx, dbranch, x);
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
      layers_.add(*stage.layer);
  }
  T* entry() override { return x_.data(); }
  const T* forward(const Slot& slot) override {
    const std::int64_t S = setup_.samples, D = chain_.D;
    float *mean = statistics_.data(), *rstd = mean + S;
    for (std::size_t s = 0; s < layers_.size(); ++s) {
      const Norm<T>& norm = chain_.stages_[s].norm;
      layers_[s].forward(slot, branch_.data(), x_.data());
      residual_forward(sum_.data(), x_.data(), mean, rstd, x_.data(), branch_.data(), Dropout{}, setup_.at(norm.gain),
                       setup_.at(norm.bias), norm.epsilon, {S, 1, D});
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
