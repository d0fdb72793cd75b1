// Layers for decoding: one row per sample, at one position. Every row's bits are a function of that row alone.
#pragma once
#include "kernels/gemm/few_rows.hpp"
#include "model/plan.hpp"
#include "model/sampling/key_lists.hpp"

namespace weft {

/// What a layer's version for rows is made of.
struct RowSetup {
  const ParameterList& parameters;
  const float* weights; ///< fp32, where the kernels run; outlives the decoder
  std::int64_t samples, length;

  const Parameter& of(Weight weight) const { return parameters[weight.number]; }
  const float* at(Weight weight) const { return weights + of(weight).offset; }
  template <class T>
  StripMatrix<T> matrix(Weight weight) const {
    return StripMatrix<T>(at(weight), of(weight).shape[0], of(weight).shape[1]);
  }
};

/// The position that is computed.
struct Slot {
  std::int64_t position;
  const std::uint16_t* previous; ///< (samples) tokens of position - 1, where the kernels run; not read at position 0
  const KeyLists* lists;         ///< at this position
};

template <class T>
class RowLayer {
 public:
  virtual ~RowLayer() = default;
  /// y = f(x), both (samples, D), overwritten.
  virtual void forward(const Slot& slot, T* y, const T* x) = 0;
  virtual std::size_t cache_bytes() const { return 0; }
};

} // namespace weft
