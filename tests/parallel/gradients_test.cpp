// The gradient's sum over slots and ranks. Run on one rank, and by mpirun on three and four (tests/CMakeLists.txt).
#include "kernels/sum/sum.hpp"
#include "parallel/bucket_exchange.hpp"
#include "parallel/gradients.hpp"
#include "parallel/halving.hpp"
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <mpi.h>

namespace weft {
namespace {

constexpr std::int64_t extent = 5000;

const Ranks& ranks() {
  static const Ranks it(nullptr, nullptr);
  return it;
}

/// Numbers of very different size, so that another order of additions shows.
float gradient(std::int64_t step, std::int64_t slot, std::int64_t i) {
  const auto mixed = static_cast<std::uint32_t>((step * 31 + slot) * extent + i) * 2654435761u;
  return (static_cast<float>(mixed >> 8) - 8388608.0f) * std::ldexp(1.0f, static_cast<int>(mixed % 23) - 30);
}

/// What the tree's definition says: neighbours first, a lone slot goes up as it is.
float defined_sum(std::int64_t step, std::int64_t slots, std::int64_t i) {
  std::vector<float> level;
  for (std::int64_t slot = 0; slot < slots; ++slot)
    level.push_back(gradient(step, slot, i));
  while (level.size() > 1) {
    std::vector<float> above;
    for (std::size_t k = 0; k < level.size(); k += 2)
      above.push_back(k + 1 < level.size() ? level[k] + level[k + 1] : level[k]);
    level = above;
  }
  return level[0];
}

/// A queue that is done at once, through MPI. What is received is poisoned first: an exchange must not count on
/// anything that lay there, and must not send from where something comes in.
class MpiCarrier final : public Carrier {
 public:
  std::string name() const override { return "MPI, in the queue's order"; }
  void open() override { opened_ = true; }
  void after_kernels() override { EXPECT_TRUE(opened_); }
  void before_kernels() override { ++finished_; }
  void exchange(const std::vector<Message>& messages) override {
    std::vector<MPI_Request> requests(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const Message& m = messages[i];
      EXPECT_GT(m.count, 0);
      EXPECT_NE(m.peer, ranks().rank());
      EXPECT_NE(m.send == nullptr, m.receive == nullptr);
      if (m.receive)
        std::fill(m.receive, m.receive + m.count, std::nanf(""));
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const Message& m = messages[i];
      const int count = static_cast<int>(m.count);
      if (m.receive)
        MPI_Irecv(m.receive, count, MPI_FLOAT, m.peer, 0, MPI_COMM_WORLD, &requests[i]);
      else
        MPI_Isend(m.send, count, MPI_FLOAT, m.peer, 0, MPI_COMM_WORLD, &requests[i]);
    }
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  }
  void add(float* into, const float* from, std::int64_t n) override { add_to(into, from, n); }
  void copy(float* to, const float* from, std::int64_t n) override { std::copy(from, from + n, to); }
  void settle() override { ++settled_; }
  double waited_seconds() override { return 0.5 * finished_ * (settled_ > 0 ? 1 : 0); }

 private:
  bool opened_ = false;
  int finished_ = 0, settled_ = 0;
};

/// On four ranks 4, 8 and 16 are summed in rounds of pairs, the others directly.
std::vector<std::int64_t> slot_counts() {
  std::vector<std::int64_t> counts = {4, 7, 8, 12, 16};
  if (ranks().size() <= 3)
    counts.push_back(3);
  return counts;
}

void expect_defined_sum(std::int64_t slots, bool staged, bool queued = false) {
  GradientSum sum(ranks(), extent, slots, 4096 * sizeof(float), queued ? std::make_unique<MpiCarrier>() : nullptr,
                  staged);
  sum.open();
  const Share mine = sum.slots();
  std::vector<float> host(extent);
  for (std::int64_t step = 0; step < 3; ++step) {
    for (std::int64_t slot = mine.first; slot < mine.last; ++slot) {
      float* place = sum.current();
      for (std::int64_t i = 0; i < extent; ++i)
        host[static_cast<std::size_t>(i)] = gradient(step, slot, i);
      copy_to_device(place, host.data(), host.size() * sizeof(float));
      for (const std::int64_t final_from : {4500, 2000, 100, 0})
        sum.ready(final_from);
    }
    const float* gradient_sum = sum.finish();
    sum.settle();
    copy_to_host(host.data(), gradient_sum, host.size() * sizeof(float));
    for (std::int64_t i = 0; i < extent; ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(host[static_cast<std::size_t>(i)]),
                std::bit_cast<std::uint32_t>(defined_sum(step, slots, i)))
          << "slots " << slots << ", step " << step << ", element " << i << (staged ? ", staged" : "")
          << (queued ? ", queued" : "");
  }
  if (queued) {
    EXPECT_EQ(sum.overlap().waited_seconds, 1.5); // what the carrier says, over three steps
  }
}

TEST(Gradients, SumIsTheDefinedTreeBitForBit) {
  for (const std::int64_t slots : slot_counts())
    expect_defined_sum(slots, !device_is_host);
}

TEST(Gradients, StagedThroughTheHostItIsTheSame) {
  for (const std::int64_t slots : slot_counts())
    expect_defined_sum(slots, true);
}

TEST(Gradients, CarriedInAQueueItIsTheSame) {
  if (!device_is_host)
    GTEST_SKIP() << "the carrier of this test adds and copies on the host";
  for (const std::int64_t slots : slot_counts())
    expect_defined_sum(slots, false, true);
}

TEST(Gradients, ACarrierSharesRangesOfUnequalSize) {
  GradientSum sum(ranks(), extent, ranks().size(), 4096 * sizeof(float), std::make_unique<MpiCarrier>());
  sum.open();
  std::vector<std::int64_t> cuts = {0};
  for (int r = 0; r < ranks().size(); ++r) // the second range is empty
    cuts.push_back(r == 1 ? cuts.back() : cuts.back() + 16 * (r + 1));
  std::vector<float> values(static_cast<std::size_t>(cuts.back()), -1.0f);
  const auto mine = static_cast<std::size_t>(ranks().rank());
  for (std::int64_t i = cuts[mine]; i < cuts[mine + 1]; ++i)
    values[static_cast<std::size_t>(i)] = static_cast<float>(i);
  EXPECT_TRUE(sum.share(values.data(), cuts));
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(values[i], static_cast<float>(i));
  GradientSum without(ranks(), extent, ranks().size(), 4096 * sizeof(float));
  EXPECT_FALSE(without.share(values.data(), cuts));
}

TEST(GradientPlan, PiecesCoverEveryBucketOnceAndEndOnCacheLines) {
  for (const int ranks : {1, 2, 3, 7}) {
    const GradientPlan plan(ranks, 40000, 12, 4096 * sizeof(float));
    std::int64_t end = 40000;
    for (const Bucket& bucket : plan.buckets) { // from the end of the gradient to its start
      EXPECT_EQ(bucket.last, end);
      end = bucket.first;
      std::int64_t at = bucket.first;
      for (int r = 0; r < ranks; ++r) {
        const auto [first, last] = bucket.piece(r, ranks);
        EXPECT_EQ(first, at);
        EXPECT_LE(last - first, plan.largest_piece(r));
        if (r > 0) {
          EXPECT_EQ((first - bucket.first) % 16, 0);
        }
        at = last;
      }
      EXPECT_EQ(at, bucket.last);
    }
    EXPECT_EQ(end, 0);
  }
}

TEST(Halving, TakesPowersOfTwoWhoseRanksHoldSubtreesOfOneSize) {
  const auto taken = [](int ranks, std::int64_t slots) { return halves(GradientPlan(ranks, 40000, slots, 1 << 14)); };
  EXPECT_TRUE(taken(4, 4));
  EXPECT_TRUE(taken(4, 16));
  EXPECT_TRUE(taken(64, 512));
  EXPECT_FALSE(taken(4, 7));  // shares of different size
  EXPECT_FALSE(taken(4, 12)); // three slots are no subtree
  EXPECT_FALSE(taken(6, 24)); // no power of two
  EXPECT_FALSE(taken(2, 4));  // nothing to gain
  EXPECT_FALSE(taken(4, 3));  // a rank without slots
}

TEST(Halving, RoundsMakeTheTreesSumOnEveryRank) {
  for (const int R : {4, 8, 64}) {
    const GradientPlan plan(R, extent, R, 4096 * sizeof(float));
    std::vector<std::vector<float>> values;
    for (int r = 0; r < R; ++r)
      for (values.emplace_back(); values.back().size() < extent;)
        values.back().push_back(gradient(0, r, static_cast<std::int64_t>(values.back().size())));
    for (const Bucket& bucket : plan.buckets) {
      std::vector<std::vector<HalvingRound>> rounds;
      for (int r = 0; r < R; ++r)
        rounds.push_back(halving_rounds(plan, bucket, r));
      const auto each = [&](std::size_t s, const auto& act) { // what a rank gives is what its partner keeps
        const std::vector<std::vector<float>> before = values;
        for (std::size_t r = 0; r < values.size(); ++r) {
          const HalvingRound& mine = rounds[r][s];
          const HalvingRound& other = rounds[static_cast<std::size_t>(mine.peer)][s];
          ASSERT_EQ(std::pair(mine.keep.first, mine.keep.last), std::pair(other.give.first, other.give.last));
          act(values[r], before[static_cast<std::size_t>(mine.peer)], mine);
        }
      };
      for (std::size_t s = 0; s < rounds[0].size(); ++s)
        each(s, [](auto& own, const auto& peer, const HalvingRound& round) {
          for (auto i = static_cast<std::size_t>(round.keep.first); i < static_cast<std::size_t>(round.keep.last); ++i)
            own[i] += peer[i];
        });
      for (std::size_t s = rounds[0].size(); s-- > 0;)
        each(s, [](auto& own, const auto& peer, const HalvingRound& round) {
          for (auto i = static_cast<std::size_t>(round.give.first); i < static_cast<std::size_t>(round.give.last); ++i)
            own[i] = peer[i];
        });
    }
    for (int r = 0; r < R; ++r)
      for (std::int64_t i = 0; i < extent; ++i)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(values[static_cast<std::size_t>(r)][static_cast<std::size_t>(i)]),
                  std::bit_cast<std::uint32_t>(defined_sum(0, R, i)))
            << R << " ranks, rank " << r << ", element " << i;
  }
}

TEST(GradientPlan, MemoryOfIncomingPiecesIsCounted) {
  // Four ranks with four slots each bring one node each; three come in, a quarter of the gradient of each.
  const GradientPlan four(4, 1 << 20, 16, 1 << 20);
  EXPECT_EQ(four.incoming_nodes(2), 3u);
  EXPECT_EQ(four.places(2), 3u);
  EXPECT_EQ(mpi_exchange_bytes(2, four), 3 * (std::size_t{1} << 20) / 4 * sizeof(float));
  EXPECT_EQ(queued_exchange_bytes(2, four), 3 * (std::size_t{1} << 20) / 4); // of one bucket only
  // In rounds of pairs half a bucket comes in at once.
  EXPECT_EQ(mpi_halving_bytes(2, four), (std::size_t{1} << 20) / 2 * sizeof(float));
  EXPECT_EQ(queued_halving_bytes(2, four), (std::size_t{1} << 20) / 2);
  EXPECT_EQ(GradientSum::bytes(4, 1 << 20, 16, 1 << 20),
            (3u << 20) * sizeof(float) + queued_halving_bytes(2, four) * (device_is_host ? four.buckets.size() : 1));
  // Three slots on two ranks: one brings {0}, the other {1} and {2}, which do not meet before {0} has joined.
  const GradientPlan odd(2, 1 << 20, 3, 1 << 20);
  EXPECT_EQ(odd.incoming_nodes(0), 2u);
  EXPECT_EQ(odd.incoming_nodes(1), 1u);
  EXPECT_EQ(GradientSum::bytes(1, 1000, 1, 4096), 1000 * sizeof(float));
  EXPECT_GE(GradientSum::bytes(2, 1 << 20, 3, 1 << 20), ((2u << 20) + (1u << 17)) * sizeof(float));
}

} // namespace
} // namespace weft
