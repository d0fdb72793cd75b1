// What every family shares: memory, uploads, recordings, weights in the storage type, scores, the search for bad
// numbers. A family adds its parts and how they follow each other.
#pragma once
#include "config/config.hpp"
#include "model/heads/predictions.hpp"
#include "model/key_bits.hpp"
#include "model/pass.hpp"
#include "model/replay.hpp"
#include <optional>

namespace weft {

template <class T>
class Program : public Model {
 public:
  /// Micro-batches of at most `sequences` sequences of `length` tokens; front: the layers see one slot more, in front
  /// of the tokens. A family plans its parts in its constructor and calls plan_inputs() at the end.
  Program(const Config& config, std::int64_t sequences, std::int64_t length,
          std::optional<FrontBit> front = std::nullopt);
  ModelCosts costs() const override;
  void allocate() override;
  void use_weights(const float* weights) override;
  void forward_backward(const Batch& batch, float* gradients, Scores& scores, const GradientsReady& ready) override;
  void forward(const Batch& batch, Scores& scores) override;
  void copy_logits(float* logits) override;
  std::vector<int> kept_integers(const std::string& piece) override;
  std::string first_nonfinite_activation() override;

 protected:
  // Kernels only: nothing here waits for the device or depends on the host but through Replay::Key.
  virtual void run_forward(const Pass<T>& p) = 0;
  virtual void run_backward(const Pass<T>& p) = 0;
  virtual const Predictions<T>& predictions() const = 0;
  void plan_inputs();

 private:
  void load(const Batch& batch);
  Pass<T> pass(const Batch& batch, float* gradients, const GradientsReady* ready);
  void train(const Batch& batch, float* gradients, const GradientsReady& ready);
  void fetch(Scores& scores);
  std::int64_t slots_of(const Batch& batch) const { return batch.length + (front_ ? 1 : 0); }

  /// An array of the batch: its place on the device and its way there.
  struct Sent {
    int piece = -1;
    std::size_t bytes = 0;
    std::unique_ptr<Upload> upload;
  };
  Sent place(const char* name, std::int64_t n, int element);
  void send(Sent& sent, const void* from, std::size_t bytes);

  Arena arena_;
  std::unique_ptr<Replay> replay_; ///< none: parallel.cuda_graph is off
  std::optional<FrontBit> front_;
  std::vector<std::uint32_t> shifted_; ///< key bits of the slots, where there is a front one
  Sent tokens_, targets_, seen_, shares_, moment_;
  std::int64_t predicted_ = 0; ///< predictions of the last pass
  const float* weights_ = nullptr;
  Buffer<T> low_precision_; ///< the weights as T; empty where T is float

 protected:
  Plan plan_; ///< behind what it fills
};

} // namespace weft
