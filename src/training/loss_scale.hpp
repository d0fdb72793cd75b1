// The factor on the loss that keeps gradients within fp16: a power of two, so that it changes no digit of them.
#pragma once
#include "config/config.hpp"

namespace weft {

/// Halved by every overflow, doubled after so many good steps in a row. For other precisions than fp16 it is 1 for
/// ever.
class LossScale {
 public:
  LossScale() = default; ///< 1 for ever
  /// For `run.precision`, starting with `optimizer.loss_scale`.
  explicit LossScale(const Config& config);

  bool moves() const { return growth_steps_ > 0; } ///< whether it is there at all: fp16
  double value() const { return value_; }
  std::int64_t good_steps() const { return good_steps_; } ///< since it last changed, or since an overflow

  /// Goes on from what a checkpoint says. Throws std::invalid_argument where that cannot have been a state.
  void restore(double value, std::int64_t good_steps);
  /// A step had finite gradients. True: the scale has doubled.
  bool good_step();
  /// A step had gradients that are not finite. True: the scale has halved, and the step is no bad sign. False: there is
  /// nothing left to lower, the numbers themselves are bad.
  bool overflow();

 private:
  double value_ = 1;
  std::int64_t growth_steps_ = 0, good_steps_ = 0;
};

} // namespace weft
