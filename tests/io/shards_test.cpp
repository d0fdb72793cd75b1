#include "io/atomic_file.hpp"
#include "io/digest.hpp"
#include "io/hdf5.hpp"
#include "io/shards.hpp"
#include "scratch.hpp"
#include <algorithm>
#include <cstring>

using namespace weft;
using namespace weft::test;

namespace {

constexpr std::int64_t size = 300'001;

SplitInfo write_stream(const std::string& folder, int shards, const std::string& text,
                       const std::string& split = "train") {
  fs::create_directories(folder);
  return write_stream_split(folder, split, static_cast<std::int64_t>(text.size()),
                            [&](std::int64_t first, std::int64_t count, std::uint8_t* to) {
                              std::memcpy(to, text.data() + first, static_cast<std::size_t>(count));
                            },
                            shards, {"text", 256, std::string(64, '0')});
}

std::string read(const TokenStream& stream, std::int64_t first, std::int64_t count) {
  std::string text(static_cast<std::size_t>(count), '\0');
  stream.read(first, count, reinterpret_cast<std::uint8_t*>(text.data()));
  return text;
}

void use(const std::string& folder) {
  const TokenStream stream(folder, "train");
  stream.verify();
}

} // namespace

TEST(TokenStream, OneShardAndSevenReadTheSame) {
  const Scratch scratch;
  const std::string text = noise(size);
  write_stream(scratch / "one", 1, text);
  write_stream(scratch / "seven", 7, text);
  const TokenStream one(scratch / "one", "train"), seven(scratch / "seven", "train");
  EXPECT_EQ(one.size(), size);
  EXPECT_EQ(seven.size(), size);
  EXPECT_EQ(one.vocabulary(), 256);
  EXPECT_EQ(one.digest(), sha256(text.data(), text.size()));
  EXPECT_EQ(one.digest(), seven.digest());
  EXPECT_EQ(read(one, 0, size), text);
  EXPECT_EQ(read(seven, 0, size), text);
  one.verify();
  seven.verify();
}

TEST(TokenStream, WindowsAcrossShardEdges) {
  const Scratch scratch;
  const std::string text = noise(size);
  write_stream(scratch / "set", 7, text);
  const TokenStream stream(scratch / "set", "train");
  for (int k = 0; k <= 7; ++k) {
    const std::int64_t edge = size * k / 7;
    for (const std::int64_t first : {edge - 1000, edge - 1, edge, edge + 1})
      for (const std::int64_t count : {std::int64_t{1}, std::int64_t{1024}, std::int64_t{100'000}}) {
        if (first < 0 || first + count > size)
          continue;
        ASSERT_EQ(read(stream, first, count),
                  text.substr(static_cast<std::size_t>(first), static_cast<std::size_t>(count)))
            << first << " " << count;
      }
  }
  EXPECT_EQ(read(stream, size, 0), "");
  EXPECT_FAILS(exit_failure, "asked for", read(stream, size - 5, 6));
  EXPECT_FAILS(exit_failure, "asked for", read(stream, -1, 2));
}

TEST(TokenStream, AsManyShardsAsTokens) {
  const Scratch scratch;
  write_stream(scratch / "set", 5, "abcde");
  EXPECT_EQ(read(TokenStream(scratch / "set", "train"), 1, 3), "bcd");
  EXPECT_FAILS(exit_input, "too few for 6 shards", write_stream(scratch / "six", 6, "abcde"));
  EXPECT_FAILS(exit_input, "expected 1 to", write_stream(scratch / "none", 0, "abcde"));
}

TEST(TokenStream, SplitsAndKindsAreTold) {
  const Scratch scratch;
  write_stream(scratch / "set", 2, "abcdefgh", "valid");
  EXPECT_TRUE(has_split(scratch / "set", "valid"));
  EXPECT_FALSE(has_split(scratch / "set", "train"));
  EXPECT_FALSE(has_split(scratch / "nowhere", "train"));
  EXPECT_EQ(dataset_kind(scratch / "set", "valid"), DataKind::stream);
  EXPECT_FAILS(exit_data, "weft prepare", dataset_kind(scratch / "set", "train"));
  EXPECT_FAILS(exit_data, "weft prepare", use(scratch / "nowhere"));
  EXPECT_FAILS(exit_data, "not examples", Examples(scratch / "set", "valid"));
}

TEST(TokenStream, MissingShardIsNamed) {
  const Scratch scratch;
  write_stream(scratch / "set", 4, noise(size));
  fs::remove(shard_path(scratch / "set", "train", 2, 4));
  EXPECT_FAILS(exit_data, "train-00002-of-00004.h5 is missing", use(scratch / "set"));
}

TEST(TokenStream, ForeignShardIsNamed) {
  const Scratch scratch;
  write_stream(scratch / "set", 4, noise(size));
  write_stream(scratch / "other", 4, noise(size, 2));
  fs::copy_file(shard_path(scratch / "other", "train", 3, 4), shard_path(scratch / "set", "train", 3, 4),
                fs::copy_options::overwrite_existing);
  EXPECT_FAILS(exit_data, "train-00003-of-00004.h5 is of another data set", use(scratch / "set"));
  fs::copy_file(shard_path(scratch / "set", "train", 1, 4), shard_path(scratch / "set", "train", 3, 4),
                fs::copy_options::overwrite_existing);
  EXPECT_FAILS(exit_data, "says shard = 1, expected 3", use(scratch / "set"));
  write_stream(scratch / "set", 2, noise(size));
  EXPECT_FAILS(exit_data, "mixed", use(scratch / "set"));
}

TEST(TokenStream, OtherFormatVersionIsRefused) {
  const Scratch scratch;
  write_stream(scratch / "set", 1, noise(100));
  auto file = hdf5::File::open_to_write(shard_path(scratch / "set", "train", 0, 1));
  Attributes all = file.attributes();
  all["format_version"] = std::int64_t{2};
  file.set_attributes(all);
  file.close();
  EXPECT_FAILS(exit_data, "format_version = 2, expected 1", use(scratch / "set"));
}

// Any byte of a shard may go bad: then it is met as an error, or it was one that carries nothing and all tokens are
// right.
TEST(TokenStream, DamageAnywhereIsMetOrHarmless) {
  const Scratch scratch;
  const std::string text = noise(150'000);
  write_stream(scratch / "set", 1, text);
  const std::string path = shard_path(scratch / "set", "train", 0, 1);
  const std::size_t size = fs::file_size(path);
  const auto next = [&](std::size_t at) { return at + (at < 8192 || at + 8192 > size ? 61 : 4999); };
  expect_damage_is_met(path, next, [&](std::size_t at) {
    const TokenStream stream(scratch / "set", "train");
    ASSERT_EQ(read(stream, 0, stream.size()), text) << at;
  });
}

namespace {
/// Every pair of bytes `from` that lies at an even distance from `begin` becomes `to`.
void change_pairs(const std::string& path, const std::string& begin, std::size_t bytes, char from, char to) {
  std::string file = get(path);
  const std::size_t at = file.find(begin);
  ASSERT_NE(at, std::string::npos);
  for (std::size_t i = at; i + 1 < at + bytes; i += 2)
    if (file[i] == from && file[i + 1] == from)
      file[i] = file[i + 1] = to;
  put(path, file);
}
} // namespace

// A hole in the file, as a lost write leaves it: to fletcher32, zeros have the checksum 0.
TEST(TokenStream, ChunksOfZerosAndOfOnesAreMet) {
  const Scratch scratch;
  const std::string text = noise(150'000);
  write_stream(scratch / "set", 1, text);
  const std::string path = shard_path(scratch / "set", "train", 0, 1), whole = get(path);
  constexpr std::size_t chunk = 65536;
  for (const std::size_t first : {std::size_t{0}, chunk, 2 * chunk})
    for (const char filling : {'\0', '\xff'}) {
      const std::size_t at = whole.find(text.substr(first, 1000));
      ASSERT_NE(at, std::string::npos);
      put(path, std::string(whole).replace(at, chunk + 4, chunk + 4, filling));
      const TokenStream stream(scratch / "set", "train");
      for (const std::size_t other : {std::size_t{0}, chunk, 2 * chunk}) {
        const auto window = [&] { return read(stream, static_cast<std::int64_t>(other) + 5, 100); };
        if (other == first)
          EXPECT_FAILS(exit_data, "are not the numbers that were written", window());
        else
          EXPECT_EQ(window(), text.substr(other + 5, 100));
      }
    }
}

// To fletcher32 two bytes 0 are two bytes 255.
TEST(TokenStream, ZerosThatBecameOnesAreMet) {
  const Scratch scratch;
  const std::string head = noise(64), text = head + std::string(64, '\0') + std::string(64, '\xff') + noise(100, 2);
  for (const auto& [from, to] : {std::pair{'\0', '\xff'}, {'\xff', '\0'}}) {
    write_stream(scratch / "set", 1, text);
    change_pairs(shard_path(scratch / "set", "train", 0, 1), head, text.size(), from, to);
    const TokenStream stream(scratch / "set", "train");
    EXPECT_FAILS(exit_data, "tokens[0:292]", read(stream, 0, 8));
    fs::remove_all(scratch / "set");
  }
}

// The sums are of what Weft wrote; a program that changes a file takes its seal away, and is believed.
TEST(TokenStream, FilesThatOtherProgramsHaveChangedAreTaken) {
  const Scratch scratch;
  write_stream(scratch / "set", 1, noise(5000));
  const std::string changed = noise(5000, 2);
  hdf5::File file = hdf5::File::open_to_write(shard_path(scratch / "set", "train", 0, 1));
  file.dataset("tokens").write(hdf5::Type::u8, changed.data());
  file.close_unsealed();
  const TokenStream stream(scratch / "set", "train");
  EXPECT_EQ(read(stream, 0, 5000), changed);
  EXPECT_FAILS(exit_data, "SHA-256", stream.verify());
}

// The rows that a shard says it has, whoever wrote it: fewer are a file that was not written to its end.
TEST(TokenStream, ShardWithOtherRowsThanItSaysIsRefused) {
  const Scratch scratch;
  const std::string text = noise(1000), path = shard_path(scratch.str(), "train", 0, 1);
  for (const std::int64_t says : {1000, 1500, 0}) {
    hdf5::File file = hdf5::File::create(path);
    file.create_dataset("tokens", hdf5::Type::u8, {1000}).write(hdf5::Type::u8, text.data());
    file.set_attributes({{"task", "mine"},
                         {"vocabulary", std::int64_t{256}},
                         {"split", "train"},
                         {"shard", std::int64_t{0}},
                         {"shards", std::int64_t{1}},
                         {"examples", says},
                         {"source_sha256", ""},
                         {"format_version", std::int64_t{1}}});
    file.close();
    if (says == 1000)
      EXPECT_EQ(read(TokenStream(scratch.str(), "train"), 0, 1000), text);
    else
      EXPECT_FAILS(exit_data, "says examples = " + std::to_string(says) + ", expected 1000", use(scratch.str()));
  }
}

// Only what the contract names, in shards of unlike sizes, as a script with h5py would write it.
TEST(TokenStream, ShardsOfOtherProgramsAreTaken) {
  const Scratch scratch;
  const std::string text = noise(1000);
  const std::int64_t edges[] = {0, 10, 10, 1000};
  for (int k = 0; k < 3; ++k) {
    hdf5::File file = hdf5::File::create(shard_path(scratch.str(), "train", k, 3));
    file.create_dataset("tokens", hdf5::Type::u8, {edges[k + 1] - edges[k]})
        .write(hdf5::Type::u8, text.data() + edges[k]);
    file.set_attributes({{"task", "mine"},
                         {"vocabulary", std::int64_t{256}},
                         {"split", "train"},
                         {"shard", std::int64_t{k}},
                         {"shards", std::int64_t{3}},
                         {"examples", edges[k + 1] - edges[k]},
                         {"source_sha256", ""},
                         {"format_version", std::int64_t{1}}});
    file.close();
    // Without the seal: cut to the end that the superblock names.
    std::int64_t end;
    std::memcpy(&end, get(file.path()).data() + 28, sizeof end);
    fs::resize_file(file.path(), static_cast<std::uintmax_t>(end));
  }
  const TokenStream stream(scratch.str(), "train");
  EXPECT_EQ(stream.size(), 1000);
  EXPECT_EQ(read(stream, 5, 700), text.substr(5, 700));
  EXPECT_EQ(stream.digest(), sha256(text.data(), text.size()));
}

TEST(TokenStream, CutZeroedAndEmptyFilesAreMet) {
  const Scratch scratch;
  write_stream(scratch / "set", 2, noise(size));
  const std::string path = shard_path(scratch / "set", "train", 1, 2), whole = get(path);
  for (const std::size_t kept : {std::size_t{0}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    put(path, whole.substr(0, kept));
    EXPECT_FAILS(exit_data, "train-00001-of-00002.h5", use(scratch / "set"));
  }
  put(path, std::string(whole.size(), '\0'));
  EXPECT_FAILS(exit_data, "train-00001-of-00002.h5", use(scratch / "set"));
  std::string holed = whole;
  std::fill_n(holed.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2), 4096, '\0');
  put(path, holed);
  EXPECT_FAILS(exit_data, "train-00001-of-00002.h5", use(scratch / "set"));
}

namespace {
SplitInfo write_examples(const std::string& folder, std::int64_t rows, std::int64_t vocabulary, bool pairs,
                         int shards) {
  fs::create_directories(folder);
  return write_examples_split(folder, "train", rows, 33, pairs,
                              [&](std::int64_t first, std::int64_t count, ExampleRows& block) {
                                for (std::int64_t i = 0; i < count; ++i) {
                                  const auto row = static_cast<std::size_t>(i);
                                  for (std::size_t j = 0; j < 33; ++j)
                                    block.tokens[row * 33 + j] =
                                        static_cast<std::uint16_t>((static_cast<std::size_t>(first + i) * 31 + j) %
                                                                   static_cast<std::size_t>(vocabulary));
                                  block.length[row] = static_cast<std::int32_t>((first + i) % 33 + 1);
                                  block.label[row] = static_cast<std::int32_t>(first + i);
                                  if (!pairs)
                                    continue;
                                  for (std::size_t j = 0; j < 33; ++j)
                                    block.tokens2[row * 33 + j] = static_cast<std::uint16_t>(j % 20);
                                  block.length2[row] = static_cast<std::int32_t>(first + i + 7);
                                }
                              },
                              shards, {"listops", vocabulary, std::string(64, '0')});
}
} // namespace

TEST(Examples, RoundTripInBothWidthsAndWithPairs) {
  for (const std::int64_t vocabulary : {20, 5000})
    for (const bool pairs : {false, true}) {
      const Scratch scratch;
      const SplitInfo one = write_examples(scratch / "one", 1000, vocabulary, pairs, 1);
      const SplitInfo three = write_examples(scratch / "three", 1000, vocabulary, pairs, 3);
      EXPECT_EQ(one.split_sha256, three.split_sha256);
      const Examples examples(scratch / "three", "train");
      EXPECT_EQ(dataset_kind(scratch / "three", "train"), DataKind::examples);
      EXPECT_EQ(examples.size(), 1000);
      EXPECT_EQ(examples.length(), 33);
      EXPECT_EQ(examples.pairs(), pairs);
      examples.verify();
      std::vector<std::uint16_t> tokens(33 * 10);
      std::vector<std::int32_t> lengths(10), labels(10), lengths2(10);
      examples.read(329, 10, tokens.data(), lengths.data(), labels.data()); // across 333
      for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(labels[i], static_cast<int>(329 + i));
        EXPECT_EQ(lengths[i], static_cast<int>((329 + i) % 33 + 1));
        for (std::size_t j = 0; j < 33; ++j)
          ASSERT_EQ(tokens[i * 33 + j], ((329 + i) * 31 + j) % static_cast<std::size_t>(vocabulary));
      }
      std::int32_t label = 0;
      examples.read(999, nullptr, nullptr, &label);
      EXPECT_EQ(label, 999);
      if (pairs) {
        examples.read_second(660, 10, tokens.data(), lengths2.data());
        EXPECT_EQ(lengths2[9], 669 + 7);
        EXPECT_EQ(tokens[32], 12);
      }
    }
}

TEST(Examples, ZerosThatBecameOnesAreMetInEveryColumn) {
  const Scratch scratch;
  for (const char* name : {"tokens", "length", "label"}) {
    write_examples(scratch / "set", 90, 5000, false, 1);
    const std::string path = shard_path(scratch / "set", "train", 0, 1);
    std::string bytes; // as they lie in the file; the upper halves of small numbers are zeros
    {
      const hdf5::File file = hdf5::File::open(path);
      const hdf5::Dataset column = file.dataset(name);
      bytes.resize(static_cast<std::size_t>(column.elements()) * hdf5::bytes_of(column.type()));
      column.read(column.type(), bytes.data());
    }
    change_pairs(path, bytes, bytes.size(), '\0', '\xff');
    const Examples examples(scratch / "set", "train");
    std::uint16_t tokens[33];
    std::int32_t length, label;
    EXPECT_FAILS(exit_data, std::string(name) + "[0:90]", examples.read(89, tokens, &length, &label));
    fs::remove_all(scratch / "set");
  }
}

TEST(Examples, TokenOutsideTheVocabularyIsRefused) {
  const Scratch scratch;
  EXPECT_FAILS(exit_data, "the vocabulary has 2",
               write_examples_split(scratch.str(), "train", 1, 1, false,
                                    [](std::int64_t, std::int64_t, ExampleRows& rows) { rows.tokens[0] = 2; }, 1,
                                    {"copy", 2, ""}));
}

TEST(Examples, ALabelOutsideTheClassesIsRefusedAndOthersNeedNone) {
  const Scratch scratch;
  const auto write = [&](std::int32_t label, std::int64_t classes) {
    DataSetAttributes attributes{"classes", 2, "", classes, 1, "a b"};
    return write_examples_split(
        scratch.str(), "train", 1, 3, false,
        [&](std::int64_t, std::int64_t, ExampleRows& rows) { rows.label[0] = label; }, 1, attributes);
  };
  EXPECT_FAILS(exit_data, "row 0 of train has the label 3; expected 0 to 2", write(3, 3));
  EXPECT_FAILS(exit_data, "has the label -1; expected 0 to 2", write(-1, 3));
  write(2, 3);
  const SplitInfo info = Examples(scratch.str(), "train").info();
  EXPECT_EQ(info.classes, 3);
  EXPECT_EQ(info.scored_first, 1);
  EXPECT_EQ(info.symbols, "a b");
  write(-1, 0);
  EXPECT_EQ(Examples(scratch.str(), "train").info().classes, 0);
}

TEST(PublishDataSet, RefusesOtherDataAndKnowsTheSame) {
  const Scratch scratch;
  const std::string text = noise(1000), target = scratch / "set";
  const auto publish = [&](const std::string& content, int shards) {
    check_target(target);
    AtomicFolder built(target);
    write_stream(built.temporary(), shards, content);
    return publish_data_set(built, target);
  };
  EXPECT_TRUE(publish(text, 2));
  EXPECT_FALSE(publish(text, 2));
  EXPECT_FAILS(exit_input, "in 2 shards, not in 3", publish(text, 3));
  EXPECT_FAILS(exit_input, "another data set", publish(noise(1000, 3), 2));
  EXPECT_EQ(scratch.entries(), 1u);
  EXPECT_EQ(read(TokenStream(target, "train"), 0, 1000), text);
  flip(shard_path(target, "train", 0, 2), get(shard_path(target, "train", 0, 2)).find(text.substr(0, 20)));
  EXPECT_FAILS(exit_data, "damaged", publish(text, 2));
  fs::remove_all(target);
  fs::create_directory(target);
  EXPECT_TRUE(publish(text, 2)); // an empty folder may be filled
  fs::remove_all(target);
  fs::create_directory(target);
  put(target + "/thesis.tex", "dear");
  EXPECT_FAILS(exit_input, "holds no data set", publish(text, 2));
  EXPECT_EQ(get(target + "/thesis.tex"), "dear");
}
