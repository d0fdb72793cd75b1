// Kernels written down once and given to the device again as one piece: CUDA graphs. A build for the host has none.
#pragma once
#include <memory>

namespace weft {

class Recording {
 public:
  /// From now on work that kernels are given is written down and not done. Nothing may wait for the device, allocate
  /// there, or copy from ordinary host memory until end().
  static void begin();
  /// Ends that. Throws std::runtime_error where something could not be written down.
  static Recording end();

  Recording(Recording&&) noexcept;
  ~Recording();
  /// Gives the kernels' queue all that was written down, with the same arguments.
  void launch() const;

 private:
  struct Parts;
  explicit Recording(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

} // namespace weft
