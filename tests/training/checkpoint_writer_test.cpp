// Promise: a save behind the training writes the numbers of the step at which it began, an error in its thread comes
// out at the next step boundary, and tensors are shared out among ranks whole, none twice.
#include "../io/scratch.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "training/checkpoint_writer.hpp"
#include <chrono>
#include <future>
#include <thread>

using namespace weft;
using namespace weft::test;

namespace {

ParameterList some_tensors() {
  ParameterList list;
  list.add("a", {30, 5}, Initialiser::normal, 1.0);
  list.add("b", {7}, Initialiser::one);
  list.add("c", {11, 3}, Initialiser::normal, 1.0);
  return list;
}

const Ranks& one_rank() {
  static const Ranks ranks(nullptr, nullptr); // MPI starts once in a process
  return ranks;
}

struct Setting {
  Scratch scratch;
  Config config;
  ParameterList parameters = some_tensors();
  const Ranks& ranks = one_rank();
  TrainingState state{parameters, 5, owners(parameters, 1).front()};

  std::string path(std::int64_t step) const { return checkpoint_path(scratch.str(), step); }
  CheckpointWriter::Request request() const {
    CheckpointWriter::Request it;
    it.attributes = state_attributes(state, config, 1);
    return it;
  }
  std::vector<float> saved(std::int64_t step, const std::string& name) const {
    const CheckpointFile file(path(step));
    std::vector<float> values(static_cast<std::size_t>(file.find(name)->elements()));
    file.read(name, values.data());
    return values;
  }
};

} // namespace

TEST(CheckpointWriter, a_save_holds_the_numbers_of_its_step_while_the_training_goes_on) {
  Setting s;
  s.config.checkpoint.behind = true;
  CheckpointWriter writer(s.config, s.ranks, s.parameters, s.scratch.str());
  s.state.step = 1;
  const float before = s.state.weights.data()[3];
  std::promise<void> go;
  CheckpointWriter::Request request = s.request();
  request.first = [wait = go.get_future().share()] { wait.get(); };
  writer.start(s.state, std::move(request));
  s.state.weights.data()[3] = 77; // the next step
  s.state.step = 2;
  writer.poll();
  EXPECT_TRUE(writer.in_flight());
  EXPECT_FALSE(fs::exists(s.path(1)));
  go.set_value();
  writer.start(s.state, s.request()); // waits for the one before
  writer.finish();
  EXPECT_FALSE(writer.in_flight());
  EXPECT_EQ(s.saved(1, "parameters/a")[3], before);
  EXPECT_EQ(s.saved(2, "parameters/a")[3], 77);
  EXPECT_EQ(get(s.scratch / "latest"), "step-00000002.h5\n");
  EXPECT_EQ(writer.cost().saves, 2);
}

TEST(CheckpointWriter, without_behind_all_is_committed_when_start_returns) {
  Setting s;
  s.config.checkpoint.behind = false;
  CheckpointWriter writer(s.config, s.ranks, s.parameters, s.scratch.str());
  EXPECT_EQ(CheckpointWriter::copy_bytes(s.config, s.parameters, 1), 0u);
  s.state.step = 3;
  writer.start(s.state, s.request());
  EXPECT_FALSE(writer.in_flight());
  verify_checkpoint(s.path(3));
}

TEST(CheckpointWriter, an_error_of_the_thread_comes_out_at_a_step_boundary) {
  Setting s;
  s.config.checkpoint.behind = true;
  CheckpointWriter writer(s.config, s.ranks, s.parameters, s.scratch.str());
  s.state.step = 4;
  CheckpointWriter::Request request = s.request();
  request.first = [] { throw Error(exit_failure, "no space left"); };
  writer.start(s.state, std::move(request));
  const Outcome got = outcome([&] {
    for (int i = 0; i < 10'000 && writer.in_flight(); ++i) {
      writer.poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_EQ(got.status, exit_failure);
  EXPECT_NE(got.text.find("the checkpoint of step 4 could not be written: no space left"), std::string::npos)
      << got.text;
  EXPECT_FALSE(fs::exists(s.path(4)));
  for (const auto& entry : fs::directory_iterator(s.scratch.str()))
    EXPECT_EQ(entry.path().string().find("partial"), std::string::npos) << entry.path();
  s.state.step = 5; // and the next one is not hindered
  writer.start(s.state, s.request());
  writer.finish();
  verify_checkpoint(s.path(5));
}

TEST(CheckpointWriter, a_save_that_is_only_the_best_leaves_the_newest_alone) {
  Setting s;
  CheckpointWriter writer(s.config, s.ranks, s.parameters, s.scratch.str());
  s.state.step = 5;
  writer.start(s.state, s.request());
  writer.finish();
  s.state.step = 6;
  CheckpointWriter::Request request = s.request();
  request.newest = false;
  request.copy = s.scratch / "best.h5";
  writer.start(s.state, std::move(request));
  writer.finish();
  EXPECT_EQ(CheckpointFile(s.scratch / "best.h5").integer("step"), 6);
  EXPECT_FALSE(fs::exists(s.path(6)));
  EXPECT_EQ(get(s.scratch / "latest"), "step-00000005.h5\n");
  request = s.request();
  request.copy = s.scratch / "best.h5";
  s.state.step = 7;
  request.attributes = state_attributes(s.state, s.config, 1);
  writer.start(s.state, std::move(request));
  writer.finish();
  EXPECT_EQ(CheckpointFile(s.scratch / "best.h5").integer("step"), 7);
  verify_checkpoint(s.path(7));
  verify_checkpoint(s.scratch / "best.h5");
}

TEST(Owners, every_tensor_has_one_and_the_largest_part_is_small) {
  ParameterList list;
  for (int i = 0; i < 40; ++i)
    list.add("t" + std::to_string(i), {16 * (1 + (i * 7) % 5)}, Initialiser::zero);
  for (int ranks : {1, 2, 3, 4, 7, 40, 64}) {
    const std::vector<Owned> parts = owners(list, ranks);
    ASSERT_EQ(parts.size(), static_cast<std::size_t>(ranks));
    std::size_t next = 0;
    std::int64_t end = 0;
    for (const Owned& part : parts) {
      EXPECT_EQ(part.first, next);
      EXPECT_EQ(part.begin, end);
      EXPECT_EQ(part.begin % 16, 0);
      next = part.last;
      end = part.end;
    }
    EXPECT_EQ(next, list.all().size());
    EXPECT_EQ(end, list.extent());
    EXPECT_LE(largest_part(list, ranks), list.extent() / ranks + 80) << ranks; // 80: the largest tensor
  }
}
