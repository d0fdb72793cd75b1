// Promise: a data set that another program wrote is taken where it follows docs/files.md, and every mistake in one has
// words of its own that name the file.
#include "io/hdf5.hpp"
#include "io/shards.hpp"
#include "scratch.hpp"
#include <functional>

using namespace weft;
using namespace weft::test;
using hdf5::Type;

namespace {

/// One shard of six examples of three tokens, as h5py would write it; a test changes what it is about.
struct Shard {
  Type type = Type::u8;
  std::vector<std::int64_t> tokens{6, 3};
  std::map<std::string, std::vector<std::int64_t>> columns{{"length", {6}}, {"label", {6}}};
  Attributes attributes{
      {"task", std::string("mine")}, {"vocabulary", std::int64_t{10}}, {"split", std::string("train")},
      {"shard", std::int64_t{0}},    {"shards", std::int64_t{1}},      {"examples", std::int64_t{6}},
      {"classes", std::int64_t{2}},  {"source_sha256", std::string()}, {"format_version", std::int64_t{1}}};

  void write(const std::string& path) const {
    const std::vector<double> zeros(1000, 0.0);
    hdf5::File file = hdf5::File::create(path);
    file.create_dataset("tokens", type, tokens).write(type, zeros.data());
    for (const auto& [name, shape] : columns)
      file.create_dataset(name, Type::i32, shape).write(Type::i32, zeros.data());
    file.set_attributes(attributes);
    file.close();
  }
};

/// What the reader of examples says of a folder with this one shard in it.
std::string complaint(const std::function<void(Shard&)>& change) {
  const Scratch scratch;
  Shard shard;
  change(shard);
  shard.write(shard_path(scratch.str(), "train", 0, 1));
  const Outcome got = outcome([&] { Examples(scratch.str(), "train").verify(); });
  EXPECT_EQ(got.status, got.text.empty() ? 0 : exit_data) << got.text;
  if (!got.text.empty()) {
    EXPECT_NE(got.text.find("train-00000-of-00001.h5"), std::string::npos) << got.text;
    EXPECT_NE(got.text.find("weft prepare"), std::string::npos) << "no way out: " << got.text;
  }
  return got.text;
}

} // namespace

TEST(OwnData, WhatTheContractNamesIsEnough) {
  EXPECT_EQ(complaint([](Shard&) {}), "");
  EXPECT_EQ(complaint([](Shard& s) { s.type = Type::u16; }), "");
  EXPECT_EQ(complaint([](Shard& s) { s.attributes.erase("classes"); }), "");
  EXPECT_EQ(complaint([](Shard& s) { s.attributes["of_my_own"] = 1.5; }), "");
  EXPECT_EQ(complaint([](Shard& s) {
              s.columns["tokens2"] = {6}; // a column that is none of ours, where it is not asked for
              s.columns.erase("tokens2");
            }),
            "");
}

TEST(OwnData, EveryMissingAttributeIsNamed) {
  for (const char* name : {"task", "vocabulary", "split", "shard", "shards", "source_sha256", "format_version"}) {
    const std::string got = complaint([&](Shard& s) { s.attributes.erase(name); });
    EXPECT_NE(got.find("attribute \"" + std::string(name) + "\""), std::string::npos) << name << ": " << got;
  }
  const auto kind = [](const char* name, const Attribute& value) {
    return complaint([&](Shard& s) { s.attributes[name] = value; });
  };
  EXPECT_NE(kind("vocabulary", 10.0).find("no integer attribute \"vocabulary\""), std::string::npos);
  EXPECT_NE(kind("task", std::int64_t{3}).find("no text attribute \"task\""), std::string::npos);
}

TEST(OwnData, WrongAttributesAreToldWithWhatIsExpected) {
  const auto with = [](const char* name, const Attribute& value) {
    return complaint([&](Shard& s) { s.attributes[name] = value; });
  };
  const std::tuple<const char*, Attribute, const char*> cases[] = {
      {"vocabulary", std::int64_t{0}, "says vocabulary = 0, expected 1 to 65536"},
      {"vocabulary", std::int64_t{65537}, "says vocabulary = 65537, expected 1 to 65536"},
      {"split", std::string("valid"), "says split = valid, expected train"},
      {"shard", std::int64_t{1}, "says shard = 1, expected 0"},
      {"shards", std::int64_t{2}, "says shards = 2, expected 1"},
      {"examples", std::int64_t{5}, "says examples = 5, expected 6"},
      {"format_version", std::int64_t{2}, "says format_version = 2, expected 1"}};
  for (const auto& [name, value, expected] : cases) {
    const std::string got = with(name, value);
    EXPECT_NE(got.find(expected), std::string::npos) << got;
  }
}

TEST(OwnData, TokensOfAnotherTypeOrShapeAreTold) {
  const char* const kinds = "neither a 1-D uint8 stream nor 2-D uint8 or uint16 examples";
  for (const Type type : {Type::i32, Type::i64, Type::f32, Type::f64})
    EXPECT_NE(complaint([&](Shard& s) { s.type = type; }).find(kinds), std::string::npos);
  EXPECT_NE(complaint([](Shard& s) { s.tokens = {6, 3, 1}; }).find(kinds), std::string::npos);
  EXPECT_NE(complaint([](Shard& s) { s.tokens = {}; }).find(kinds), std::string::npos);
  EXPECT_NE(complaint([](Shard& s) { s.type = Type::u16, s.tokens = {6}; }).find(kinds), std::string::npos)
      << "a stream has bytes only";
}

TEST(OwnData, MissingAndShortColumnsAreTold) {
  const Scratch scratch;
  const std::string path = shard_path(scratch.str(), "train", 0, 1);
  for (const char* name : {"length", "label"}) {
    Shard shard;
    shard.columns.erase(name);
    shard.write(path);
    EXPECT_FAILS(exit_data, "data set " + std::string(name), Examples(scratch.str(), "train"));
    for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{5}, {6, 1}, {}}) {
      shard.columns[name] = shape;
      shard.write(path);
      EXPECT_FAILS(exit_data, std::string(name) + " of " + path + " has a wrong shape",
                   Examples(scratch.str(), "train"));
    }
  }
  Shard pairs;
  pairs.columns["tokens2"] = {6, 3};
  pairs.write(path);
  EXPECT_FAILS(exit_data, "data set length2", Examples(scratch.str(), "train"));
}

TEST(OwnData, OneKindIsNotTakenForTheOther) {
  const Scratch scratch;
  Shard shard;
  shard.write(shard_path(scratch.str(), "train", 0, 1));
  EXPECT_FAILS(exit_data, "holds examples, not a stream of tokens", TokenStream(scratch.str(), "train"));
  EXPECT_EQ(dataset_kind(scratch.str(), "train"), DataKind::examples);
  const Examples examples(scratch.str(), "train");
  std::uint16_t row[3];
  EXPECT_FAILS(exit_failure, "holds no pairs", examples.read_second(0, 1, row, nullptr));
  EXPECT_FAILS(exit_failure, "5 to 7 of train asked for", examples.read(5, 2, nullptr, nullptr, nullptr));
  shard.tokens = {6};
  shard.columns.clear();
  shard.attributes["split"] = std::string("test");
  shard.write(shard_path(scratch.str(), "test", 0, 1));
  EXPECT_FAILS(exit_data, "holds a stream of tokens, not examples", Examples(scratch.str(), "test"));
  EXPECT_EQ(dataset_kind(scratch.str(), "test"), DataKind::stream);
}

TEST(OwnData, ShardsThatDoNotBelongTogetherAreTold) {
  const Scratch scratch;
  const auto write = [&](int shard, int shards, const std::function<void(Shard&)>& change) {
    Shard one;
    one.attributes["shard"] = std::int64_t{shard};
    one.attributes["shards"] = std::int64_t{shards};
    change(one);
    one.write(shard_path(scratch.str(), "train", shard, shards));
  };
  const auto read = [&] { Examples(scratch.str(), "train").verify(); };
  write(0, 2, [](Shard&) {});
  EXPECT_FAILS(exit_data, "train-00001-of-00002.h5 is missing: train has 2 shards", read());
  write(1, 2, [](Shard& s) { s.attributes["vocabulary"] = std::int64_t{11}; });
  EXPECT_FAILS(exit_data, "train-00001-of-00002.h5 is of another data set than shard 0", read());
  write(1, 2, [](Shard& s) { s.attributes["classes"] = std::int64_t{3}; });
  EXPECT_FAILS(exit_data, "of another data set than shard 0", read());
  write(1, 2, [](Shard& s) { s.tokens = {6, 4}; });
  EXPECT_FAILS(exit_data, "another shape than those of shard 0", read());
  write(1, 2, [](Shard&) {});
  EXPECT_EQ(Examples(scratch.str(), "train").size(), 12);
  write(0, 3, [](Shard&) {});
  EXPECT_FAILS(exit_data, "shards of two data sets", read());
}

TEST(OwnData, MoreShardsThanCanBeOpenAreTold) {
  const Scratch scratch;
  put(shard_path(scratch.str(), "train", 0, most_shards + 1), "");
  EXPECT_FAILS(exit_data, "257 shards of train; at most 256", Examples(scratch.str(), "train"));
  EXPECT_FAILS(exit_data, "there is no data set folder", Examples(scratch / "none", "train"));
  EXPECT_FAILS(exit_data, "no shards of the split \"valid\"", Examples(scratch.str(), "valid"));
}
