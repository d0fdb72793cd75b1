#include "io/atomic_file.hpp"
#include "io/checkpoint_draft.hpp"
#include "io/checkpoint_file.hpp"
#include "io/digest.hpp"
#include "io/metrics.hpp"
#include "scratch.hpp"
#include <algorithm>
#include <cstring>
#include <future>
#include <limits>
#include <sched.h>
#include <sys/mount.h>

using namespace weft;
using namespace weft::test;

/// HDF5 forgets some memory where a write fails; that is not ours to mend.
extern "C" __attribute__((weak)) const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace {

struct Content {
  std::vector<float> w = std::vector<float>(6 * 50), b, m = std::vector<float>(300), scalar{3.5f}, none;
  Attributes attributes{{"step", std::int64_t{1000}},
                        {"epoch", 0.25},
                        {"config", std::string("[run]\nname = \"ä\"\n")},
                        {"precision", std::string("bf16")},
                        {"git_commit", std::string()}};
  Content() {
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] = 0.1f * static_cast<float>(i) - 7, m[i] = 1.0f / static_cast<float>(i + 1);
    b = {-0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::infinity(),
         std::numeric_limits<float>::quiet_NaN()};
  }
  std::vector<ArrayView> arrays() const {
    return {{"parameters/block0.w", {6, 50}, w.data()},
            {"parameters/block0.b", {4}, b.data()},
            {"optimizer/m/block0.w", {6, 50}, m.data()},
            {"parameters/scalar", {}, scalar.data()},
            {"parameters/none", {0, 3}, none.data()}};
  }
  void write(const std::string& path) const { write_checkpoint(path, attributes, arrays()); }
};

/// A checkpoint in a folder of its own.
struct Written {
  Scratch scratch;
  std::string path = scratch / "c.h5", whole;
  Content content;
  Written() {
    content.write(path);
    whole = get(path);
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

} // namespace

TEST(Checkpoint, ComesBackBitForBit) {
  const Scratch scratch;
  const Content content;
  content.write(scratch / "c.h5");
  EXPECT_EQ(scratch.entries(), 1u);
  const CheckpointFile file(scratch / "c.h5");
  EXPECT_EQ(file.integer("step"), 1000);
  EXPECT_EQ(file.real("epoch"), 0.25);
  EXPECT_EQ(file.text("config"), "[run]\nname = \"ä\"\n");
  EXPECT_EQ(file.text("git_commit"), "");
  EXPECT_EQ(file.integer("format_version"), checkpoint_format_version);
  EXPECT_FAILS(exit_data, "\"samples\"", file.integer("samples"));
  EXPECT_FAILS(exit_data, "\"step\"", file.text("step"));
  ASSERT_EQ(file.arrays().size(), 5u);
  for (const ArrayView& array : content.arrays()) {
    const ArrayInfo* info = file.find(array.name);
    ASSERT_NE(info, nullptr) << array.name;
    EXPECT_EQ(info->shape, array.shape);
    const auto count = static_cast<std::size_t>(info->elements());
    EXPECT_EQ(info->sha256, sha256(array.data, count * sizeof(float)));
    std::vector<float> got(count);
    file.read(array.name, got.data());
    EXPECT_TRUE(same_bits(got, std::vector<float>(array.data, array.data + count))) << array.name;
  }
  EXPECT_EQ(file.find("parameters/x"), nullptr);
  float unused;
  EXPECT_FAILS(exit_data, "no array parameters/x", file.read("parameters/x", &unused));
  file.verify();
}

TEST(Checkpoint, DamagedArrayIsNamed) {
  const Written written;
  std::string bytes(reinterpret_cast<const char*>(written.content.m.data()), 64);
  flip(written.path, written.whole.find(bytes) + 100);
  const CheckpointFile file(written.path); // the header is whole
  std::vector<float> to(300);
  file.read("parameters/block0.w", to.data());
  EXPECT_FAILS(exit_data, "array optimizer/m/block0.w", file.verify());
}

TEST(Checkpoint, DamageAnywhereIsMetOrHarmless) {
  const Written written;
  const auto next = [](std::size_t at) { return at + 37; };
  expect_damage_is_met(written.path, next, [&](std::size_t at) {
    const CheckpointFile file(written.path);
    Attributes attributes = file.attributes();
    attributes.erase("format_version");
    attributes.erase("arrays");
    ASSERT_EQ(attributes, written.content.attributes) << at;
    for (const ArrayView& array : written.content.arrays()) {
      const auto* info = file.find(array.name);
      ASSERT_TRUE(info != nullptr && info->shape == array.shape) << at;
      std::vector<float> values(static_cast<std::size_t>(info->elements()));
      file.read(array.name, values.data());
      ASSERT_TRUE(same_bits(values, std::vector<float>(array.data, array.data + values.size()))) << at;
    }
  });
}

TEST(Checkpoint, CutFilesAreMet) {
  const Written written;
  for (const std::size_t kept : {std::size_t{0}, std::size_t{40}, written.whole.size() / 2, written.whole.size() - 1}) {
    put(written.path, written.whole.substr(0, kept));
    EXPECT_FAILS(exit_data, "c.h5", verify_checkpoint(written.path));
  }
  put(written.path, "some text that is no HDF5 file at all");
  EXPECT_FAILS(exit_data, "HDF5", verify_checkpoint(written.path));
  EXPECT_FAILS(exit_data, "there is no file", verify_checkpoint(written.scratch / "none.h5"));
}

TEST(Checkpoint, FailureToWriteKeepsTheOlderOne) {
  const Written written;
  EXPECT_FAILS(exit_failure, "there twice",
               write_checkpoint(written.path, {}, {written.content.arrays()[0], written.content.arrays()[0]}));
  EXPECT_TRUE(get(written.path) == written.whole);
  EXPECT_EQ(written.scratch.entries(), 1u);
}

// HDF5 by itself crashes at the end of a program that could not flush a file: the test is also that this one ends well.
TEST(Checkpoint, FullDiskIsAnErrorAndKeepsTheOlderOne) {
  const Scratch scratch;
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", scratch.str().c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "no right to mount a small file system here";
  const std::string path = scratch / "c.h5";
  const Content content;
  content.write(path);
  const std::string before = get(path);
  const std::vector<float> large(1'000'000, 1.0f);
  int failures = 0;
  // From an array that does not fit to one for which only what HDF5 writes after it has no room.
  for (std::int64_t elements = 1'000'000; elements > 0; elements = std::min<std::int64_t>(elements, 64'000) - 500) {
    const Outcome got = outcome([&] {
      write_checkpoint(path, content.attributes, {{"parameters/w", {elements}, large.data()}});
    });
    EXPECT_EQ(scratch.entries(), 1u);
    if (got.status == 0)
      break;
    ++failures;
    EXPECT_EQ(got.status, exit_failure) << got.text;
    EXPECT_NE(got.text.find("No space left on device"), std::string::npos) << got.text;
    EXPECT_EQ(got.text.find("buf = "), std::string::npos) << "addresses of the library: " << got.text;
    EXPECT_TRUE(get(path) == before);
  }
  EXPECT_GT(failures, 3);
  verify_checkpoint(path); // the one that fitted
  umount2(scratch.str().c_str(), MNT_DETACH);
}

TEST(CheckpointFolder, NamesAndOrder) {
  EXPECT_EQ(checkpoint_path("runs/a/checkpoints", 1000), "runs/a/checkpoints/step-00001000.h5");
  EXPECT_EQ(checkpoint_step("x/step-00001000.h5"), 1000);
  EXPECT_EQ(checkpoint_step(checkpoint_path("x", 123456789012)), 123456789012);
  for (const char* name : {"step-00001000.h5.partial-7", "step-1.h5", "best.h5", "step-0000100x.h5", "latest"})
    EXPECT_FALSE(checkpoint_step(name).has_value()) << name;
  const Scratch scratch;
  EXPECT_TRUE(list_checkpoints(scratch / "none").empty());
  for (const int step : {20, 3, 100})
    Content().write(checkpoint_path(scratch.str(), step));
  put(scratch / "best.h5", "");
  const auto all = list_checkpoints(scratch.str());
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(checkpoint_step(all[0]), 100);
  EXPECT_EQ(checkpoint_step(all[2]), 3);
}

TEST(CheckpointFolder, LatestNamesTheFile) {
  const Scratch scratch;
  EXPECT_FAILS(exit_failure, "no such file", commit_latest(scratch.str(), 5));
  Content().write(checkpoint_path(scratch.str(), 5));
  commit_latest(scratch.str(), 5);
  EXPECT_EQ(get(scratch / "latest"), "step-00000005.h5\n");
}

TEST(CheckpointFolder, DamagedNewestFallsBackWithANote) {
  const Scratch scratch;
  EXPECT_EQ(newest_good(scratch.str()).path, "");
  for (const int step : {1, 2, 3})
    Content().write(checkpoint_path(scratch.str(), step));
  EXPECT_EQ(newest_good(scratch.str()).path, checkpoint_path(scratch.str(), 3));
  const std::string third = checkpoint_path(scratch.str(), 3);
  put(third, get(third).substr(0, 3000));
  const NewestGood found = newest_good(scratch.str());
  EXPECT_EQ(found.path, checkpoint_path(scratch.str(), 2));
  ASSERT_EQ(found.notes.size(), 1u);
  EXPECT_NE(found.notes[0].find(third), std::string::npos);
  put(checkpoint_path(scratch.str(), 2), "");
  put(checkpoint_path(scratch.str(), 1), "");
  EXPECT_EQ(newest_good(scratch.str()).path, "");
  EXPECT_EQ(newest_good(scratch.str()).notes.size(), 3u);
}

TEST(CheckpointFolder, PruneKeepsTheNewestGoodOnes) {
  const Scratch scratch;
  const std::string folder = scratch.str();
  for (const int step : {1, 2, 3, 4, 5})
    Content().write(checkpoint_path(folder, step));
  EXPECT_TRUE(prune(folder, 2).empty()); // no latest: nothing may go
  EXPECT_EQ(list_checkpoints(folder).size(), 5u);
  commit_latest(folder, 5);
  // The fourth is damaged: it counts for nothing, so the third has to stay.
  const std::string fourth = checkpoint_path(folder, 4);
  put(fourth, get(fourth).substr(0, 3000));
  put(scratch / "step-00000006.h5.partial-99", "a killed run");
  put(scratch / "best.h5", "stays");
  EXPECT_EQ(prune(folder, 2).size(), 3u);
  EXPECT_TRUE(fs::exists(checkpoint_path(folder, 5)));
  EXPECT_TRUE(fs::exists(checkpoint_path(folder, 3)));
  EXPECT_FALSE(fs::exists(checkpoint_path(folder, 2)));
  EXPECT_FALSE(fs::exists(checkpoint_path(folder, 1)));
  EXPECT_FALSE(fs::exists(scratch / "step-00000006.h5.partial-99"));
  EXPECT_TRUE(fs::exists(scratch / "best.h5"));
  // A damaged latest forbids any removal.
  put(checkpoint_path(folder, 5), "");
  EXPECT_TRUE(prune(folder, 1).empty());
}

TEST(CheckpointFolder, PruneKeepsTwoAndThoseForEver) {
  const Scratch scratch;
  const std::string folder = scratch.str();
  for (const int step : {10, 15, 20, 25, 30, 35})
    Content().write(checkpoint_path(folder, step));
  commit_latest(folder, 35);
  EXPECT_EQ(prune(folder, 1, 20).size(), 3u); // 10, 15 and 25
  const auto left = list_checkpoints(folder);
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(checkpoint_step(left[0]), 35);
  EXPECT_EQ(checkpoint_step(left[1]), 30); // keep = 1, but one to fall back to
  EXPECT_EQ(checkpoint_step(left[2]), 20);
}

namespace {
std::vector<ArrayPlan> plans_of(const Content& content) {
  std::vector<ArrayPlan> plans;
  for (const ArrayView& array : content.arrays())
    plans.push_back({array.name, array.shape});
  return plans;
}
} // namespace

TEST(CheckpointDraft, PartsMayBeWrittenBySeveralAndNothingHasTheNameBefore) {
  const Scratch scratch;
  const std::string path = scratch / "c.h5";
  const Content content;
  std::vector<std::string> digests(content.arrays().size());
  CheckpointDraft draft(path, content.attributes, plans_of(content));
  {
    ArrayWriter even(draft.temporary()), odd(draft.temporary());
    for (std::size_t i = digests.size(); i-- > 0;) {
      const ArrayView array = content.arrays()[i];
      std::int64_t elements = 1;
      for (const std::int64_t n : array.shape)
        elements *= n;
      digests[i] = (i % 2 ? odd : even).write(draft.offsets()[i], array.data, elements);
    }
    even.sync();
    odd.sync();
  }
  draft.finish(digests);
  EXPECT_FALSE(fs::exists(path));
  draft.copy_to(scratch / "best.h5");
  draft.commit();
  EXPECT_EQ(scratch.entries(), 2u);
  for (const char* name : {"c.h5", "best.h5"}) {
    const CheckpointFile file(scratch / name);
    file.verify();
    EXPECT_EQ(file.arrays().size(), content.arrays().size());
    EXPECT_EQ(file.text("config"), "[run]\nname = \"ä\"\n");
  }
}

TEST(CheckpointDraft, BytesThatDoNotComeBackAreNeverCommitted) {
  const Scratch scratch;
  const std::string path = scratch / "c.h5";
  const Content content;
  content.write(path);
  const std::string before = get(path);
  {
    CheckpointDraft draft(path, content.attributes, plans_of(content));
    std::vector<std::string> digests;
    ArrayWriter writer(draft.temporary());
    for (std::size_t i = 0; i < content.arrays().size(); ++i) {
      const ArrayView array = content.arrays()[i];
      std::int64_t elements = 1;
      for (const std::int64_t n : array.shape)
        elements *= n;
      digests.push_back(writer.write(draft.offsets()[i], array.data, elements));
    }
    const float wrong = 8;
    writer.write(draft.offsets()[2] + 40, &wrong, 1); // as a disk does that loses a write
    EXPECT_FAILS(exit_failure, "optimizer/m/block0.w", draft.finish(digests));
  }
  EXPECT_TRUE(get(path) == before);
  EXPECT_EQ(scratch.entries(), 1u);
}

/// Files that hold arrays and are none of ours.
TEST(CheckpointFile, OtherFilesAreTold) {
  const Scratch scratch;
  const std::string path = scratch / "c.h5";
  const std::vector<double> numbers(6, 0.5);
  const auto write = [&](hdf5::Type type, const Attributes& of_the_array, const Attributes& of_the_file) {
    hdf5::File file = hdf5::File::create(path);
    hdf5::Dataset array = file.create_dataset("parameters/w", type, {2, 3});
    array.write(type, numbers.data());
    for (const auto& [name, value] : of_the_array)
      array.set_attribute(name, value);
    file.set_attributes(of_the_file);
    file.close();
  };
  const Attributes digest{{"sha256", std::string(64, '0')}}, version{{"format_version", std::int64_t{1}}};
  write(hdf5::Type::f64, digest, version);
  EXPECT_FAILS(exit_data, "array parameters/w of checkpoint " + path + " is not fp32", CheckpointFile file(path));
  write(hdf5::Type::f32, {}, version);
  EXPECT_FAILS(exit_data, "with an attribute sha256", CheckpointFile file(path));
  write(hdf5::Type::f32, digest, {{"format_version", std::int64_t{1}}, {"arrays", std::int64_t{2}}});
  EXPECT_FAILS(exit_data, "holds 1 arrays, expected 2", CheckpointFile file(path));
  write(hdf5::Type::f32, digest, {{"format_version", std::int64_t{9}}});
  EXPECT_FAILS(exit_data, "has format version 9, this program reads", CheckpointFile file(path));
  write(hdf5::Type::f32, digest, {{"step", std::int64_t{1}}});
  EXPECT_FAILS(exit_data, "no integer attribute \"format_version\"; is it one of this program's?",
               CheckpointFile file(path));
  write(hdf5::Type::f32, digest, {{"format_version", std::int64_t{1}}, {"split", std::string("train")}});
  EXPECT_FAILS(exit_data, "is a shard of a data set, expected a checkpoint", CheckpointFile file(path));
  write(hdf5::Type::f32, digest, {{"format_version", std::int64_t{1}}, {"planned_steps", std::int64_t{5}}});
  EXPECT_FAILS(exit_data, "holds what a run measured, expected a checkpoint", CheckpointFile file(path));
}

TEST(CheckpointFile, WhatIsNotInItIsTold) {
  const Written one;
  const CheckpointFile file(one.path);
  float number = 0;
  EXPECT_FAILS(exit_data, "holds no array parameters/block1.w", file.read("parameters/block1.w", &number));
  EXPECT_EQ(file.find("parameters/block1.w"), nullptr);
  EXPECT_FAILS(exit_data, "no text attribute \"step\"", file.text("step"));
  EXPECT_FAILS(exit_data, "no real attribute \"step\"", file.real("step"));
  EXPECT_FAILS(exit_data, "no integer attribute \"data_sha256\"", file.integer("data_sha256"));
}

/// More than 64 KiB of them, which HDF5 keeps outside the head of the data set.
TEST(Hdf5, SumsOfManyChunksAreKeptAndCompared) {
  const Scratch scratch;
  const std::string path = scratch / "many.h5", numbers = noise(34'000);
  {
    hdf5::File file = hdf5::File::create(path);
    file.create_dataset("x", hdf5::Type::u8, {17'000, 2}, 1).write(hdf5::Type::u8, numbers.data());
    file.close();
  }
  const auto read = [&] {
    std::string got(numbers.size(), '\0');
    hdf5::File::open(path).dataset("x").read(hdf5::Type::u8, got.data());
    return got;
  };
  EXPECT_EQ(read(), numbers);
  const hdf5::File file = hdf5::File::open(path);
  const hdf5::Dataset x = file.dataset("x");
  std::string two(2, '\0');
  x.read_rows(9'000, 1, hdf5::Type::u8, two.data());
  EXPECT_EQ(two, numbers.substr(18'000, 2));
  EXPECT_EQ(std::get<std::int64_t>(x.attributes().at("crc32c_rows")), 1);
  EXPECT_FAILS(exit_failure, "rows 16999 to 17001 of x", x.read_rows(16'999, 2, hdf5::Type::u8, two.data()));
}

TEST(Hdf5, ThreadsTakeTurns) {
  const Scratch scratch;
  const Content content;
  Metrics metrics;
  for (std::int64_t step = 1; step <= 200; ++step)
    metrics.add_step({.step = step, .loss = 1.0 / static_cast<double>(step)});
  auto checkpoints = std::async(std::launch::async, [&] {
    for (int i = 0; i < 30; ++i) {
      content.write(scratch / "c.h5");
      verify_checkpoint(scratch / "c.h5");
    }
  });
  for (int i = 0; i < 30; ++i) {
    metrics.write(scratch / "metrics.h5");
    ASSERT_EQ(Metrics::load(scratch / "metrics.h5").steps().size(), 200u);
    EXPECT_FAILS(exit_data, "there is no file", verify_checkpoint(scratch / "none.h5"));
  }
  EXPECT_NO_THROW(checkpoints.get());
  verify_checkpoint(scratch / "c.h5");
}
