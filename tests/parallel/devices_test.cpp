// Ranks and GPUs: who takes which, and when a start is refused.
#include "io/error.hpp"
#include "parallel/devices.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// What the ranks of one node take, which see these devices each.
std::vector<RankDevice> node(const std::string& host, const std::vector<std::vector<std::string>>& seen) {
  std::vector<RankDevice> taken;
  for (std::size_t r = 0; r < seen.size(); ++r) {
    const int number = device_number(static_cast<int>(r), static_cast<int>(seen[r].size()));
    taken.push_back({host, number, "GPU", seen[r].empty() ? "" : seen[r][static_cast<std::size_t>(number)]});
  }
  return taken;
}

std::string refusal(const std::vector<RankDevice>& devices, bool share = false) {
  try {
    refuse_shared(devices, share);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Devices, EveryRankSeesAllOfItsNode) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  const auto taken = node("n1", {all, all, all, all});
  for (std::size_t r = 0; r < 4; ++r)
    EXPECT_EQ(taken[r].id, all[r]);
  EXPECT_EQ(refusal(taken), "");
}

TEST(Devices, EveryRankSeesOnlyItsOwn) {
  const auto taken = node("n1", {{"a"}, {"b"}, {"c"}});
  for (const RankDevice& d : taken)
    EXPECT_EQ(d.number, 0);
  EXPECT_EQ(refusal(taken), "");
}

TEST(Devices, PairsOfRanksSeePairsOfDevices) {
  EXPECT_EQ(refusal(node("n1", {{"a", "b"}, {"a", "b"}, {"c", "d"}, {"c", "d"}})), "");
}

TEST(Devices, TwoRanksOnOneAreRefusedAndTold) {
  const auto taken = node("n1", {{"a", "b"}, {"a", "b"}, {"a", "b"}});
  EXPECT_THAT(refusal(taken), AllOf(HasSubstr("ranks 0 and 2 on n1"), HasSubstr("device 0"), HasSubstr("3 ranks"),
                                    HasSubstr("parallel.share_device = true")));
  EXPECT_EQ(refusal(taken, true), "");
  EXPECT_EQ(ranks_sharing(taken, 0), 2);
  EXPECT_EQ(ranks_sharing(taken, 1), 1);
  EXPECT_THAT(device_lines(taken)[2], AllOf(HasSubstr("rank 2 on n1: device 0"), HasSubstr("shared with rank 0")));
  EXPECT_THAT(device_lines(taken)[1], Not(HasSubstr("shared")));
}

TEST(Devices, TheSameNumberOnAnotherHostIsAnotherDevice) {
  auto taken = node("n1", {{"a"}});
  taken.push_back({"n2", 0, "GPU", "a"}); // identifiers that are unique on a host only
  EXPECT_EQ(refusal(taken), "");
}

TEST(Devices, ABuildForTheHostTakesNone) {
  const auto taken = node("n1", {{}, {}});
  EXPECT_EQ(refusal(taken), "");
  EXPECT_THAT(device_lines(taken), IsEmpty());
}

TEST(Devices, AreSentWhole) {
  const RankDevice d = {"node7", 3, "NVIDIA H100 80GB HBM3", "GPU-1b2c"}, none = {"node8", 0, "", ""};
  EXPECT_EQ(device_lines({rank_device(to_text(d)), rank_device(to_text(none))}), device_lines({d, none}));
  EXPECT_THAT(device_lines({d}), ElementsAre("rank 0 on node7: device 3, NVIDIA H100 80GB HBM3 (GPU-1b2c)"));
}

} // namespace
} // namespace weft
