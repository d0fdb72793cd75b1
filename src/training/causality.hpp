// The leak audit: which slots of a model can see which bytes, measured on the model itself.
//
// Slot i of a window holds byte x_{i-1} (slot 0 the start vector) and predicts x_i. A model of language may use
// x_0 .. x_{i-1} there. So byte x_j may move the logits of slots j+1 .. N-1 and of no other.
#pragma once
#include "config/config.hpp"
#include "model/model.hpp"
#include <cstdint>
#include <functional>
#include <vector>

namespace weft {

struct Causality {
  std::int64_t length = 0;         ///< N
  std::vector<std::uint8_t> moved; ///< [j * N + i]: changing byte x_j moves a bit of the logits of slot i
  bool sees(std::int64_t slot, std::int64_t byte) const {
    return moved[static_cast<std::size_t>(byte * length + slot)] != 0;
  }
  /// Whether x_j is visible to the slot that predicts it.
  bool leaks(std::int64_t j) const { return sees(j, j); }
  /// The first slot that x_j moves; N where it moves none.
  std::int64_t first_slot(std::int64_t j) const;
  std::int64_t leaking() const; ///< targets x_j that their slot sees
  std::int64_t early() const;   ///< targets x_j that some slot before theirs sees
  bool causal() const { return leaking() == 0 && early() == 0; }
};

/// Runs the model N + 1 times on one window of random bytes, each time with another byte changed, and compares the bits
/// of the logits. The weights are random, the output matrix too: where it is zero, as at the start of training, nothing
/// could be seen. `model` must have been made and allocated for micro-batches of one sequence: in a larger one the
/// order of sums could depend on the row. `progress` is called with the share done.
Causality audit_causality(Model& model, const Config& config, const std::function<void(double)>& progress);

} // namespace weft
