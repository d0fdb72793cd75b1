// Two residual streams that can be computed backwards (Gomez et al. 2017, arXiv:1707.04585; Kitaev, Kaiser, Levskaya
// 2020, arXiv:2001.04451, section 3): stage s adds to stream t = s mod 2 a function of the other one,
//   x_t += dropout_s(f_s(norm_s(x_{1-t})))
// so that its input is what the sum less the same branch gives. Both begin as the embedding; out = norm((x_0 + x_1)/2).
//
// What is kept for the backward pass is the two sums behind the last stage (and hash buckets): the memory of
// activations does not grow with the number of stages. The streams and their gradients are fp32 whatever the storage
// type: a stream that is computed backwards differs from what it was by rounding, a few units in the last place for
// each stage. Dropout's masks are functions of the step and the site, so they are the same again.
#include "kernels/common/regions.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/sum/sum.hpp"
#include "model/stream/kinds.hpp"
#include <stdexcept>

namespace weft {
namespace {

template <class T>
class Reversible final : public Stream<T> {
 public:
  Reversible(Plan& plan, std::int64_t width, float dropout, NormKind /*norms*/) : Stream<T>(plan, width, dropout) {
    if (plan.recompute != Recompute::block)
      throw std::logic_error("a reversible stream whose layers keep what they make");
    const std::int64_t n = plan.R * D;
    for (int t = 0; t < 2; ++t) {
      streams_[t] = plan.keep<float>("stream." + std::to_string(t), n);
      dstreams_[t] = plan.scratch<float>("dstream." + std::to_string(t), n);
    }
    entry_ = branch_ = plan.scratch<T>("branch", n);
    normed32_ = plan.scratch<float>(std::is_same_v<T, float> ? "normed" : "normed in fp32", n);
    branch32_ = plan.scratch<float>(std::is_same_v<T, float> ? "branch" : "branch in fp32", n);
    joined_ = plan.scratch<float>("joined", n);
    mean_ = plan.scratch<float>("mean", plan.R);
    rstd_ = plan.scratch<float>("rstd", plan.R);
    partial_ = plan.scratch<float>("partial", norm_workspace(plan.R, D));
    sums_ = plan.scratch<float>("column sums", column_sum_workspace(plan.R, D));
    no_bias_ = plan.scratch<float>("no bias", D);
  }

  void norm(const std::string& name, const std::string& /*block*/, const std::string& /*input*/,
            const std::string& /*number*/, float epsilon) override {
    Stage stage;
    stage.gain = plan_.weight(name + ".gain", {D}, Initialiser::one);
    stage.bias = plan_.weight(name + ".bias", {D}, Initialiser::zero);
    stage.epsilon = epsilon;
    stages_.push_back(std::move(stage));
  }

  void end(const std::string& name, float epsilon) override { norm(name, "", "", "", epsilon); }

  const T* forward(const Pass<T>& p) override {
    for (const Piece<float> x : streams_)
      convert(p(x), p(branch_), p.rows() * D);
    for (std::size_t s = 0; s + 1 < stages_.size(); ++s) {
      const TracedSpan span("forward stage", static_cast<std::int64_t>(s));
      const Stage& stage = stages_[s];
      float *to = p(streams_[s % 2]), *from = p(streams_[1 - s % 2]);
      branches_[s].layer->forward(p, p(branch_), normed(p, stage, from));
      residual_add(to, p(branch_), 1, branches_[s].dropout(p), {p.sequences(), p.length(), D});
    }
    return normed(p, stages_.back(), joined(p));
  }

  T* backward(const Pass<T>& p, T* dout) override {
    const std::int64_t n = p.rows() * D;
    const Stage& end = stages_.back();
    const float* x = joined(p);
    normed(p, end, x); // for its statistics
    norm_gradient(p, end, p(dstreams_[0]), dout, x, Into::overwrite);
    scale(p(dstreams_[0]), 0.5, n);
    convert(p(dstreams_[1]), p(dstreams_[0]), n);
    p.done(end.gain);
    for (std::size_t s = stages_.size() - 1; s-- > 0;) {
      const TracedSpan span("backward stage", static_cast<std::int64_t>(s));
      const Stage& stage = stages_[s];
      const Branch<T>& branch = branches_[s];
      const Dropout dropout = branch.dropout(p);
      float *to = p(streams_[s % 2]), *from = p(streams_[1 - s % 2]);
      const float* dto = p(dstreams_[s % 2]);
      // The sum less the branch is the stream before it.
      const T* inside = normed(p, stage, from);
      branch.layer->forward_again(p, p(branch_), inside);
      residual_add(to, p(branch_), -1, dropout, {p.sequences(), p.length(), D});
      const float* dbranch = branch_gradient(p, branch, dto, D, p(branch32_), p(no_bias_), p(sums_));
      if constexpr (std::is_same_v<T, float>) {
        branch.layer->backward(p, p(branch_), dbranch, inside);
      } else {
        convert(p(branch_), dbranch, n);
        branch.layer->backward(p, p(branch_), p(branch_), inside);
      }
      norm_gradient(p, stage, p(dstreams_[1 - s % 2]), p(branch_), from, Into::add);
      p.done(stage.gain);
    }
    weft::add(p(dstreams_[0]), p(dstreams_[0]), p(dstreams_[1]), n);
    convert(p(branch_), p(dstreams_[0]), n);
    return p(branch_);
  }

  std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const override {
    return std::make_unique<Rows>(*this, setup);
  }

 private:
  using Stream<T>::plan_, Stream<T>::D, Stream<T>::entry_, Stream<T>::normed_, Stream<T>::branches_;
  struct Stage {
    Weight gain, bias;
    float epsilon = 0;
  };

  /// norm(x) in the storage type; leaves its statistics for norm_gradient.
  const T* normed(const Pass<T>& p, const Stage& stage, const float* x) const {
    norm_forward(p(normed32_), p(mean_), p(rstd_), x, p.w(stage.gain), p.w(stage.bias), p.rows(), D, stage.epsilon);
    if constexpr (!std::is_same_v<T, float>)
      convert(p(normed_), p(normed32_), p.rows() * D);
    return p(normed_);
  }

  /// From dout, the gradient of what normed() made of x, to dx. Overwrites the gradients of the norm's weights.
  void norm_gradient(const Pass<T>& p, const Stage& stage, float* dx, const T* dout, const float* x, Into into) const {
    const float* d = nullptr;
    if constexpr (std::is_same_v<T, float>) {
      d = dout;
    } else {
      convert(p(branch32_), dout, p.rows() * D);
      d = p(branch32_);
    }
    norm_backward(dx, p.dw(stage.gain), p.dw(stage.bias), d, x, p(mean_), p(rstd_), p.w(stage.gain), p.rows(), D,
                  p(partial_), into);
  }

  /// (x_0 + x_1) / 2
  const float* joined(const Pass<T>& p) const {
    const std::int64_t n = p.rows() * D;
    weft::add(p(joined_), p(streams_[0]), p(streams_[1]), n);
    scale(p(joined_), 0.5, n);
    return p(joined_);
  }

  /// One row per sample through both streams.
  class Rows final : public StreamRows<T> {
    using StreamRows<T>::setup_, StreamRows<T>::layers_, StreamRows<T>::entry_, StreamRows<T>::statistics_;

   public:
    Rows(const Reversible& chain, const RowSetup& setup)
        : StreamRows<T>(setup, chain.branches_, chain.D), chain_(chain),
          n(entry_.size()), streams_{Buffer<float>(n, "stream"), Buffer<float>(n, "stream")}, normed32_(n, "normed"),
          normed_(n, "normed") {}
    const T* forward(const Slot& slot) override {
      for (Buffer<float>& x : streams_)
        convert(x.data(), entry_.data(), n);
      for (std::size_t s = 0; s < layers_.size(); ++s) { // a branch overwrites the entry
        layers_[s]->forward(slot, entry_.data(), normed(chain_.stages_[s], streams_[1 - s % 2].data()));
        residual_add(streams_[s % 2].data(), entry_.data(), 1, Dropout{}, {setup_.samples, 1, chain_.D});
      }
      float* joined = streams_[0].data();
      weft::add(joined, streams_[0].data(), streams_[1].data(), n);
      scale(joined, 0.5, n);
      return normed(chain_.stages_.back(), joined);
    }

   private:
    const T* normed(const Stage& stage, const float* x) {
      norm_forward(normed32_.data(), statistics_.data(), statistics_.data() + setup_.samples, x, setup_.at(stage.gain),
                   setup_.at(stage.bias), setup_.samples, chain_.D, stage.epsilon);
      convert(normed_.data(), normed32_.data(), n);
      return normed_.data();
    }

    const Reversible& chain_;
    const std::int64_t n;
    Buffer<float> streams_[2], normed32_;
    Buffer<T> normed_;
  };

  std::vector<Stage> stages_; ///< the last one is the end, without a branch
  Piece<float> streams_[2], dstreams_[2];
  Piece<T> branch_;
  Piece<float> normed32_, branch32_, joined_, mean_, rstd_, partial_, sums_, no_bias_;
};

} // namespace

WEFT_STREAM_KIND(reversible, Reversible);

} // namespace weft
