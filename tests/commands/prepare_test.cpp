// weft prepare as a user types it: exit statuses, what is printed, what lies on the disk afterwards and how h5py sees
// it.
#include "../io/scratch.hpp"
#include "commands/prepare.hpp"
#include "io/checkpoint_file.hpp"
#include "io/digest.hpp"
#include "io/metrics.hpp"
#include "io/png.hpp"
#include "io/shards.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

using namespace weft;
using namespace weft::test;

namespace {

/// Exit status of the command line; what it prints to stdout goes to `printed`.
int run(std::vector<std::string> words, std::string* printed = nullptr) {
  CLI::App app("weft");
  std::function<int()> action;
  add_prepare(app, action);
  std::reverse(words.begin(), words.end()); // CLI11 takes them so
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return exit_input;
  }
  testing::internal::CaptureStdout();
  const Outcome got = outcome([&] { action(); });
  const std::string out = testing::internal::GetCapturedStdout();
  if (printed != nullptr)
    *printed = got.status == 0 ? out : got.text;
  return got.status;
}

const char* const python = "/usr/bin/python3";
bool has_h5py() { return std::system((std::string(python) + " -c 'import h5py' > /dev/null 2>&1").c_str()) == 0; }

int run_python(const Scratch& scratch, const std::string& script) {
  put(scratch / "script.py", script);
  return std::system((std::string(python) + " -B " + (scratch / "script.py") + " " + scratch.str()).c_str());
}

} // namespace

TEST(Prepare, PrintsWhatItWrote) {
  const Scratch scratch;
  const std::string text = noise(10'000);
  put(scratch / "raw", text);
  std::string printed;
  EXPECT_EQ(run({"prepare", "text", "--from", scratch / "raw", "--to", scratch / "set", "--shards", "2"}, &printed), 0);
  for (const std::string& part : {std::string("9000 bytes in 2 shards"), std::string("500 bytes"),
                                  sha256(text.data(), text.size()), scratch / "set"})
    EXPECT_NE(printed.find(part), std::string::npos) << printed;
  EXPECT_TRUE(fs::exists(scratch / "set/train-00001-of-00002.h5"));
  EXPECT_EQ(run({"prepare", "text", scratch / "raw", "--to", scratch / "set", "--shards", "2"}, &printed), 0);
  EXPECT_NE(printed.find("the very same data already"), std::string::npos) << printed;
}

TEST(Prepare, WrongWordsAreInputErrors) {
  const Scratch scratch;
  put(scratch / "raw", noise(1000));
  EXPECT_EQ(run({"prepare"}), exit_input);
  EXPECT_EQ(run({"prepare", "enwik9", "--from", "x", "--to", "y"}), exit_input);
  EXPECT_EQ(run({"prepare", "text", "--to", scratch / "set"}), exit_input);
  EXPECT_EQ(run({"prepare", "text", "--from", scratch / "raw"}), exit_input);
  EXPECT_EQ(run({"prepare", "text", "--from", scratch / "raw", "--to", scratch / "set", "--shards", "0"}), exit_input);
  EXPECT_EQ(run({"prepare", "text", "--from", scratch / "raw", "--to", scratch / "set", "--allow-partial"}),
            exit_input);
  EXPECT_EQ(run({"prepare", "enwik8", "--from", scratch / "raw", scratch / "raw", "--to", scratch / "set"}),
            exit_input);
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(Prepare, WrongDataIsADataErrorAndLeavesNothing) {
  const Scratch scratch;
  put(scratch / "raw", noise(1000));
  put(scratch / "empty", "");
  std::string printed;
  EXPECT_EQ(run({"prepare", "enwik8", "--from", scratch / "raw", "--to", scratch / "set"}, &printed), exit_data);
  EXPECT_NE(printed.find("expected 100000000 bytes"), std::string::npos) << printed;
  EXPECT_EQ(run({"prepare", "enwik8", "--from", scratch / "empty", "--to", scratch / "set", "--allow-partial"}),
            exit_data);
  EXPECT_EQ(run({"prepare", "text", "--from", scratch / "none", "--to", scratch / "set"}), exit_data);
  EXPECT_EQ(scratch.entries(), 2u);
  EXPECT_EQ(run({"prepare", "enwik8", "--from", scratch / "raw", "--to", scratch / "set", "--allow-partial"}), 0);
}

TEST(Prepare, ImagesAreReportedAsImages) {
  const Scratch scratch;
  fs::create_directories(scratch / "raw");
  for (int i = 0; i < 40; ++i) {
    const std::string pixels = noise(3 * 5 * 2, static_cast<std::uint64_t>(i + 1));
    write_png(scratch / "raw/" + std::to_string(i) + ".png", 5, 2, 3,
              reinterpret_cast<const std::uint8_t*>(pixels.data()));
  }
  std::string printed;
  EXPECT_EQ(run({"prepare", "images", scratch / "raw", "--to", scratch / "set"}, &printed), 0);
  for (const char* part : {"40 images of 5 x 2 pixels", "36 images in 1 shard", "2 images in 1 shard"})
    EXPECT_NE(printed.find(part), std::string::npos) << printed;
  EXPECT_EQ(run({"prepare", "images", scratch / "raw", scratch / "raw", "--to", scratch / "other"}), exit_input);
  EXPECT_EQ(run({"prepare", "images", scratch / "none", "--to", scratch / "other"}), exit_data);
  EXPECT_EQ(run({"prepare", "images", scratch / "raw", "--to", scratch / "other", "--shards", "3"}), exit_input);
  flip(scratch / "raw/7.png", 60);
  EXPECT_EQ(run({"prepare", "images", scratch / "raw", "--to", scratch / "other"}, &printed), exit_data);
  EXPECT_NE(printed.find("7.png"), std::string::npos) << printed;
  EXPECT_EQ(scratch.entries(), 2u);
}

TEST(Prepare, Cifar10TakesPartsOnRequest) {
  const Scratch scratch;
  fs::create_directories(scratch / "cifar-10-batches-bin");
  std::string records;
  for (int i = 0; i < 30; ++i)
    records += static_cast<char>(i % 10) + noise(3072, static_cast<std::uint64_t>(i + 1));
  put(scratch / "cifar-10-batches-bin/data_batch_1.bin", records);
  put(scratch / "cifar-10-batches-bin/test_batch.bin", records.substr(0, 3073 * 4));
  std::string printed;
  EXPECT_EQ(run({"prepare", "cifar10", "--from", scratch.str(), "--to", scratch / "set"}, &printed), exit_data);
  EXPECT_NE(printed.find("30 images in data_batch_1, no data_batch_2"), std::string::npos) << printed;
  EXPECT_EQ(scratch.entries(), 1u);
  EXPECT_EQ(run({"prepare", "cifar10", "--from", scratch.str(), "--to", scratch / "set", "--allow-partial"}, &printed),
            0);
  for (const char* part : {"part of CIFAR-10, not verified", "29 images", "4 images"})
    EXPECT_NE(printed.find(part), std::string::npos) << printed;
  if (!has_h5py())
    return;
  EXPECT_EQ(run_python(scratch, R"(
import sys, h5py, numpy
raw = numpy.fromfile(sys.argv[1] + "/cifar-10-batches-bin/test_batch.bin", numpy.uint8).reshape(4, 3073)
with h5py.File(sys.argv[1] + "/set/test-00000-of-00001.h5") as f:
    assert f["tokens"].dtype == numpy.uint8 and f["tokens"].shape == (4, 3072)
    assert (f["tokens"][:] == raw[:, 1:].reshape(4, 3, 32, 32).transpose(0, 2, 3, 1).reshape(4, 3072)).all()
    assert (f["label"][:] == raw[:, 0]).all() and (f["length"][:] == 3072).all()
    assert f.attrs["task"] == "cifar10" and f.attrs["vocabulary"] == 256
)"),
            0);
}

// The pickles of the official archive were written by Python 2; these, by Python 3 with the same protocol.
TEST(Prepare, Cifar10TakesWhatPythonPickles) {
  if (!has_h5py())
    GTEST_SKIP() << "no h5py and NumPy for /usr/bin/python3";
  const Scratch scratch;
  ASSERT_EQ(run_python(scratch, R"(
import os, pickle, sys, numpy
for name, count in (("data_batch_1", 30), ("test_batch", 4)):
    data = numpy.random.default_rng(count).integers(0, 256, (count, 3072), dtype=numpy.uint8)
    label = numpy.arange(count) % 10
    for kind in ("bin", "py"):
        os.makedirs(f"{sys.argv[1]}/{kind}", exist_ok=True)
    numpy.concatenate([label[:, None].astype(numpy.uint8), data], 1).tofile(f"{sys.argv[1]}/bin/{name}.bin")
    with open(f"{sys.argv[1]}/py/{name}", "wb") as f:
        pickle.dump({b"batch_label": b"one", b"labels": label.tolist(), b"data": data, b"filenames": [b"a.png"] * count},
                    f, protocol=2)
)"),
            0);
  std::string printed;
  EXPECT_EQ(run({"prepare", "cifar10", "--from", scratch / "bin", "--to", scratch / "set", "--allow-partial"}), 0);
  EXPECT_EQ(run({"prepare", "cifar10", "--from", scratch / "py", "--to", scratch / "set", "--allow-partial"}, &printed),
            0);
  EXPECT_NE(printed.find("Python version"), std::string::npos) << printed;
  EXPECT_NE(printed.find("the very same data already"), std::string::npos) << printed;
}

TEST(Prepare, H5pyReadsDataSets) {
  if (!has_h5py())
    GTEST_SKIP() << "no h5py for /usr/bin/python3";
  const Scratch scratch;
  put(scratch / "raw", noise(200'000));
  ASSERT_EQ(run({"prepare", "text", "--from", scratch / "raw", "--to", scratch / "set", "--shards", "3"}), 0);
  EXPECT_EQ(run_python(scratch, R"(
import glob, hashlib, sys, h5py, numpy
folder = sys.argv[1]
raw = open(folder + "/raw", "rb").read()
got = b""
for split, share in (("train", 180000), ("valid", 10000), ("test", 10000)):
    for k, path in enumerate(sorted(glob.glob(f"{folder}/set/{split}-*.h5"))):
        with h5py.File(path) as f:
            a = dict(f.attrs)
            assert a["task"] == "text" and a["split"] == split and a["vocabulary"] == 256, a
            assert a["shard"] == k and a["shards"] == 3 and a["format_version"] == 1, a
            assert a["examples"] == len(f["tokens"]) and f["tokens"].dtype == numpy.uint8
            assert a["source_sha256"] == hashlib.sha256(raw).hexdigest(), a
            got += f["tokens"][:].tobytes()
assert got == raw
# What h5py writes with the contract's attributes alone is read as well; and a file that it has changed still opens.
import os
os.mkdir(folder + "/theirs")
with h5py.File(folder + "/theirs/train-00000-of-00001.h5", "w") as f:
    f["tokens"] = numpy.frombuffer(raw, numpy.uint8)
    f.attrs.update(dict(task="mine", vocabulary=256, split="train", shard=0, shards=1, examples=len(raw),
                        source_sha256="", format_version=1))
with h5py.File(folder + "/set/test-00000-of-00003.h5", "r+") as f:
    f.attrs["comment"] = "a note"
)"),
            0);
  const TokenStream theirs(scratch / "theirs", "train");
  EXPECT_EQ(theirs.size(), 200'000);
  EXPECT_EQ(theirs.digest(), sha256_of_file(scratch / "raw"));
  TokenStream(scratch / "set", "test").verify();
}

TEST(Prepare, H5pyReadsCheckpointsAndMetrics) {
  if (!has_h5py())
    GTEST_SKIP() << "no h5py for /usr/bin/python3";
  const Scratch scratch;
  std::vector<float> w(6);
  for (std::size_t i = 0; i < 6; ++i)
    w[i] = 0.5f * static_cast<float>(i);
  write_checkpoint(scratch / "c.h5", {{"step", std::int64_t{7}}, {"config", "[run]"}, {"epoch", 0.5}},
                   {{"parameters/a.w", {2, 3}, w.data()}});
  Metrics metrics;
  metrics.add_step({.step = 1, .tokens = 10, .loss = std::log(2.0)});
  metrics.set_final(std::log(2.0), 0.5);
  metrics.write(scratch / "m.h5");
  EXPECT_EQ(run_python(scratch, R"(
import hashlib, sys, h5py, numpy
with h5py.File(sys.argv[1] + "/c.h5") as f:
    a = f["parameters/a.w"]
    assert a.dtype == numpy.float32 and (a[:] == 0.5 * numpy.arange(6).reshape(2, 3)).all()
    assert a.attrs["sha256"] == hashlib.sha256(a[:].tobytes()).hexdigest()
    assert f.attrs["step"] == 7 and f.attrs["config"] == "[run]" and f.attrs["epoch"] == 0.5
with h5py.File(sys.argv[1] + "/m.h5") as f:
    assert abs(f["steps/bits"][0] - 1) < 1e-12 and abs(f["final/test_bits"][()] - 1) < 1e-12
    assert numpy.isnan(f["steps/energy_j"][0]) and f["steps/energy_j"].attrs["source"] == "not measured"
    assert all("units" in f[g][c].attrs for g in f for c in f[g])
)"),
            0);
}
