// The residual stream with norms behind the additions (Vaswani et al. 2017, arXiv:1706.03762, section 5.4): a chain of
// stages
//   z[s] = x[s] + dropout_s(f_s(x[s])),   x[s+1] = norm_s(z[s]),   out = x[S]
// With layer norms the kernel "residual + next norm" is a stage's end. Kept are the sums z; x is made again from them.
#pragma once
#include "model/layers/norm.hpp"
#include "model/stream/branch.hpp"
#include "model/stream/stream.hpp"
#include <vector>

namespace weft {

template <class T>
class PostNorm final : public Stream<T> {
 public:
  PostNorm(Plan& plan, std::int64_t width, float dropout, NormKind norms = NormKind::layer);

  void block() override {}
  void norm(const std::string& name, const std::string& block, const std::string& input, const std::string& number,
            float epsilon) override;
  void add(std::unique_ptr<Layer<T>> layer) override;
  void end(const std::string& /*name*/, float /*epsilon*/) override {}

  T* entry(const Pass<T>& p) const override { return p(entry_); }
  const T* forward(const Pass<T>& p) override;
  T* backward(const Pass<T>& p, T* dout) override;
  std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const override;

 private:
  class Rows;
  using Stream<T>::normed_;
  struct Stage {
    Norm<T> norm;
    Piece<T> sum; ///< (R, D) z[s]
    Branch<T> branch;
  };

  Plan& plan_;
  std::int64_t D;
  float dropout_;
  NormKind norms_;
  std::vector<Stage> stages_;
  Piece<T> entry_;
  BranchRoom<T> room_;
};

} // namespace weft
