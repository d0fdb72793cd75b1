// What moves numbers between the memories of the ranks' devices: a queue of messages and sums beside the kernels' own
// queue. NCCL carries on GPUs (nccl.hpp); the tests have one that goes through MPI.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// One message of an exchange; exactly one of the pointers is set.
struct Message {
  int peer;
  const float* send = nullptr;
  float* receive = nullptr;
  std::int64_t count;
};

/// Everything but open() and settle() only joins the queue and returns. What is in the queue happens in its order.
class Carrier {
 public:
  virtual ~Carrier() = default;
  /// For the log: "NCCL 2.28.9".
  virtual std::string name() const = 0;
  /// Connects the ranks; all of them call it, once, before the calls below. Throws Error.
  virtual void open() = 0;

  /// What comes next in the queue waits for all work that the kernels have been given so far.
  virtual void after_kernels() = 0;
  /// Kernels that are given work from now on wait for all that is in the queue.
  virtual void before_kernels() = 0;
  /// A set of messages at once. Messages between two ranks meet in the order in which either names them.
  virtual void exchange(const std::vector<Message>& messages) = 0;
  /// into[i] += from[i]
  virtual void add(float* into, const float* from, std::int64_t n) = 0;
  virtual void copy(float* to, const float* from, std::int64_t n) = 0;

  /// Waits for all of the queue up to the last before_kernels(). Throws Error where the transport reports that a rank
  /// or a link is lost.
  virtual void settle() = 0;
  /// Seconds that kernels have waited for the queue so far, as far as it is known.
  virtual double waited_seconds() = 0;
};

} // namespace weft
