// Rounds of pairs (halving.hpp) through MPI. Every bucket goes through its rounds on its own; a round begins when the
// one before it is done, whenever somebody looks: where the backward pass says what is final, and in finish().
#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include "parallel/bucket_exchange.hpp"
#include "parallel/halving.hpp"
#include <chrono>
#include <mpi.h>

namespace weft {

namespace {

class MpiHalving final : public BucketExchange {
 public:
  MpiHalving(const Ranks& ranks, const GradientPlan& plan, bool staged) : ranks_(ranks), plan_(plan) {
    if (staged)
      staged_ = host_floats(plan.extent, "gradients on the host");
    requests_.assign(2 * plan.buckets.size(), MPI_REQUEST_NULL);
    for (const Bucket& bucket : plan.buckets) {
      Flight& flight = flights_.emplace_back();
      flight.rounds = halving_rounds(plan, bucket, ranks.rank());
      flight.incoming.resize(static_cast<std::size_t>(flight.rounds.front().keep.size()));
    }
  }

  void start(std::size_t b, const std::vector<float*>& nodes) override {
    node_ = nodes.front();
    started_ = b + 1;
    const Bucket& bucket = plan_.buckets[b];
    fence();
    if (staged_)
      copy_to_host(staged_.get() + bucket.first, node_ + bucket.first,
                   static_cast<std::size_t>(bucket.size()) * sizeof(float));
    flights_[b].step = 0;
    flights_[b].began = trace_clock();
    send(b);
  }

  void progress() override {
    for (std::size_t b = whole_; b < started_; ++b)
      advance(b);
    while (whole_ < started_ && flights_[whole_].step == flights_[whole_].steps())
      ++whole_;
  }

  void finish() override {
    const auto begin = std::chrono::steady_clock::now();
    const Ranks::Meeting meeting(ranks_);
    for (progress(); whole_ < started_; progress()) {
      int which = 0;
      MPI_Waitany(static_cast<int>(2 * (started_ - whole_)), &requests_[2 * whole_], &which, MPI_STATUS_IGNORE);
    }
    if (staged_)
      copy_to_device(node_, staged_.get(), static_cast<std::size_t>(plan_.extent) * sizeof(float));
    started_ = whole_ = 0;
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  double waited_seconds() override { return waited_; }

 private:
  struct Flight {
    std::vector<HalvingRound> rounds;
    std::vector<float> incoming; ///< what is to be added in a round on the way out
    std::size_t step = 0;        ///< rounds done, out and back
    double began = 0;            ///< when it left, or when its piece was summed (regions.hpp)
    std::size_t steps() const { return 2 * rounds.size(); }
    bool out() const { return step < rounds.size(); }
    const HalvingRound& round() const { return out() ? rounds[step] : rounds[steps() - 1 - step]; }
  };

  float* values() { return staged_ ? staged_.get() : node_; }

  /// Begins the bucket's next round.
  void send(std::size_t b) {
    Flight& flight = flights_[b];
    const HalvingRound& round = flight.round();
    const bool out = flight.out();
    const Bucket &from = out ? round.give : round.keep, &to = out ? round.keep : round.give;
    float* const into = out ? flight.incoming.data() : values() + to.first;
    const int tag = static_cast<int>(b % 8192) * 4 + (out ? 0 : 1);
    MPI_Irecv(into, static_cast<int>(to.size()), MPI_FLOAT, round.peer, tag, MPI_COMM_WORLD, &requests_[2 * b]);
    MPI_Isend(values() + from.first, static_cast<int>(from.size()), MPI_FLOAT, round.peer, tag, MPI_COMM_WORLD,
              &requests_[2 * b + 1]);
  }

  /// Takes the bucket through all rounds whose messages are there.
  void advance(std::size_t b) {
    Flight& flight = flights_[b];
    while (flight.step < flight.steps()) {
      int there = 0;
      MPI_Testall(2, &requests_[2 * b], &there, MPI_STATUSES_IGNORE);
      if (!there)
        return;
      if (flight.out())
        add(flight.round().keep, flight.incoming.data());
      ++flight.step;
      if (flight.step == flight.rounds.size())
        flight.began = trace_since(flight.began, "bucket out", static_cast<std::int64_t>(b));
      if (flight.step < flight.steps())
        send(b);
      else
        trace_since(flight.began, "bucket back", static_cast<std::int64_t>(b));
    }
  }

  void add(const Bucket& range, const float* term) {
    float* const sum = values() + range.first;
    if (staged_) {
      for (std::int64_t i = 0; i < range.size(); ++i) // the same additions, on the host
        sum[i] += term[i];
      return;
    }
    add_to(sum, term, range.size());
    fence();
  }

  const Ranks& ranks_;
  GradientPlan plan_;
  HostFloats staged_;                   ///< none: the node is in host memory itself
  float* node_ = nullptr;               ///< of this step
  std::vector<Flight> flights_;         ///< one per bucket; their memory is kept from step to step
  std::vector<MPI_Request> requests_;   ///< two per bucket: what comes in, what goes out
  std::size_t started_ = 0, whole_ = 0; ///< buckets sent; buckets done, but for gaps
  double waited_ = 0;
};

} // namespace

std::unique_ptr<BucketExchange> mpi_halving(const Ranks& ranks, const GradientPlan& plan, bool staged) {
  return std::make_unique<MpiHalving>(ranks, plan, staged);
}

std::size_t mpi_halving_bytes(int rank, const GradientPlan& plan) {
  std::int64_t elements = 0;
  for (const Bucket& bucket : plan.buckets)
    elements += halving_rounds(plan, bucket, rank).front().keep.size();
  return static_cast<std::size_t>(elements) * sizeof(float);
}

} // namespace weft
