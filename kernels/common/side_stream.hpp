// A second queue of work on the device, beside the one that all kernels run in. CUDA builds only.
#pragma once
#include <cstdint>
#include <memory>

namespace weft {

/// Nothing here waits on the host. Everything throws std::runtime_error where the device reports an error: it may be
/// lost.
class SideStream {
 public:
  SideStream();
  ~SideStream();

  /// What is given to this queue from now on waits for all work that the kernels have been given so far.
  void after_kernels();
  /// Kernels that are given work from now on wait for all that this queue has been given.
  void before_kernels();
  /// Whether all of the queue up to the last before_kernels() is done.
  bool done();
  /// Seconds that kernels have stood still at before_kernels(), all calls together whose end done() has told.
  double waited_seconds() const;

  /// into[i] += from[i]
  void add(float* into, const float* from, std::int64_t n);
  void copy(float* to, const float* from, std::int64_t n);
  /// The cudaStream_t, for libraries that work in it.
  void* stream() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

} // namespace weft
