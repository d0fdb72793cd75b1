#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "parallel/bucket_exchange.hpp"
#include <algorithm>
#include <chrono>
#include <mpi.h>

namespace weft {

namespace {

class MpiExchange final : public BucketExchange {
 public:
  MpiExchange(const Ranks& ranks, const GradientPlan& plan, bool staged)
      : ranks_(ranks), plan_(plan), flights_(plan.buckets.size()) {
    if (staged)
      for (std::size_t n = 0; n < plan.nodes(ranks.rank()).size(); ++n)
        staged_.push_back(host_floats(plan.extent, "gradients on the host"));
    for (std::size_t b = 0; b < flights_.size(); ++b) {
      const auto [first, last] = plan.buckets[b].piece(ranks.rank(), ranks.size());
      flights_[b].incoming.assign(plan.incoming_nodes(ranks.rank()),
                                  std::vector<float>(static_cast<std::size_t>(last - first)));
    }
  }

  void start(std::size_t b, const std::vector<float*>& nodes) override;
  void progress() override {
    while (added_ < started_) {
      int arrived = 0;
      Flight& flight = flights_[added_];
      MPI_Testall(static_cast<int>(flight.exchange.size()), flight.exchange.data(), &arrived, MPI_STATUSES_IGNORE);
      if (!arrived)
        break;
      combine(added_++);
    }
    for (int whole = 0; back_ < added_; ++back_) {
      MPI_Test(&flights_[back_].back, &whole, MPI_STATUS_IGNORE);
      if (!whole)
        return;
      trace_since(flights_[back_].summed, "bucket back", static_cast<std::int64_t>(back_));
    }
  }
  void finish() override;
  double waited_seconds() override { return waited_; }

 private:
  struct Flight {
    std::vector<MPI_Request> exchange; ///< pieces coming in and going out
    MPI_Request back = MPI_REQUEST_NULL;
    std::vector<int> counts, starts;          ///< of the pieces on their way back: must outlive the request
    std::vector<std::vector<float>> incoming; ///< per other rank's node, in tree order
    double left = 0, summed = 0;              ///< when this rank sent its pieces, and its sum (regions.hpp)
  };

  /// This rank's node n as the other ranks are to get it, in host memory; the first takes the sum.
  float* message(std::size_t n) { return staged_.empty() ? nodes_[n] : staged_[n].get(); }
  void combine(std::size_t b);

  const Ranks& ranks_;
  GradientPlan plan_;
  std::vector<HostFloats> staged_; ///< none: the nodes are in host memory themselves
  std::vector<float*> nodes_;      ///< of this step
  std::vector<Flight> flights_;    ///< one per bucket; their memory is kept from step to step
  /// Buckets sent; buckets whose owned piece is summed and on its way back; buckets that are whole.
  std::size_t started_ = 0, added_ = 0, back_ = 0;
  double waited_ = 0;
};

void MpiExchange::start(std::size_t b, const std::vector<float*>& nodes) {
  nodes_ = nodes;
  started_ = b + 1;
  Flight& flight = flights_[b];
  const Bucket& bucket = plan_.buckets[b];
  flight.exchange.clear();
  flight.back = MPI_REQUEST_NULL;
  fence();
  for (std::size_t n = 0; n < staged_.size(); ++n)
    copy_to_host(message(n) + bucket.first, nodes[n] + bucket.first,
                 static_cast<std::size_t>(bucket.size()) * sizeof(float));
  const int tag = static_cast<int>(b % 8192) * 4;
  const auto [mine_first, mine_last] = bucket.piece(ranks_.rank(), ranks_.size());
  std::size_t number = 0;
  for (int r = 0; r < ranks_.size(); ++r)
    for (std::size_t n = 0; r != ranks_.rank() && n < plan_.nodes(r).size(); ++n) {
      flight.exchange.emplace_back();
      MPI_Irecv(flight.incoming[number++].data(), static_cast<int>(mine_last - mine_first), MPI_FLOAT, r, tag,
                MPI_COMM_WORLD, &flight.exchange.back());
    }
  for (int r = 0; r < ranks_.size(); ++r) {
    const auto [first, last] = bucket.piece(r, ranks_.size());
    for (std::size_t n = 0; r != ranks_.rank() && n < nodes.size(); ++n) {
      flight.exchange.emplace_back();
      MPI_Isend(message(n) + first, static_cast<int>(last - first), MPI_FLOAT, r, tag, MPI_COMM_WORLD,
                &flight.exchange.back());
    }
  }
  flight.left = trace_clock();
}

void MpiExchange::combine(std::size_t b) {
  // All pieces are here: finish the tree in the order of the slots, then send the sum to everyone.
  Flight& flight = flights_[b];
  const double arrived = trace_since(flight.left, "bucket out", static_cast<std::int64_t>(b));
  const Bucket& bucket = plan_.buckets[b];
  const auto [first, last] = bucket.piece(ranks_.rank(), ranks_.size());
  std::vector<float*> values;
  std::size_t number = 0, own = 0;
  TreeStack whole(plan_.slots);
  const TreeMerge merge = [&, first = first, last = last](int into, int from) {
    float* sum = values[static_cast<std::size_t>(into)];
    const float* term = values[static_cast<std::size_t>(from)];
    if (staged_.empty())
      return add_to(sum, term, last - first);
    for (std::int64_t i = 0; i < last - first; ++i) // the same additions, on the host
      sum[i] += term[i];
  };
  for (int r = 0; r < ranks_.size(); ++r)
    for (const TreeNode& node : plan_.nodes(r)) {
      values.push_back(r == ranks_.rank() ? message(own++) + first : flight.incoming[number++].data());
      whole.push(node, static_cast<int>(values.size()) - 1, merge);
    }
  float* const result = message(0);
  const float* sum = values[static_cast<std::size_t>(whole.places().front())];
  fence();
  if (sum != result + first)
    std::copy(sum, sum + (last - first), result + first);
  flight.counts.clear();
  flight.starts.clear();
  for (int r = 0; r < ranks_.size(); ++r) {
    const auto [a, z] = bucket.piece(r, ranks_.size());
    flight.counts.push_back(static_cast<int>(z - a));
    flight.starts.push_back(static_cast<int>(a - bucket.first));
  }
  MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_FLOAT, result + bucket.first, flight.counts.data(), flight.starts.data(),
                  MPI_FLOAT, MPI_COMM_WORLD, &flight.back);
  flight.summed = trace_since(arrived, "bucket sum", static_cast<std::int64_t>(b));
}

void MpiExchange::finish() {
  const auto begin = std::chrono::steady_clock::now();
  const Ranks::Meeting meeting(ranks_);
  while (added_ < started_) {
    Flight& flight = flights_[added_];
    MPI_Waitall(static_cast<int>(flight.exchange.size()), flight.exchange.data(), MPI_STATUSES_IGNORE);
    combine(added_++);
  }
  for (; back_ < added_; ++back_) {
    MPI_Wait(&flights_[back_].back, MPI_STATUS_IGNORE);
    trace_since(flights_[back_].summed, "bucket back", static_cast<std::int64_t>(back_));
  }
  if (!staged_.empty())
    copy_to_device(nodes_.front(), staged_.front().get(), static_cast<std::size_t>(plan_.extent) * sizeof(float));
  started_ = added_ = back_ = 0;
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

std::unique_ptr<BucketExchange> mpi_exchange(const Ranks& ranks, const GradientPlan& plan, bool staged) {
  return std::make_unique<MpiExchange>(ranks, plan, staged);
}

std::size_t mpi_exchange_bytes(int rank, const GradientPlan& plan) {
  std::size_t elements = 0;
  for (const Bucket& bucket : plan.buckets) {
    const auto [first, last] = bucket.piece(rank, plan.ranks);
    elements += static_cast<std::size_t>(last - first);
  }
  return plan.incoming_nodes(rank) * elements * sizeof(float);
}

} // namespace weft
