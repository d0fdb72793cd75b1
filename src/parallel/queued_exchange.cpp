// The exchange as a program in a carrier's queue: three entries per bucket, none of which the host waits for.
#include "kernels/common/memory.hpp"
#include "parallel/bucket_exchange.hpp"

namespace weft {

namespace {

class QueuedExchange final : public BucketExchange {
 public:
  QueuedExchange(int rank, const GradientPlan& plan, Carrier& carrier)
      : rank_(rank), plan_(plan), carrier_(carrier), piece_(plan.largest_piece(rank)),
        incoming_(piece_ * static_cast<std::int64_t>(plan.incoming_nodes(rank)), "pieces of other ranks' gradients") {}

  void start(std::size_t b, const std::vector<float*>& nodes) override {
    const Bucket& bucket = plan_.buckets[b];
    carrier_.after_kernels();
    collect(bucket, nodes);
    add_up(bucket, nodes);
    hand_out(bucket, nodes.front());
  }

  void finish() override { carrier_.before_kernels(); }
  void settle() override { carrier_.settle(); }
  double waited_seconds() override { return carrier_.waited_seconds(); }

 private:
  /// Where this rank's piece of the n-th incoming node comes in. Buckets share it: the queue has done with one before
  /// it begins the next.
  float* incoming(std::size_t n) { return incoming_.data() + static_cast<std::int64_t>(n) * piece_; }

  void add_message(Message message) {
    if (message.count > 0)
      messages_.push_back(message);
  }

  /// This rank's piece of every other rank's nodes comes in; theirs of this rank's go out.
  void collect(const Bucket& bucket, const std::vector<float*>& nodes) {
    const auto [mine, mine_end] = bucket.piece(rank_, plan_.ranks);
    messages_.clear();
    std::size_t number = 0;
    for (int r = 0; r < plan_.ranks; ++r) {
      if (r == rank_)
        continue;
      for (std::size_t n = 0; n < plan_.nodes(r).size(); ++n)
        add_message({.peer = r, .receive = incoming(number++), .count = mine_end - mine});
      const auto [first, last] = bucket.piece(r, plan_.ranks);
      for (const float* node : nodes)
        add_message({.peer = r, .send = node + first, .count = last - first});
    }
    carrier_.exchange(messages_);
  }

  /// Finishes the tree for this rank's piece; the sum goes where finish() promises it, to the first node.
  void add_up(const Bucket& bucket, const std::vector<float*>& nodes) {
    const auto [first, last] = bucket.piece(rank_, plan_.ranks);
    const std::int64_t count = last - first;
    if (count == 0)
      return;
    values_.clear();
    std::size_t number = 0, own = 0;
    TreeStack whole(plan_.slots);
    for (int r = 0; r < plan_.ranks; ++r)
      for (const TreeNode& node : plan_.nodes(r)) {
        values_.push_back(r == rank_ ? nodes[own++] + first : incoming(number++));
        whole.push(node, static_cast<int>(values_.size()) - 1, [&](int into, int from) {
          carrier_.add(values_[static_cast<std::size_t>(into)], values_[static_cast<std::size_t>(from)], count);
        });
      }
    const float* sum = values_[static_cast<std::size_t>(whole.places().front())];
    if (sum != nodes.front() + first)
      carrier_.copy(nodes.front() + first, sum, count);
  }

  void hand_out(const Bucket& bucket, float* result) {
    const auto [mine, mine_end] = bucket.piece(rank_, plan_.ranks);
    messages_.clear();
    for (int r = 0; r < plan_.ranks; ++r) {
      if (r == rank_)
        continue;
      const auto [first, last] = bucket.piece(r, plan_.ranks);
      add_message({.peer = r, .receive = result + first, .count = last - first});
      add_message({.peer = r, .send = result + mine, .count = mine_end - mine});
    }
    carrier_.exchange(messages_);
  }

  int rank_;
  GradientPlan plan_;
  Carrier& carrier_;
  std::int64_t piece_; ///< elements kept per incoming node
  Buffer<float> incoming_;
  std::vector<Message> messages_; ///< scratch, kept from bucket to bucket
  std::vector<float*> values_;    ///< the same
};

} // namespace

std::unique_ptr<BucketExchange> queued_exchange(int rank, const GradientPlan& plan, Carrier& carrier) {
  return std::make_unique<QueuedExchange>(rank, plan, carrier);
}

std::size_t queued_exchange_bytes(int rank, const GradientPlan& plan) {
  return plan.incoming_nodes(rank) * static_cast<std::size_t>(plan.largest_piece(rank)) * sizeof(float);
}

} // namespace weft
