// The residual stream with norms in front of the layers (Child et al. 2019, section 5.2): a chain of stages
//   x[s+1] = x[s] + dropout_s(f_s(norm_s(x[s]))),   out = norm_end(x[S])
// in blocks, of which each ends where the next begins. The kernel "residual + next norm" is stage s with norm s+1.
#pragma once
#include "model/layers/layer.hpp"
#include "model/layers/norm.hpp"
#include "model/layers/rows.hpp"
#include <memory>
#include <vector>

namespace weft {

template <class T>
class PreNorm {
 public:
  /// dropout: of every stage.
  PreNorm(Plan& plan, std::int64_t width, float dropout);

  /// A block begins. With Recompute::block only the stream in front of it is kept.
  void block() { blocks_.push_back(stages_.size()); }
  /// The next stage's norm; `input` names the stream in front of it ("block.00.input"), number: of its norm in the
  /// block. Then its layer.
  void norm(const std::string& name, const std::string& block, const std::string& input, const std::string& number,
            float epsilon);
  void add(std::unique_ptr<Layer<T>> layer);
  /// The norm behind the last stage.
  void end(const std::string& name, float epsilon);

  T* entry(const Pass<T>& p) const { return p(stages_.front().input); } ///< where the embedding writes
  const T* out(const Pass<T>& p) const { return p(normed_); } ///< what forward returned; until backward begins
  const T* forward(const Pass<T>& p);
  /// From the gradient of out, which is overwritten, to that of entry. Overwrites the gradients of all its weights.
  T* backward(const Pass<T>& p, T* dout);

  /// The chain for decoding: a version of every layer for rows.
  class Rows;
  std::unique_ptr<Rows> rows(const RowSetup& setup) const;

 private:
  struct Stage {
    Norm<T> norm;
    Piece<T> input;                  ///< (R, D) the stream x[s]
    std::unique_ptr<Layer<T>> layer; ///< none: the end
    std::uint32_t site = 0;
  };
  std::size_t block_end(std::size_t block) const {
    return block + 1 < blocks_.size() ? blocks_[block + 1] : stages_.size() - 1;
  }
  void advance(const Pass<T>& p, std::size_t s);
  void again(const Pass<T>& p, std::size_t begin, std::size_t end);
  const T* branch_gradient(const Pass<T>& p, const Stage& stage) const;

  Plan& plan_;
  std::int64_t D;
  float dropout_;
  Recompute recompute_;
  std::vector<Stage> stages_; ///< the last one is the end
  std::vector<std::size_t> blocks_;
  Piece<T> normed_, branch_, dstream_;
  Piece<float> partial_, no_bias_;
};

/// One row per sample through the chain.
template <class T>
class PreNorm<T>::Rows {
 public:
  Rows(const PreNorm& chain, const RowSetup& setup);
  T* entry() { return stream_.data(); } ///< (samples, D), where the embedding writes
  /// The rows behind the last norm.
  const T* forward(const Slot& slot);
  std::size_t cache_bytes() const;

 private:
  const PreNorm& chain_;
  RowSetup setup_;
  std::vector<std::unique_ptr<RowLayer<T>>> layers_;
  Buffer<T> stream_, normed_, branch_;
  Buffer<float> statistics_;
};

} // namespace weft
