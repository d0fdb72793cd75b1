// The residual stream with norms in front of the layers (Child et al. 2019, section 5.2): a chain of stages
//   x[s+1] = x[s] + dropout_s(f_s(norm_s(x[s]))),   out = norm_end(x[S])
// in blocks, of which each ends where the next begins. With layer norms the kernel "residual + next norm" is stage s
// with norm s+1.
#pragma once
#include "model/layers/norm.hpp"
#include "model/stream/branch.hpp"
#include "model/stream/stream.hpp"
#include <vector>

namespace weft {

template <class T>
class PreNorm final : public Stream<T> {
 public:
  /// dropout: of every stage.
  PreNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms = NormKind::layer);

  /// With Recompute::block only the stream in front of a block is kept.
  void block() override { blocks_.push_back(stages_.size()); }
  void norm(const std::string& name, const std::string& block, const std::string& input, const std::string& number,
            float epsilon) override;
  void add(std::unique_ptr<Layer<T>> layer) override;
  void end(const std::string& name, float epsilon) override;

  T* entry(const Pass<T>& p) const override { return p(stages_.front().input); }
  const T* forward(const Pass<T>& p) override;
  T* backward(const Pass<T>& p, T* dout) override;
  std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const override;

 private:
  class Rows;
  using Stream<T>::normed_;
  struct Stage {
    Norm<T> norm;
    Piece<T> input;   ///< (R, D) the stream x[s]
    Branch<T> branch; ///< without a layer: the end
  };
  std::size_t block_end(std::size_t block) const {
    return block + 1 < blocks_.size() ? blocks_[block + 1] : stages_.size() - 1;
  }
  void advance(const Pass<T>& p, std::size_t s);
  void again(const Pass<T>& p, std::size_t begin, std::size_t end);

  Plan& plan_;
  std::int64_t D;
  float dropout_;
  NormKind norms_;
  Recompute recompute_;
  std::vector<Stage> stages_; ///< the last one is the end
  std::vector<std::size_t> blocks_;
  BranchRoom<T> room_;
};

} // namespace weft
