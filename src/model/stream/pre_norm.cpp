// The residual stream with norms in front of the layers (Child et al. 2019, section 5.2): a chain of stages
//   x[s+1] = x[s] + dropout_s(f_s(norm_s(x[s]))),   out = norm_end(x[S])
// in blocks, of which each ends where the next begins. With layer norms the kernel "residual + next norm" is stage s
// with norm s+1.
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "model/stream/kinds.hpp"

namespace weft {
namespace {

template <class T>
class PreNorm final : public Stream<T> {
 public:
  PreNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms)
      : Stream<T>(plan, width, dropout), norms_(norms), recompute_(plan.recompute), room_(plan, width) {}

  /// With Recompute::block only the stream in front of a block is kept.
  void block() override { blocks_.push_back(stages_.size()); }

  void norm(const std::string& name, const std::string& block, const std::string& input, const std::string& number,
            float epsilon) override {
    Stage stage;
    const bool inside = stages_.size() != blocks_.back();
    stage.input = plan_.template keep_unless<T>(inside && recompute_ == Recompute::block, block, input, plan_.R * D);
    if (stages_.empty())
      entry_ = stage.input;
    stage.norm = Norm<T>(plan_, name, block + "mean" + number, block + "rstd" + number, D, epsilon, norms_);
    stages_.push_back(std::move(stage));
  }

  void end(const std::string& name, float epsilon) override {
    Stage stage;
    stage.input = plan_.template keep<T>("stream", plan_.R * D);
    stage.norm = name.empty() ? Norm<T>::identity(D) : Norm<T>(plan_, name, "mean", "rstd", D, epsilon, norms_);
    stages_.push_back(std::move(stage));
  }

  const T* forward(const Pass<T>& p) override {
    stages_.front().norm.forward(p, p(normed_), p(entry_));
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const TracedSpan span("forward layer", static_cast<std::int64_t>(b));
      for (std::size_t s = blocks_[b]; s < block_end(b); ++s)
        advance(p, s);
    }
    return p(normed_);
  }

  T* backward(const Pass<T>& p, T* dout) override {
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
          branches_[s].layer->again(p, normed);
        const T* dy = branch_gradient(p, branches_[s], static_cast<const T*>(dstream), D, dbranch, p(room_.no_bias),
                                      p(room_.partial));
        branches_[s].layer->backward_beside(p, dbranch, dy, normed, p(stage.input), dstream);
        stage.norm.backward(p, dstream, dbranch, p(stage.input));
        p.done(stage.norm.gain);
      }
    }
    return dstream;
  }

  std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const override {
    return std::make_unique<Rows>(*this, setup);
  }

 private:
  using Stream<T>::plan_, Stream<T>::D, Stream<T>::entry_, Stream<T>::normed_, Stream<T>::branches_;
  struct Stage {
    Norm<T> norm;
    Piece<T> input; ///< (R, D) the stream x[s]
  };
  std::size_t block_end(std::size_t block) const {
    return block + 1 < blocks_.size() ? blocks_[block + 1] : stages_.size() - 1;
  }

  /// From norm_s(x[s]) in `normed` to x[s+1], and norm_{s+1}(x[s+1]) in `normed`.
  void advance(const Pass<T>& p, std::size_t s) {
    const Stage &stage = stages_[s], &next = stages_[s + 1];
    branches_[s].layer->forward_beside(p, p(room_.branch), p(normed_), p(stage.input));
    next.norm.residual(p, p(next.input), p(normed_), p(stage.input), p(room_.branch), branches_[s].dropout(p));
  }

  /// What the backward pass of stages [begin, end), a block, wants and was not kept. Leaves the last one's norm in
  /// `normed`.
  void again(const Pass<T>& p, std::size_t begin, std::size_t end) {
    stages_[begin].norm.again(p, p(normed_), p(stages_[begin].input));
    for (std::size_t s = begin; s + 1 < end; ++s)
      advance(p, s);
    branches_[end - 1].layer->again(p, p(normed_));
  }

  /// One row per sample through the chain.
  class Rows final : public StreamRows<T> {
    using StreamRows<T>::setup_, StreamRows<T>::layers_, StreamRows<T>::entry_, StreamRows<T>::statistics_;

   public:
    Rows(const PreNorm& chain, const RowSetup& setup)
        : StreamRows<T>(setup, chain.branches_, chain.D), chain_(chain), normed_(entry_.size(), "normed"),
          branch_(entry_.size(), "branch") {}
    const T* forward(const Slot& slot) override {
      T* x = entry_.data();
      chain_.stages_.front().norm.rows(setup_, statistics_.data(), normed_.data(), x);
      for (std::size_t s = 0; s < layers_.size(); ++s) {
        layers_[s]->forward_beside(slot, branch_.data(), normed_.data(), x);
        chain_.stages_[s + 1].norm.residual_rows(setup_, statistics_.data(), x, normed_.data(), x, branch_.data());
      }
      return normed_.data();
    }

   private:
    const PreNorm& chain_;
    Buffer<T> normed_, branch_;
  };

  NormKind norms_;
  Recompute recompute_;
  std::vector<Stage> stages_; ///< the last one is the end, without a branch
  std::vector<std::size_t> blocks_;
  BranchRoom<T> room_;
};

} // namespace

WEFT_STREAM_KIND(pre_norm, PreNorm);

} // namespace weft
