// Promise: a damaged shard, checkpoint or metrics file is refused with status 4, or it gives exactly what was written:
// never other numbers, never a crash. For files that Weft has finished, i.e. sealed: HDF5 1.10 itself does not survive
// every damage to texts in a file without a seal (io/seal.hpp), which other programs write.
#include "io/checkpoint_file.hpp"
#include "io/digest.hpp"
#include "io/metrics.hpp"
#include "io/shards.hpp"
#include "mutator.hpp"
#include <cstring>

using namespace weft;
using namespace weft::test;

namespace {

std::string whole_text(const TokenStream& stream) {
  std::string text(static_cast<std::size_t>(stream.size()), '\0');
  stream.read(0, stream.size(), reinterpret_cast<std::uint8_t*>(text.data()));
  return text;
}

} // namespace

TEST(FuzzHdf5, shards) {
  const Scratch scratch;
  std::vector<std::string> files, texts = {noise(70'000), std::string(3000, 'a') + noise(500, 2)};
  for (const std::string& text : texts) {
    fs::create_directories(scratch / "made");
    write_stream_split(scratch / "made", "train", static_cast<std::int64_t>(text.size()),
                       [&](std::int64_t first, std::int64_t count, std::uint8_t* to) {
                         std::memcpy(to, text.data() + first, static_cast<std::size_t>(count));
                       },
                       1, {"text", 256, sha256(text.data(), text.size())});
    files.push_back(get(shard_path(scratch / "made", "train", 0, 1)));
    fs::remove_all(scratch / "made");
  }
  fs::create_directories(scratch / "set");
  Mutator mutator(files, 3);
  fuzz(mutator, rounds(600), shard_path(scratch / "set", "train", 0, 1), {exit_data}, [&](const std::string&) {
    const TokenStream stream(scratch / "set", "train");
    const std::string got = whole_text(stream);
    EXPECT_TRUE(got == texts[0] || got == texts[1]) << "other bytes than were written";
    stream.verify();
  });
}

TEST(FuzzHdf5, examples) {
  const Scratch scratch;
  fs::create_directories(scratch / "set");
  write_examples_split(scratch / "set", "train", 40, 16, false,
                       [](std::int64_t first, std::int64_t count, ExampleRows& rows) {
                         for (std::int64_t i = 0; i < count; ++i) {
                           for (std::int64_t j = 0; j < 16; ++j)
                             rows.tokens[static_cast<std::size_t>(i * 16 + j)] =
                                 static_cast<std::uint16_t>((first + i) * 7 + j);
                           rows.length[static_cast<std::size_t>(i)] = 16;
                           rows.label[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(first + i) % 10;
                         }
                       },
                       1, {"test", 300, std::string(64, '0')});
  const std::string path = shard_path(scratch / "set", "train", 0, 1);
  Mutator mutator({get(path)}, 4);
  fuzz(mutator, rounds(600), path, {exit_data}, [&](const std::string&) {
    const Examples examples(scratch / "set", "train");
    ASSERT_EQ(examples.size(), 40);
    ASSERT_EQ(examples.length(), 16);
    std::vector<std::uint16_t> tokens(640);
    std::vector<std::int32_t> lengths(40), labels(40);
    examples.read(0, 40, tokens.data(), lengths.data(), labels.data());
    for (std::size_t i = 0; i < 640; ++i)
      ASSERT_EQ(tokens[i], (i / 16) * 7 + i % 16);
    for (std::size_t i = 0; i < 40; ++i)
      ASSERT_EQ(labels[i], static_cast<std::int32_t>(i % 10));
    examples.verify();
  });
}

TEST(FuzzHdf5, checkpoints) {
  const Scratch scratch;
  const std::string path = scratch / "step-00000001.h5";
  std::vector<float> w(4000), m(4000);
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<float>(i) * 0.25f, m[i] = -w[i];
  write_checkpoint(path, {{"step", std::int64_t{1}}, {"config", std::string("[run]\nname = \"x\"\n")}},
                   {{"parameters/a.w", {40, 100}, w.data()}, {"optimizer/m/a.w", {40, 100}, m.data()}});
  Mutator mutator({get(path)}, 5);
  fuzz(mutator, rounds(600), path, {exit_data}, [&](const std::string&) {
    const CheckpointFile file(path);
    file.verify();
    ASSERT_EQ(file.arrays().size(), 2u) << "verified with an array less";
    EXPECT_EQ(file.integer("step"), 1);
    EXPECT_EQ(file.text("config"), "[run]\nname = \"x\"\n");
    std::vector<float> got(4000);
    file.read("parameters/a.w", got.data());
    EXPECT_EQ(got, w);
  });
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(FuzzHdf5, metrics) {
  const Scratch scratch;
  const std::string path = scratch / "metrics.h5";
  Metrics metrics;
  for (int i = 1; i <= 300; ++i) {
    StepRow row;
    row.step = i;
    row.loss = 1.0 / i;
    metrics.add_step(row);
  }
  metrics.set_final(1, 0.5);
  metrics.set_attribute("run", std::string("name"));
  metrics.write(path);
  Mutator mutator({get(path)}, 6);
  fuzz(mutator, rounds(600), path, {exit_data}, [&](const std::string&) {
    const Metrics got = Metrics::load(path);
    ASSERT_EQ(got.steps().size(), 300u);
    for (int i = 1; i <= 300; ++i)
      ASSERT_EQ(got.steps()[static_cast<std::size_t>(i - 1)].loss, 1.0 / i);
  });
}
