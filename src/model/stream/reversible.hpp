// Two residual streams that can be computed backwards (Gomez et al. 2017, arXiv:1707.04585; Kitaev, Kaiser, Levskaya
// 2020, arXiv:2001.04451, section 3): stage s adds to stream t = s mod 2 a function of the other one,
//   x_t += dropout_s(f_s(norm_s(x_{1-t})))
// so that its input is what the sum less the same branch gives. Both begin as the embedding; out = norm((x_0 + x_1)/2).
//
// What is kept for the backward pass is the two sums behind the last stage (and hash buckets): the memory of
// activations does not grow with the number of stages. The streams and their gradients are fp32 whatever the storage
// type: a stream that is computed backwards differs from what it was by rounding, a few units in the last place for
// each stage. Dropout's masks are functions of the step and the site, so they are the same again.
#pragma once
#include "model/stream/branch.hpp"
#include "model/stream/stream.hpp"
#include <vector>

namespace weft {

template <class T>
class Reversible final : public Stream<T> {
 public:
  /// plan.recompute must be Recompute::block: what layers keep is made again.
  Reversible(Plan& plan, std::int64_t width, float dropout);

  void block() override {}
  void norm(const std::string& name, const std::string& block, const std::string& input, const std::string& number,
            float epsilon) override;
  void add(std::unique_ptr<Layer<T>> layer) override;
  void end(const std::string& name, float epsilon) override;

  T* entry(const Pass<T>& p) const override { return p(branch_); }
  const T* forward(const Pass<T>& p) override;
  T* backward(const Pass<T>& p, T* dout) override;
  std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const override;

 private:
  class Rows;
  using Stream<T>::normed_;
  struct Stage {
    Weight gain, bias;
    float epsilon = 0;
    Branch<T> branch; ///< without a layer: the end
  };
  const T* normed(const Pass<T>& p, const Stage& stage, const float* x) const;
  void norm_gradient(const Pass<T>& p, const Stage& stage, float* dx, const T* dout, const float* x, Into into) const;
  const float* joined(const Pass<T>& p) const;

  Plan& plan_;
  std::int64_t D;
  float dropout_;
  std::vector<Stage> stages_; ///< the last one is the end
  Piece<float> streams_[2], dstreams_[2];
  Piece<T> branch_;
  Piece<float> normed32_, branch32_, joined_, mean_, rstd_, partial_, sums_, no_bias_;
};

} // namespace weft
