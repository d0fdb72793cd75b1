// Rounds of pairs (halving.hpp) as a program in a carrier's queue, none of which the host waits for.
#include "kernels/common/memory.hpp"
#include "parallel/bucket_exchange.hpp"
#include "parallel/halving.hpp"

namespace weft {

namespace {

class QueuedHalving final : public BucketExchange {
 public:
  QueuedHalving(int rank, const GradientPlan& plan, Carrier& carrier)
      : carrier_(carrier), incoming_(halving_incoming(plan, rank), "halves of other ranks' gradients") {
    for (const Bucket& bucket : plan.buckets)
      rounds_.push_back(halving_rounds(plan, bucket, rank));
  }

  void start(std::size_t b, const std::vector<float*>& nodes) override {
    float* const values = nodes.front();
    carrier_.after_kernels();
    const std::vector<HalvingRound>& rounds = rounds_[b];
    for (const HalvingRound& round : rounds) {
      meet(round.peer, values + round.give.first, round.give.size(), incoming_.data(), round.keep.size());
      if (round.keep.size() > 0)
        carrier_.add(values + round.keep.first, incoming_.data(), round.keep.size());
    }
    for (auto round = rounds.rbegin(); round != rounds.rend(); ++round)
      meet(round->peer, values + round->keep.first, round->keep.size(), values + round->give.first, round->give.size());
  }

  void finish() override { carrier_.before_kernels(); }
  void settle() override { carrier_.settle(); }
  double waited_seconds() override { return carrier_.waited_seconds(); }

 private:
  void meet(int peer, const float* send, std::int64_t sent, float* receive, std::int64_t received) {
    messages_.clear();
    if (received > 0)
      messages_.push_back({.peer = peer, .receive = receive, .count = received});
    if (sent > 0)
      messages_.push_back({.peer = peer, .send = send, .count = sent});
    if (!messages_.empty())
      carrier_.exchange(messages_);
  }

  Carrier& carrier_;
  std::vector<std::vector<HalvingRound>> rounds_; ///< of each bucket
  Buffer<float> incoming_; ///< rounds and buckets share it: the queue has done with one before it begins the next
  std::vector<Message> messages_; ///< scratch, kept from round to round
};

} // namespace

std::unique_ptr<BucketExchange> queued_halving(int rank, const GradientPlan& plan, Carrier& carrier) {
  return std::make_unique<QueuedHalving>(rank, plan, carrier);
}

std::size_t queued_halving_bytes(int rank, const GradientPlan& plan) {
  return static_cast<std::size_t>(halving_incoming(plan, rank)) * sizeof(float);
}

} // namespace weft
