// The gradient of a global batch: each rank adds up its own micro-batches along the fixed tree (tree.hpp), and the
// ranks' parts are added bucket by bucket while the last backward pass still runs.
//
// A bucket is a range of the flat gradient. Each rank owns a piece of every bucket, finishes the tree there, and sends
// the sum to all (bucket_exchange.hpp): directly, or in rounds of pairs where the ranks' slots are whole subtrees of
// one size and the ranks a power of two (halving.hpp). Bytes sent per rank: 2 (R-1)/R of the gradient where R divides
// the slots into whole subtrees, the least there is.
#pragma once
#include "kernels/common/memory.hpp"
#include "parallel/carrier.hpp"
#include "parallel/ranks.hpp"
#include "parallel/tree.hpp"
#include <memory>

namespace weft {

class GradientSum {
 public:
  /// extent: elements of the flat gradient. slots: micro-batches of a step over all ranks. bucket_bytes: size of a
  /// bucket. carrier: what moves and adds the ranks' parts; none: MPI. staged: with MPI, messages and the sums over
  /// ranks go through copies in host memory, as they must where the gradients are on a device. The sum has the same
  /// bits in any case.
  GradientSum(const Ranks& ranks, std::int64_t extent, std::int64_t slots, std::size_t bucket_bytes,
              std::unique_ptr<Carrier> carrier = nullptr, bool staged = !device_is_host);
  ~GradientSum();

  /// Bytes that an object of these sizes takes where the kernels run, on the rank that takes most; with or without a
  /// carrier, whichever is more.
  static std::size_t bytes(int ranks, std::int64_t extent, std::int64_t slots, std::size_t bucket_bytes);

  /// Connects the ranks, where a carrier is used; all of them call it, before the first step. Throws Error.
  void open();
  /// Ends what open() began, the last call. While an error is under way it gives up what is still in the carrier's
  /// queue: memory of the device could not be freed before, as that waits for the queue, and other ranks may never
  /// answer.
  void close();

  /// Slots that this rank computes, in this order.
  Share slots() const { return share_; }

  /// Where the next slot's gradient is to be written.
  float* current();
  /// The current slot's gradient is final at offsets >= first. In the last slot this sets buckets on their way.
  void ready(std::int64_t first);
  /// After this kernels find the same sum of all slots there on every rank. Valid until the next current(). With MPI it
  /// waits for all buckets; with a carrier the host does not wait.
  const float* finish();
  /// Waits until what finish() promised has happened. Throws Error where a rank or a link is lost.
  void settle();

  /// With a carrier: every rank holds a range of `values`, rank r from cuts[r] to cuts[r+1]; kernels that are given
  /// work from now on find all of them on every rank. False, and nothing is done, without a carrier.
  bool share(float* values, const std::vector<std::int64_t>& cuts);

  /// How well the sum over the ranks hides behind the backward passes, over all steps so far.
  struct Overlap {
    double waited_seconds = 0; ///< in finish(): communication that the backward pass did not hide
    double early_share = 0;    ///< of the bytes: sent while the backward pass still ran
  };
  Overlap overlap() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  Share share_;
};

} // namespace weft
