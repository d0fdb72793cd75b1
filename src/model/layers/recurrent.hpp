// A block with a linear recurrence and the gate behind it, as linear recurrent units and state space models have it
// (Orvieto et al. 2023, arXiv:2303.06349, appendix A; Gu et al. 2022, arXiv:2206.11893, section 5):
//   y = mix(x),   z = dropout(gelu(y))
//   out = (W_1 z + b_1) * sigmoid(W_2 z + b_2)                         kernels/gate/glu.hpp
#pragma once
#include "kernels/gate/glu.hpp"
#include "model/layers/layer.hpp"

namespace weft {

/// The part of the block that goes along a sequence.
template <class T>
class Mixing {
 public:
  virtual ~Mixing() = default;
  /// Overwrites y.
  virtual void forward(const Pass<T>& p, T* y, const T* x) = 0;
  /// Overwrites dx and the gradients of its tensors.
  virtual void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) = 0;
};

template <class T>
class Recurrent final : public Layer<T> {
 public:
  /// mixing: planned before. family: in the names of tensors and errors. dropout: behind the GELU.
  Recurrent(Plan& plan, const std::string& name, const std::string& family, std::int64_t width, float dropout,
            std::unique_ptr<Mixing<T>> mixing);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  std::unique_ptr<Mixing<T>> mixing_;
  std::string family_;
  std::int64_t D;
  float dropout_;
  std::uint32_t site_;
  Weight glu_weight_, glu_bias_;
  Piece<T> y_, both_;       ///< (R, D), (R, 2D)
  Piece<T> z_, dz_, dboth_; ///< as their numbers
  Piece<float> partial_, no_bias_;
};

} // namespace weft
