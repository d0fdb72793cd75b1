// The first layer: tokens and positions to rows (kernels/embedding). Slot 0 carries a learned start vector, slot i the
// token i-1 at its position.
#pragma once
#include "kernels/embedding/embedding.hpp"
#include "model/layers/rows.hpp"
#include "model/pass.hpp"
#include <array>

namespace weft {

struct EmbeddingSetup {
  std::int64_t width, vocabulary;
  std::vector<std::int64_t> position_tables; ///< rows of each; positions are row-major coordinates over them
  double std_token, std_position;
};

template <class T>
class Embedding {
 public:
  /// Tensors embedding.token, embedding.start, embedding.position.0, ...
  Embedding(Plan& plan, const EmbeddingSetup& setup);
  /// Overwrites out (S, N, D).
  void forward(const Pass<T>& p, T* out) const;
  /// Overwrites the gradients of its weights, which are the first of the list.
  void backward(const Pass<T>& p, const T* dout) const;
  /// Overwrites out (samples, D): the slot alone.
  void forward_row(const RowSetup& setup, const Slot& slot, T* out) const;

 private:
  EmbeddingShape shape(std::int64_t sequences, std::int64_t length) const { return {sequences, length, D, V}; }

  std::int64_t D, V;
  Coordinates coordinates_;
  Weight token_, start_;
  std::array<Weight, max_coordinates> position_;
};

} // namespace weft
