#include "parallel/gradients.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/sum/sum.hpp"
#include <algorithm>
#include <chrono>
#include <deque>
#include <mpi.h>

namespace weft {

namespace {
struct Bucket {
  std::int64_t first, last;
  /// The piece that `rank` owns; pieces end on cache lines.
  std::pair<std::int64_t, std::int64_t> piece(int rank, int ranks) const {
    const auto cut = [&](int r) { return first + (last - first) / 16 * r / ranks * 16; };
    return {cut(rank), rank + 1 == ranks ? last : cut(rank + 1)};
  }
};

/// The most buffers that the slots of one rank need at the same time.
std::size_t stack_depth(Share share, std::int64_t total) {
  std::size_t depth = 0;
  TreeStack stack(total);
  for (std::int64_t slot = share.first; slot < share.last; ++slot) {
    depth = std::max(depth, stack.nodes().size() + 1);
    stack.push({0, slot}, 0, [](int, int) {});
  }
  return depth;
}
} // namespace

struct GradientSum::Parts {
  const Ranks& ranks;
  std::int64_t extent, slots;
  std::vector<Bucket> buckets; ///< from the end of the gradient to its start
  std::vector<std::vector<TreeNode>> nodes_of_rank;
  std::vector<Buffer<float>> places; ///< gradients of tree nodes
  std::vector<int> free_places;
  TreeStack stack;
  std::int64_t slot = 0, final_from = 0; ///< of the current slot
  int current_place = -1;
  /// Buckets sent; buckets whose owned piece is summed and on its way back; buckets that are whole.
  std::size_t started = 0, added = 0, back = 0;

  // Communication goes through host memory. In a CPU build that is where the gradients are; staged, every node that
  // this rank sends is copied there first, and the first of them takes the sum.
  std::vector<HostFloats> staged_nodes; ///< none: not staged
  struct Flight {
    std::vector<MPI_Request> exchange; ///< pieces coming in and going out
    MPI_Request back = MPI_REQUEST_NULL;
    std::vector<int> counts, starts;          ///< of the pieces on their way back: must outlive the request
    std::vector<std::vector<float>> incoming; ///< per other rank's node, in tree order
    double left = 0, summed = 0;              ///< when this rank sent its pieces, and its sum (regions.hpp)
  };
  std::vector<Flight> flights;                 ///< one per bucket; their memory is kept from step to step
  double waited = 0, sent = 0, sent_early = 0; ///< seconds; elements

  Parts(const Ranks& r, std::int64_t e, std::int64_t s) : ranks(r), extent(e), slots(s), stack(s) {}

  float* at(int place) { return places[static_cast<std::size_t>(place)].data(); }

  /// The tree nodes of all ranks are merged in slot order; the result lies at places.front().
  void merge_local(std::int64_t first, std::int64_t last, const TreeStack& before, TreeNode node) {
    TreeStack trial = before; // the same merges for every range of the last slot
    trial.push(node, current_place,
               [&](int into, int from) { add_to(at(into) + first, at(from) + first, last - first); });
  }

  /// Place of this rank's node n, during the last slot or after it.
  int place_of(std::size_t n) const;
  /// This rank's node n as the other ranks are to get it, in host memory.
  float* message(std::size_t n) { return staged_nodes.empty() ? at(place_of(n)) : staged_nodes[n].get(); }
  void start(std::size_t b);
  void combine(std::size_t b);
  void progress();
};

GradientSum::GradientSum(const Ranks& ranks, std::int64_t extent, std::int64_t slots, std::size_t bucket_bytes,
                         bool staged)
    : parts_(std::make_unique<Parts>(ranks, extent, slots)), share_(share_of(slots, ranks.rank(), ranks.size())) {
  Parts& p = *parts_;
  const auto elements = std::max<std::int64_t>(1024, static_cast<std::int64_t>(bucket_bytes / sizeof(float)) / 16 * 16);
  for (std::int64_t last = extent; last > 0; last -= std::min(last, elements))
    p.buckets.push_back({std::max<std::int64_t>(0, last - elements), last});
  for (int r = 0; r < ranks.size(); ++r) {
    const Share s = share_of(slots, r, ranks.size());
    p.nodes_of_rank.push_back(tree_cover(s.first, s.last, slots));
  }
  const std::size_t depth = stack_depth(share_, slots);
  for (std::size_t i = 0; i < depth; ++i) {
    p.places.emplace_back(extent, "gradients");
    p.free_places.push_back(static_cast<int>(i));
  }
  if (staged && ranks.size() > 1)
    for (std::size_t n = 0; n < p.nodes_of_rank[static_cast<std::size_t>(ranks.rank())].size(); ++n)
      p.staged_nodes.push_back(host_floats(extent, "gradients on the host"));
  p.flights.resize(p.buckets.size());
  for (std::size_t b = 0; b < p.buckets.size(); ++b) {
    const auto [first, last] = p.buckets[b].piece(ranks.rank(), ranks.size());
    for (int r = 0; r < ranks.size(); ++r)
      for (std::size_t n = 0; r != ranks.rank() && n < p.nodes_of_rank[static_cast<std::size_t>(r)].size(); ++n)
        p.flights[b].incoming.emplace_back(static_cast<std::size_t>(last - first));
  }
}

GradientSum::~GradientSum() = default;

std::size_t GradientSum::bytes(int ranks, std::int64_t extent, std::int64_t slots) {
  std::size_t most = 0;
  for (int r = 0; r < ranks; ++r)
    most = std::max(most, stack_depth(share_of(slots, r, ranks), slots));
  std::size_t incoming = 0;
  for (int r = 1; r < ranks && device_is_host; ++r) {
    const Share s = share_of(slots, r, ranks);
    incoming += tree_cover(s.first, s.last, slots).size();
  }
  return (most + incoming / static_cast<std::size_t>(ranks)) * static_cast<std::size_t>(extent) * sizeof(float);
}

float* GradientSum::current() {
  Parts& p = *parts_;
  if (p.current_place < 0) {
    if (p.stack.nodes().empty() || p.slot == share_.last) { // a new step
      p.stack = TreeStack(p.slots);
      p.slot = share_.first;
      p.started = p.added = p.back = 0;
      p.free_places.clear();
      for (std::size_t i = p.places.size(); i > 0; --i)
        p.free_places.push_back(static_cast<int>(i) - 1);
    }
    p.current_place = p.free_places.back();
    p.free_places.pop_back();
    p.final_from = p.extent;
  }
  return p.at(p.current_place);
}

void GradientSum::ready(std::int64_t first) {
  Parts& p = *parts_;
  p.final_from = first;
  const bool last_slot = p.slot + 1 == share_.last;
  if (last_slot) {
    while (p.started < p.buckets.size() && p.buckets[p.started].first >= first) {
      const Bucket& bucket = p.buckets[p.started];
      p.merge_local(bucket.first, bucket.last, p.stack, {0, p.slot});
      p.start(p.started++);
      const auto size = static_cast<double>(bucket.last - bucket.first);
      p.sent += size;
      p.sent_early += first > 0 ? size : 0;
    }
    p.progress();
  }
  if (first > 0)
    return;
  // The slot is complete. In the last one the numbers are merged already and only the bookkeeping is left.
  p.stack.push({0, p.slot}, p.current_place, [&](int into, int from) {
    if (!last_slot)
      add_to(p.at(into), p.at(from), p.extent);
    p.free_places.push_back(from);
  });
  p.current_place = -1;
  ++p.slot;
}

int GradientSum::Parts::place_of(std::size_t n) const {
  if (current_place < 0)
    return stack.places()[n];
  TreeStack trial = stack; // the last slot is not on the stack yet, but its numbers are merged
  trial.push({0, slot}, current_place, [](int, int) {});
  return trial.places()[n];
}

void GradientSum::Parts::start(std::size_t b) {
  Flight& flight = flights[b];
  flight.exchange.clear();
  flight.back = MPI_REQUEST_NULL;
  if (ranks.size() == 1)
    return;
  fence();
  for (std::size_t n = 0; n < staged_nodes.size(); ++n)
    copy_to_host(message(n) + buckets[b].first, at(place_of(n)) + buckets[b].first,
                 static_cast<std::size_t>(buckets[b].last - buckets[b].first) * sizeof(float));
  const int tag = static_cast<int>(b % 8192) * 4;
  const auto [mine_first, mine_last] = buckets[b].piece(ranks.rank(), ranks.size());
  std::size_t number = 0;
  for (int r = 0; r < ranks.size(); ++r)
    for (std::size_t n = 0; r != ranks.rank() && n < nodes_of_rank[static_cast<std::size_t>(r)].size(); ++n) {
      flight.exchange.emplace_back();
      MPI_Irecv(flight.incoming[number++].data(), static_cast<int>(mine_last - mine_first), MPI_FLOAT, r, tag,
                MPI_COMM_WORLD, &flight.exchange.back());
    }
  for (int r = 0; r < ranks.size(); ++r) {
    const auto [first, last] = buckets[b].piece(r, ranks.size());
    for (std::size_t n = 0; r != ranks.rank() && n < nodes_of_rank[static_cast<std::size_t>(ranks.rank())].size();
         ++n) {
      flight.exchange.emplace_back();
      MPI_Isend(message(n) + first, static_cast<int>(last - first), MPI_FLOAT, r, tag, MPI_COMM_WORLD,
                &flight.exchange.back());
    }
  }
  flight.left = trace_clock();
}

void GradientSum::Parts::combine(std::size_t b) {
  // All pieces are here: finish the tree in the order of the slots, then send the sum to everyone.
  Flight& flight = flights[b];
  const double arrived = trace_since(flight.left, "bucket out", static_cast<std::int64_t>(b));
  const Bucket& bucket = buckets[b];
  const auto [first, last] = bucket.piece(ranks.rank(), ranks.size());
  std::vector<float*> values;
  std::size_t number = 0;
  TreeStack whole(slots);
  const TreeMerge merge = [&, first = first, last = last](int into, int from) {
    float* sum = values[static_cast<std::size_t>(into)];
    const float* term = values[static_cast<std::size_t>(from)];
    if (staged_nodes.empty())
      return add_to(sum, term, last - first);
    for (std::int64_t i = 0; i < last - first; ++i) // the same additions, on the host
      sum[i] += term[i];
  };
  for (int r = 0; r < ranks.size(); ++r)
    for (std::size_t n = 0; n < nodes_of_rank[static_cast<std::size_t>(r)].size(); ++n) {
      if (r == ranks.rank()) {
        values.push_back(message(n) + first);
      } else {
        values.push_back(flight.incoming[number++].data());
      }
      whole.push(nodes_of_rank[static_cast<std::size_t>(r)][n], static_cast<int>(values.size()) - 1, merge);
    }
  // The sum goes where finish() hands it out: this rank's first node.
  float* const result = message(0);
  const float* sum = values[static_cast<std::size_t>(whole.places().front())];
  fence();
  if (sum != result + first)
    std::copy(sum, sum + (last - first), result + first);
  flight.counts.clear();
  flight.starts.clear();
  for (int r = 0; r < ranks.size(); ++r) {
    const auto [a, z] = bucket.piece(r, ranks.size());
    flight.counts.push_back(static_cast<int>(z - a));
    flight.starts.push_back(static_cast<int>(a - bucket.first));
  }
  MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_FLOAT, result + bucket.first, flight.counts.data(), flight.starts.data(),
                  MPI_FLOAT, MPI_COMM_WORLD, &flight.back);
  flight.summed = trace_since(arrived, "bucket sum", static_cast<std::int64_t>(b));
}

void GradientSum::Parts::progress() {
  if (ranks.size() == 1)
    return;
  while (added < started) {
    int arrived = 0;
    Flight& flight = flights[added];
    MPI_Testall(static_cast<int>(flight.exchange.size()), flight.exchange.data(), &arrived, MPI_STATUSES_IGNORE);
    if (!arrived)
      break;
    combine(added++);
  }
  for (int whole = 0; back < added; ++back) {
    MPI_Test(&flights[back].back, &whole, MPI_STATUS_IGNORE);
    if (!whole)
      return;
    trace_since(flights[back].summed, "bucket back", static_cast<std::int64_t>(back));
  }
}

const float* GradientSum::finish() {
  Parts& p = *parts_;
  const auto begin = std::chrono::steady_clock::now();
  if (p.ranks.size() > 1) {
    const TracedSpan span("wait");
    const Ranks::Meeting meeting(p.ranks);
    while (p.added < p.started) {
      Parts::Flight& flight = p.flights[p.added];
      MPI_Waitall(static_cast<int>(flight.exchange.size()), flight.exchange.data(), MPI_STATUSES_IGNORE);
      p.combine(p.added++);
    }
    for (; p.back < p.added; ++p.back) {
      MPI_Wait(&p.flights[p.back].back, MPI_STATUS_IGNORE);
      trace_since(p.flights[p.back].summed, "bucket back", static_cast<std::int64_t>(p.back));
    }
    if (!p.staged_nodes.empty())
      copy_to_device(p.at(p.stack.places().front()), p.staged_nodes.front().get(),
                     static_cast<std::size_t>(p.extent) * sizeof(float));
  }
  p.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return p.at(p.stack.places().front());
}

GradientSum::Overlap GradientSum::overlap() const {
  return {parts_->waited, parts_->sent > 0 ? parts_->sent_early / parts_->sent : 0};
}

} // namespace weft
