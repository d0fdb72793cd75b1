// What training, evaluation and sampling need of a model. There is no automatic differentiation: a model is a forward
// program and a backward program, written beside each other.
#pragma once
#include "model/batch.hpp"
#include "model/parameters.hpp"
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

struct Config;
class Decoder;

/// Called during the backward pass: every gradient at a flat offset >= first is final now.
using GradientsReady = std::function<void(std::int64_t first)>;

/// What a run will cost, known before anything is allocated.
struct ModelCosts {
  std::size_t activation_bytes = 0;              ///< the arena
  std::size_t low_precision_bytes = 0;           ///< copies of the weights in the storage type
  std::size_t scratch_bytes = 0;                 ///< of the matrix products
  std::size_t pattern_bytes = 0;                 ///< tile lists
  double matrix_flops_per_token = 0;             ///< forward, matrix products of the layers and the output
  double attention_flops_per_token = 0;          ///< forward, keys that the patterns see
  double executed_attention_flops_per_token = 0; ///< forward, tiles that the engine multiplies
  double backward_factor = 2;                    ///< backward work over forward work, recomputation included
};

class Model {
 public:
  virtual ~Model() = default;
  const ParameterList& parameters() const { return parameters_; }
  virtual ModelCosts costs() const = 0;

  /// Takes the memory that costs() announced. To be called once, before any of the calls below.
  virtual void allocate() = 0;

  /// Weights to use from now on: fp32, parameters().extent() elements where the kernels run. Must be called again
  /// after every change of the weights: the model may keep copies in its storage type.
  virtual void use_weights(const float* weights) = 0;

  /// Whether a micro-batch may be shorter than model.context (Batch::length), a multiple of 64.
  virtual bool variable_length() const { return false; }

  /// Loss of every prediction and the gradient of sum(loss * share) * loss_factor; `gradients` is overwritten. The host
  /// does not wait for the device: `scores` are filled after the next fence(), and are not to be moved or destroyed
  /// before.
  virtual void forward_backward(const Batch& batch, float* gradients, Scores& scores, const GradientsReady& ready) = 0;

  /// Loss of every prediction, without dropout.
  virtual void forward(const Batch& batch, Scores& scores) = 0;

  /// The logits of the last forward(), a row per prediction, to host memory: (B, N, V) of tokens, (B, classes) of
  /// classes.
  virtual void copy_logits(float* logits) = 0;

  /// The integers that the last pass kept under this name in the plan's list, such as the hash buckets of a layer, for
  /// people to look at; none where there is no such piece.
  virtual std::vector<int> kept_integers(const std::string& /*piece*/) { return {}; }

  /// The first activation of the last pass, in the order of the forward pass, that is NaN or infinite; "" if none is.
  virtual std::string first_nonfinite_activation() = 0;

  /// See make_decoder (sampling/decoder.hpp), which checks the length. Throws InputError where the model has none.
  virtual std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const = 0;

 protected:
  ParameterList parameters_;
};

/// The model that the input file describes. Throws InputError.
std::unique_ptr<Model> make_model(const Config& config);

} // namespace weft
