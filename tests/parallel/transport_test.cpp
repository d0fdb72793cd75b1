// Promise: NCCL is taken where it can be, MPI where it cannot, and who asks for NCCL by name is told what is missing.
#include "io/error.hpp"
#include "parallel/transport.hpp"
#include "training/resources.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Texts = std::vector<std::string>;
const Texts hosts = {"node1", "node2"};

std::string refusal(const std::string& wanted, const Texts& problems, bool shared) {
  try {
    choose_transport(wanted, problems, hosts, shared, true);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Transport, NcclWhereEveryRankHasItAndAGpuOfItsOwn) {
  for (const char* wanted : {"auto", "nccl"}) {
    const Transport t = choose_transport(wanted, {"", ""}, hosts, false, true);
    EXPECT_TRUE(t.nccl) << wanted;
    EXPECT_EQ(t.why, "");
  }
  EXPECT_FALSE(choose_transport("mpi", {"", ""}, hosts, false, true).nccl);
}

TEST(Transport, AutoTakesMpiAndSaysWhy) {
  const Transport missing = choose_transport("auto", {"", "libnccl.so.2 could not be loaded"}, hosts, false, true);
  EXPECT_FALSE(missing.nccl);
  EXPECT_THAT(missing.why, AllOf(HasSubstr("rank 1 (node2)"), HasSubstr("could not be loaded")));
  const Transport shared = choose_transport("auto", {"", ""}, hosts, true, true);
  EXPECT_FALSE(shared.nccl);
  EXPECT_THAT(shared.why, HasSubstr("share_device"));
}

TEST(Transport, OnTheHostMpiNeedsNoExcuse) {
  const Transport t = choose_transport("auto", {"cpu build", "cpu build"}, hosts, false, false);
  EXPECT_FALSE(t.nccl);
  EXPECT_EQ(t.why, "");
}

TEST(Transport, OneRankStartsNcclOnlyWhenAskedTo) {
  EXPECT_FALSE(choose_transport("auto", {""}, {"node1"}, false, true).nccl);
  EXPECT_TRUE(choose_transport("nccl", {""}, {"node1"}, false, true).nccl);
}

TEST(Transport, NcclByNameIsRefusedWhereItCannotBeHad) {
  EXPECT_THAT(refusal("nccl", {"", "libnccl.so.2 could not be loaded"}, false),
              AllOf(HasSubstr("parallel.transport = \"nccl\""), HasSubstr("rank 1 (node2)"), HasSubstr("\"auto\"")));
  EXPECT_THAT(refusal("nccl", {"", ""}, true), HasSubstr("one rank per GPU"));
}

TEST(Build, TheCpuBuildRefusesWhatOnlyGpusHave) {
  Config config;
  EXPECT_NO_THROW(require_build(config, false));
  config.parallel.cuda_graph = true;
  EXPECT_NO_THROW(require_build(config, true));
  EXPECT_THROW(require_build(config, false), InputError);
  config.parallel.cuda_graph = false;
  config.parallel.transport = "nccl";
  EXPECT_THROW(require_build(config, false), InputError);
}

} // namespace
} // namespace weft
