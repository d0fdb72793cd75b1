// The first layer: tokens and positions, or grey values, to rows, a norm where the family has one, and dropout
// (kernels/embedding).
#pragma once
#include "kernels/embedding/embedding.hpp"
#include "kernels/embedding/pixels.hpp"
#include "model/layers/norm.hpp"
#include "model/layers/rows.hpp"
#include "model/pass.hpp"
#include <array>
#include <optional>

namespace weft {

/// How the values of pictures lie in [0, 1].
struct PixelSetup {
  float mean, deviation;
};

struct EmbeddingSetup {
  std::int64_t width, vocabulary;
  Slots slots = Slots::shifted;                ///< what lies in the slots of a sequence
  std::vector<std::int64_t> position_tables{}; ///< rows of each; positions are row-major coordinates over them
  std::vector<std::int64_t> position_widths{}; ///< of axial tables; empty: all of width D, summed
  float scale = 1;                             ///< of the token's vector
  bool sinusoid = false;                       ///< a fixed table of positions instead
  Initial token{}, start{}, position{};
  float dropout = -1;                 ///< below 0: the family has none
  std::optional<PixelSetup> pixels{}; ///< tokens are grey values, and slots plain, without positions
  float norm_epsilon = 0;             ///< of a layer norm of the sums; 0: the family has none
  bool tied = false;                  ///< the head uses the token's tensor too, and writes its gradient first
};

template <class T>
class Embedding {
 public:
  /// Tensors embedding.token, embedding.start (not where slots are plain), embedding.position.0, ..., embedding.norm.*;
  /// or with pixels embedding.pixel.weight, embedding.pixel.bias.
  Embedding(Plan& plan, const EmbeddingSetup& setup);
  /// Overwrites out (S, N, D).
  void forward(const Pass<T>& p, T* out) const;
  /// Overwrites the gradients of its weights, which are the first of the list.
  /// dout is overwritten where there is dropout.
  void backward(const Pass<T>& p, T* dout) const;
  /// Overwrites out (samples, D): the slot alone.
  void forward_row(const RowSetup& setup, const Slot& slot, T* out) const;

 private:
  EmbeddingShape shape(std::int64_t sequences, std::int64_t slots) const;
  PixelShape pixels(std::int64_t rows) const { return {rows, D, pixels_->mean, pixels_->deviation}; }
  template <class Pointer, class Of>
  EmbeddingTables<Pointer> tables(const Of& of) const;

  std::int64_t D, V;
  Slots slots_;
  Into token_into_;
  float dropout_, scale_;
  std::uint32_t site_ = 0;
  Buffer<float> sinusoid_; ///< (slots, D); empty: none
  Coordinates coordinates_;
  std::optional<PixelSetup> pixels_;
  Piece<float> partial_;
  Weight token_, start_; ///< with pixels: of value 1, and of value 0
  std::array<Weight, max_coordinates> position_;
  Norm<T> norm_;  ///< without a gain: none
  Piece<T> sums_; ///< (S, N, D) in front of it
};

} // namespace weft
