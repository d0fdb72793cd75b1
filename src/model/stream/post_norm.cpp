// The residual stream with norms behind the additions (Vaswani et al. 2017, arXiv:1706.03762, section 5.4): a chain of
// stages
//   z[s] = x[s] + dropout_s(f_s(x[s])),   x[s+1] = norm_s(z[s]),   out = x[S]
// With layer norms the kernel "residual + next norm" is a stage's end. Kept are the sums z; x is made again from them.
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "model/stream/kinds.hpp"

namespace weft {
namespace {

template <class T>
class PostNorm final : public Stream<T> {
 public:
  PostNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms)
      : Stream<T>(plan, width, dropout), norms_(norms), room_(plan, width) {
    entry_ = plan.keep<T>("stream", plan.R * width);
  }

  void norm(const std::string& name, const std::string& block, const std::string& /*input*/, const std::string& number,
            float epsilon) override {
    Stage stage;
    stage.norm = Norm<T>(plan_, name, block + "mean" + number, block + "rstd" + number, D, epsilon, norms_);
    stage.sum = plan_.template keep<T>(block + "sum" + number, plan_.R * D);
    stages_.push_back(std::move(stage));
  }

  const T* forward(const Pass<T>& p) override {
    const T* x = p(entry_);
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      const TracedSpan span("forward stage", static_cast<std::int64_t>(s));
      const Stage& stage = stages_[s];
      branches_[s].layer->forward(p, p(room_.branch), x);
      stage.norm.residual(p, p(stage.sum), p(normed_), x, p(room_.branch), branches_[s].dropout(p));
      x = p(normed_);
    }
    return x;
  }

  T* backward(const Pass<T>& p, T* dout) override {
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
      const T* dbranch = branch_gradient(p, branches_[s], dsum, D, dx, p(room_.no_bias), p(room_.partial));
      branches_[s].layer->backward(p, dx, dbranch, x);
      residual_add(dx, dsum, 1, Dropout{}, {p.sequences(), p.length(), D});
      p.done(norm.gain);
    }
    return dx;
  }

  std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const override {
    return std::make_unique<Rows>(*this, setup);
  }

 private:
  using Stream<T>::plan_, Stream<T>::D, Stream<T>::entry_, Stream<T>::normed_, Stream<T>::branches_;
  struct Stage {
    Norm<T> norm;
    Piece<T> sum; ///< (R, D) z[s]
  };

  /// One row per sample through the chain.
  class Rows final : public StreamRows<T> {
    using StreamRows<T>::setup_, StreamRows<T>::layers_, StreamRows<T>::entry_, StreamRows<T>::statistics_;

   public:
    Rows(const PostNorm& chain, const RowSetup& setup)
        : StreamRows<T>(setup, chain.branches_, chain.D), chain_(chain), sum_(entry_.size(), "sum"),
          branch_(entry_.size(), "branch") {}
    const T* forward(const Slot& slot) override {
      T* x = entry_.data();
      for (std::size_t s = 0; s < layers_.size(); ++s) {
        layers_[s]->forward(slot, branch_.data(), x);
        chain_.stages_[s].norm.residual_rows(setup_, statistics_.data(), sum_.data(), x, x, branch_.data());
      }
      return x;
    }

   private:
    const PostNorm& chain_;
    Buffer<T> sum_, branch_;
  };

  NormKind norms_;
  std::vector<Stage> stages_;
  BranchRoom<T> room_;
};

} // namespace

WEFT_STREAM_KIND(post_norm, PostNorm);

} // namespace weft
