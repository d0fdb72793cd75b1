// A micro-batch on its way through a model: pointers to what the layers read and write where the kernels run. Equal for
// equal Replay::Key, so that its kernels can be recorded.
#pragma once
#include "kernels/gemm/gemm.hpp"
#include "kernels/residual/residual.hpp"
#include "model/plan.hpp"
#include <algorithm>

namespace weft {

template <class T>
class Pass {
 public:
  /// What a program hands to its layers.
  struct Source {
    Source(Arena& memory, const ParameterList& list) : arena(memory), parameters(list) {}
    Arena& arena;
    const ParameterList& parameters;
    const float* weights = nullptr;
    const T* low = nullptr;     ///< the weights as T; null where T is float
    float* gradients = nullptr; ///< null outside training
    const GradientsReady* ready = nullptr;
    Dropout dropout; ///< seed, step and first sample; probability and tensor are the site's
    float loss_factor = 0;
    std::int64_t sequences = 0, length = 0;
    const std::uint16_t *tokens = nullptr, *targets = nullptr; ///< (S, N), (P)
    const std::uint32_t* seen = nullptr;                       ///< (S, ceil(N / 32)); null: every position is real
    const float* shares = nullptr;                             ///< (P); null: all 1
  };
  explicit Pass(const Source& source) : from_(source) {}

  bool training() const { return from_.gradients != nullptr; }
  std::int64_t sequences() const { return from_.sequences; }           ///< S
  std::int64_t length() const { return from_.length; }                 ///< N of this micro-batch
  std::int64_t rows() const { return from_.sequences * from_.length; } ///< R = S N
  const std::uint16_t* tokens() const { return from_.tokens; }
  const std::uint16_t* targets() const { return from_.targets; }
  const std::uint32_t* seen() const { return from_.seen; }
  const float* shares() const { return from_.shares; }
  float loss_factor() const { return from_.loss_factor; }
  /// body(first row, rows) for `chunks` parts of the rows, one after the other.
  template <class Body>
  void in_chunks(std::int64_t chunks, const Body& body) const {
    const std::int64_t most = (rows() + chunks - 1) / chunks;
    for (std::int64_t first = 0; first < rows(); first += most)
      body(first, std::min(most, rows() - first));
  }
  LinearShape linear(std::int64_t inputs, std::int64_t outputs) const { return {rows(), inputs, outputs}; }

  const float* w(Weight weight) const { return from_.weights + offset(weight); } ///< the master weights, fp32
  const T* low(Weight weight) const {                                            ///< in the storage type
    if constexpr (std::is_same_v<T, float>)
      return w(weight);
    else
      return from_.low + offset(weight);
  }
  float* dw(Weight weight) const { return from_.gradients + offset(weight); }
  template <class U>
  U* operator()(Piece<U> piece) const {
    return from_.arena.template at<U>(piece.number);
  }

  /// Of a site, in training; off otherwise.
  Dropout dropout(float probability, std::uint32_t site) const {
    Dropout d = from_.dropout;
    d.probability = training() ? probability : 0.0f;
    d.tensor = site;
    return d;
  }
  /// x (R, width) = dropout(x) at a site, or its gradient; a probability below 0 is none.
  void drop(T* x, std::int64_t width, float probability, std::uint32_t site) const {
    const Dropout d = dropout(std::max(probability, 0.0f), site);
    if (d.probability > 0)
      dropout_forward(x, x, d, {sequences(), length(), width});
  }
  /// The gradients of `first` and of every tensor behind it in the list are final.
  void done(Weight first) const {
    if (from_.ready && *from_.ready)
      (*from_.ready)(offset(first));
  }

 private:
  std::int64_t offset(Weight weight) const { return from_.parameters[weight.number].offset; }
  Source from_;
};

} // namespace weft
