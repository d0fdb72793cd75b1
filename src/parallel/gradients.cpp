#include "parallel/gradients.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "parallel/bucket_exchange.hpp"
#include "parallel/halving.hpp"
#include <algorithm>

namespace weft {

struct GradientSum::Parts {
  const Ranks& ranks;
  GradientPlan plan;
  std::unique_ptr<Carrier> carrier;
  std::unique_ptr<BucketExchange> exchange; ///< none: one rank
  std::vector<Buffer<float>> places;        ///< gradients of tree nodes
  std::vector<int> free_places;
  TreeStack stack;
  std::int64_t slot = 0; ///< the current one
  int current_place = -1;
  std::size_t started = 0;         ///< buckets of this step that are on their way
  double sent = 0, sent_early = 0; ///< elements
  std::vector<float*> nodes;       ///< scratch of start()

  Parts(const Ranks& r, const GradientPlan& p) : ranks(r), plan(p), stack(p.slots) {}

  float* at(int place) { return places[static_cast<std::size_t>(place)].data(); }

  /// This rank's tree nodes of the last slot, which is not on the stack yet, are merged in a range.
  void merge_local(const Bucket& range) {
    TreeStack trial = stack; // the same merges for every range
    trial.push({0, slot}, current_place,
               [&](int into, int from) { add_to(at(into) + range.first, at(from) + range.first, range.size()); });
  }

  /// Where this rank's tree nodes lie at the end of the last slot.
  const std::vector<float*>& final_nodes() {
    TreeStack trial = stack;
    trial.push({0, slot}, current_place, [](int, int) {});
    nodes.clear();
    for (const int place : trial.places())
      nodes.push_back(at(place));
    return nodes;
  }
};

GradientSum::GradientSum(const Ranks& ranks, std::int64_t extent, std::int64_t slots, std::size_t bucket_bytes,
                         std::unique_ptr<Carrier> carrier, bool staged)
    : parts_(std::make_unique<Parts>(ranks, GradientPlan(ranks.size(), extent, slots, bucket_bytes))),
      share_(share_of(slots, ranks.rank(), ranks.size())) {
  Parts& p = *parts_;
  p.carrier = std::move(carrier);
  for (std::size_t i = 0; i < p.plan.places(ranks.rank()); ++i) {
    p.places.emplace_back(extent, "gradients");
    // Tensors leave gaps, which no kernel writes and the norm of the whole adds up: they are zero for good.
    device_zero(p.places.back().data(), p.places.back().bytes());
    p.free_places.push_back(static_cast<int>(i));
  }
  const bool in_pairs = halves(p.plan);
  if (p.carrier)
    p.exchange = (in_pairs ? queued_halving : queued_exchange)(ranks.rank(), p.plan, *p.carrier);
  else if (ranks.size() > 1)
    p.exchange = (in_pairs ? mpi_halving : mpi_exchange)(ranks, p.plan, staged);
}

GradientSum::~GradientSum() = default;

std::size_t GradientSum::bytes(int ranks, std::int64_t extent, std::int64_t slots, std::size_t bucket_bytes) {
  const GradientPlan plan(ranks, extent, slots, bucket_bytes);
  const auto mpi = halves(plan) ? mpi_halving_bytes : mpi_exchange_bytes;
  const auto queued = halves(plan) ? queued_halving_bytes : queued_exchange_bytes;
  std::size_t most = 0;
  for (int r = 0; r < ranks; ++r) {
    const std::size_t incoming = device_is_host ? mpi(r, plan) : queued(r, plan);
    most = std::max(most, plan.places(r) * static_cast<std::size_t>(extent) * sizeof(float) + incoming);
  }
  return most;
}

void GradientSum::open() {
  if (parts_->carrier)
    parts_->carrier->open();
}

void GradientSum::close() { parts_->carrier.reset(); }

float* GradientSum::current() {
  Parts& p = *parts_;
  if (p.current_place < 0) {
    if (p.stack.nodes().empty() || p.slot == share_.last) { // a new step
      p.stack = TreeStack(p.plan.slots);
      p.slot = share_.first;
      p.started = 0;
      p.free_places.clear();
      for (std::size_t i = p.places.size(); i > 0; --i)
        p.free_places.push_back(static_cast<int>(i) - 1);
    }
    p.current_place = p.free_places.back();
    p.free_places.pop_back();
  }
  return p.at(p.current_place);
}

void GradientSum::ready(std::int64_t first) {
  Parts& p = *parts_;
  const bool last_slot = p.slot + 1 == share_.last;
  if (last_slot) {
    while (p.started < p.plan.buckets.size() && p.plan.buckets[p.started].first >= first) {
      const Bucket& bucket = p.plan.buckets[p.started];
      p.merge_local(bucket);
      if (p.exchange)
        p.exchange->start(p.started, p.final_nodes());
      ++p.started;
      const auto size = static_cast<double>(bucket.size());
      p.sent += size;
      p.sent_early += first > 0 ? size : 0;
    }
    if (p.exchange)
      p.exchange->progress();
  }
  if (first > 0)
    return;
  // The slot is complete. In the last one the numbers are merged already and only the bookkeeping is left.
  p.stack.push({0, p.slot}, p.current_place, [&](int into, int from) {
    if (!last_slot)
      add_to(p.at(into), p.at(from), p.plan.extent);
    p.free_places.push_back(from);
  });
  p.current_place = -1;
  ++p.slot;
}

const float* GradientSum::finish() {
  Parts& p = *parts_;
  if (p.exchange) {
    const TracedSpan span("wait");
    p.exchange->finish();
  }
  return p.at(p.stack.places().front());
}

void GradientSum::settle() {
  if (parts_->exchange)
    parts_->exchange->settle();
}

bool GradientSum::share(float* values, const std::vector<std::int64_t>& cuts) {
  Carrier* carrier = parts_->carrier.get();
  if (carrier == nullptr)
    return false;
  const int rank = parts_->ranks.rank();
  const auto range = [&](int r) {
    const auto at = static_cast<std::size_t>(r);
    return std::pair(values + cuts[at], cuts[at + 1] - cuts[at]);
  };
  std::vector<Message> messages;
  for (int r = 0; r < parts_->ranks.size(); ++r) {
    if (r == rank)
      continue;
    if (const auto [to, count] = range(r); count > 0)
      messages.push_back({.peer = r, .receive = to, .count = count});
    if (const auto [from, count] = range(rank); count > 0)
      messages.push_back({.peer = r, .send = from, .count = count});
  }
  carrier->after_kernels();
  carrier->exchange(messages);
  carrier->before_kernels();
  return true;
}

GradientSum::Overlap GradientSum::overlap() const {
  const Parts& p = *parts_;
  return {p.exchange ? p.exchange->waited_seconds() : 0.0, p.sent > 0 ? p.sent_early / p.sent : 0};
}

} // namespace weft
