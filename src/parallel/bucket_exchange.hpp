// How the ranks' parts of a bucket meet. Directly: every rank gets its piece of all tree nodes, adds them up in the
// tree's order, and sends the sum to all. Or in rounds of pairs, where the ranks allow that (halving.hpp). The order of
// the additions is the plan's in any case, whatever carries the numbers.
#pragma once
#include "parallel/carrier.hpp"
#include "parallel/gradient_plan.hpp"
#include <memory>

namespace weft {

class BucketExchange {
 public:
  virtual ~BucketExchange() = default;
  /// Sets a bucket on its way. nodes: this rank's tree nodes, whole gradients of which this bucket's range is final;
  /// the same for all buckets of a step. All ranks start the same buckets in the same order.
  virtual void start(std::size_t bucket, const std::vector<float*>& nodes) = 0;
  /// Does what can be done without waiting.
  virtual void progress() {}
  /// After this the kernels find the sum of all started buckets in the first node.
  virtual void finish() = 0;
  /// Waits until what finish() promised has happened; throws Error if it never will, as a rank or a link is lost.
  virtual void settle() {}
  /// Seconds that finish() held up the kernels so far.
  virtual double waited_seconds() = 0;
};

/// Messages through MPI, from and to host memory. staged: the nodes are on a device, and go through copies on the host.
std::unique_ptr<BucketExchange> mpi_exchange(const Ranks& ranks, const GradientPlan& plan, bool staged);
std::unique_ptr<BucketExchange> mpi_halving(const Ranks& ranks, const GradientPlan& plan, bool staged);

/// Messages and sums in a queue beside the kernels, which the host does not wait for. `rank` is this one's number.
std::unique_ptr<BucketExchange> queued_exchange(int rank, const GradientPlan& plan, Carrier& carrier);
std::unique_ptr<BucketExchange> queued_halving(int rank, const GradientPlan& plan, Carrier& carrier);

/// Bytes that an exchange keeps for what comes in, where the kernels run.
std::size_t mpi_exchange_bytes(int rank, const GradientPlan& plan); ///< every bucket has its own
std::size_t mpi_halving_bytes(int rank, const GradientPlan& plan);
std::size_t queued_exchange_bytes(int rank, const GradientPlan& plan); ///< one bucket's: they come one after the other
std::size_t queued_halving_bytes(int rank, const GradientPlan& plan);

} // namespace weft
