// How a model's layers follow each other: blocks of stages, each a layer and its norm, on rows of width D. What a stage
// does with the rows in front of it is the kind of stream (model.stream).
#pragma once
#include "model/layers/norm.hpp"
#include "model/layers/rows.hpp"
#include "model/stream/branch.hpp"
#include <memory>
#include <string>
#include <vector>

namespace weft {

/// One row per sample through the stages.
template <class T>
class StreamRows {
 public:
  virtual ~StreamRows() = default;
  T* entry() { return entry_.data(); } ///< (samples, D), where the embedding writes
  /// What the head reads.
  virtual const T* forward(const Slot& slot) = 0;
  std::size_t cache_bytes() const {
    std::size_t sum = 0;
    for (const auto& layer : layers_)
      sum += layer->cache_bytes();
    return sum;
  }

 protected:
  StreamRows(const RowSetup& setup, const std::vector<Branch<T>>& branches, std::int64_t width)
      : setup_(setup), entry_(setup.samples * width, "stream"), statistics_(2 * setup.samples, "statistics") {
    for (const Branch<T>& branch : branches)
      layers_.push_back(branch.layer->rows(setup));
  }

  const RowSetup setup_;
  std::vector<std::unique_ptr<RowLayer<T>>> layers_; ///< the stages' versions for rows, in order
  Buffer<T> entry_;
  Buffer<float> statistics_; ///< of the norm that was computed last: Norm::rows
};

template <class T>
class Stream {
 public:
  virtual ~Stream() = default;

  /// A block begins.
  virtual void block() {}
  /// The next stage's norm; `input` names the rows in front of it ("block.00.input"), number: of its norm in the block.
  /// Then its layer.
  virtual void norm(const std::string& name, const std::string& block, const std::string& input,
                    const std::string& number, float epsilon) = 0;
  void add(std::unique_ptr<Layer<T>> layer) { branches_.emplace_back(plan_, std::move(layer), dropout_); }
  /// Behind the last stage; the norm there, where the kind has one, and none where it has no name (pre_norm).
  virtual void end(const std::string& /*name*/, float /*epsilon*/) {}

  T* entry(const Pass<T>& p) const { return p(entry_); }      ///< where the embedding writes
  const T* out(const Pass<T>& p) const { return p(normed_); } ///< what forward returned; until backward begins
  virtual const T* forward(const Pass<T>& p) = 0;
  /// From the gradient of out, which is overwritten, to that of entry. Overwrites the gradients of all its weights.
  virtual T* backward(const Pass<T>& p, T* dout) = 0;

  /// The stages for decoding: a version of every layer for rows. Throws InputError where a layer has none.
  virtual std::unique_ptr<StreamRows<T>> rows(const RowSetup& setup) const = 0;

 protected:
  /// dropout: of every stage.
  Stream(Plan& plan, std::int64_t width, float dropout)
      : plan_(plan), D(width), normed_(plan.scratch<T>("normed", plan.R * width)), dropout_(dropout) {}

  Plan& plan_;
  const std::int64_t D;
  Piece<T> entry_;                  ///< (R, D) which the kind plans
  const Piece<T> normed_;           ///< (R, D) the rows behind a norm
  std::vector<Branch<T>> branches_; ///< of the stages

 private:
  const float dropout_;
};

/// kind: a word of model.stream. dropout: of what every stage adds. norms: layer norms, but for pre_norm and
/// post_norm, which take any kind.
template <class T>
std::unique_ptr<Stream<T>> make_stream(const std::string& kind, Plan& plan, std::int64_t width, float dropout,
                                       NormKind norms = NormKind::layer);

} // namespace weft
