// Layers for decoding: one row per sample, at one position. Every row's bits are a function of that row alone.
#pragma once
#include "kernels/gemm/few_rows.hpp"
#include "model/plan.hpp"
#include "model/sampling/key_lists.hpp"
#include <algorithm>

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
  template <class T>
  StripMatrix<T> transposed(Weight weight) const {
    const std::int64_t m = of(weight).shape[0], n = of(weight).shape[1];
    std::vector<float> rows(static_cast<std::size_t>(m * n)), columns(rows.size());
    copy_to_host(rows.data(), at(weight), rows.size() * sizeof(float));
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        columns[static_cast<std::size_t>(j * m + i)] = rows[static_cast<std::size_t>(i * n + j)];
    Buffer<float> turned(m * n, "transposed");
    copy_to_device(turned.data(), columns.data(), turned.bytes());
    return StripMatrix<T>(turned.data(), n, m);
  }
  /// Columns [first, end) of a matrix, or numbers of a bias, for each part in turn.
  struct Columns {
    std::int64_t first, end;
  };
  Buffer<float> columns(Weight weight, const std::vector<Columns>& parts) const {
    const std::int64_t n = of(weight).shape.back(), m = of(weight).size / n;
    std::vector<float> all(static_cast<std::size_t>(m * n)), chosen;
    copy_to_host(all.data(), at(weight), all.size() * sizeof(float));
    for (std::int64_t i = 0; i < m; ++i)
      for (const Columns& part : parts)
        chosen.insert(chosen.end(), all.begin() + i * n + part.first, all.begin() + i * n + part.end);
    Buffer<float> to(static_cast<std::int64_t>(chosen.size()), "columns");
    copy_to_device(to.data(), chosen.data(), to.bytes());
    return to;
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
  /// In a stream with norms in front: Layer::forward_beside.
  virtual void forward_beside(const Slot& slot, T* y, const T* x, const T* /*stream*/) { forward(slot, y, x); }
  virtual std::size_t cache_bytes() const { return 0; }
};

} // namespace weft
