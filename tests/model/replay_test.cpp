// Promise: a replayed micro-batch does what the program does, and a recording is used for nothing that it was not made
// of.
#include "model/replay.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace weft {
namespace {

using testing::ElementsAre;

/// A device whose kernels are words: they are done, or written down while recording.
struct Device {
  std::vector<std::string> done, written;
  std::vector<std::vector<std::string>> recordings;
  std::vector<int> forgotten;
  bool recording = false;
  void kernel(const std::string& word) { (recording ? written : done).push_back(word); }
};

class ListRecorder final : public Recorder {
 public:
  explicit ListRecorder(Device& device) : device_(device) {}
  void begin() override {
    EXPECT_FALSE(device_.recording);
    device_.recording = true;
  }
  int end() override {
    EXPECT_TRUE(device_.recording);
    device_.recording = false;
    device_.recordings.push_back(std::move(device_.written));
    device_.written.clear();
    return static_cast<int>(device_.recordings.size()) - 1;
  }
  void launch(int recording) override {
    EXPECT_FALSE(device_.recording);
    EXPECT_EQ(std::count(device_.forgotten.begin(), device_.forgotten.end(), recording), 0);
    for (const std::string& word : device_.recordings[static_cast<std::size_t>(recording)])
      device_.done.push_back(word);
  }
  void forget(int recording) override { device_.forgotten.push_back(recording); }

 private:
  Device& device_;
};

struct ReplayTest : testing::Test {
  Device device;
  Replay replay{std::make_unique<ListRecorder>(device)};
  int calls = 0;
  float first_gradients = 0, second_gradients = 0, weights = 0;

  /// What one micro-batch gives the device, with the messages that `ready` sends between the kernels.
  std::vector<std::string> micro_batch(const Replay::Key& key) {
    device.done.clear();
    replay.run(
        key,
        [&](const Replay::Ready& ready) {
          ++calls;
          device.kernel("forward");
          device.kernel("output backward");
          ready(7);
          device.kernel("block backward");
          ready(0);
        },
        [&](std::int64_t from) {
          EXPECT_FALSE(device.recording) << "a message would have become part of a recording";
          device.kernel("send from " + std::to_string(from));
        });
    EXPECT_FALSE(device.recording);
    return device.done;
  }
};

const auto all = ElementsAre("forward", "output backward", "send from 7", "block backward", "send from 0");

TEST_F(ReplayTest, EveryTimeTheDeviceDoesTheSameInTheSameOrder) {
  const Replay::Key key{&first_gradients, &weights, 0.5f, 1};
  for (int i = 0; i < 5; ++i)
    EXPECT_THAT(micro_batch(key), all) << i;
  EXPECT_EQ(calls, 2); // run once, recorded once
}

TEST_F(ReplayTest, EveryGradientBufferHasARecordingOfItsOwn) {
  const Replay::Key one{&first_gradients, &weights, 0.5f, 1}, other{&second_gradients, &weights, 0.5f, 1};
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(micro_batch(one), all);
    EXPECT_THAT(micro_batch(other), all);
  }
  EXPECT_EQ(calls, 4);
  EXPECT_TRUE(device.forgotten.empty());
}

TEST_F(ReplayTest, WhatKernelsTakeFromTheHostMakesARecordingInvalidWhenItChanges) {
  const Replay::Key key{&first_gradients, &weights, 0.5f, 1};
  std::vector<Replay::Key> others(3, key);
  others[0].loss_factor = 0.25f; // another loss scale or batch
  others[1].weights = &second_gradients;
  others[2].seed = 2;
  for (int i = 0; i < 3; ++i)
    micro_batch(key);
  int before = calls;
  for (const Replay::Key& other : others) {
    const std::size_t forgotten = device.forgotten.size();
    EXPECT_THAT(micro_batch(other), all);
    EXPECT_EQ(calls, ++before) << "not replayed";
    if (&other == &others.front()) {
      EXPECT_GT(device.forgotten.size(), forgotten) << "the old recording is kept for nothing";
    }
  }
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(micro_batch(others.back()), all);
  EXPECT_EQ(calls, before + 1);
}

} // namespace
} // namespace weft
