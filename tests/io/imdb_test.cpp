// Promise: IMDb reviews become bytes + 1 with their class, the same from folder and archive; what is missing, empty or
// there twice is told and nothing is written.
#include "io/raw/imdb.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"
#include <algorithm>

using namespace weft;
using namespace weft::test;

namespace {

/// Two reviews in each folder, and files that are none.
std::vector<Member> reviews(const std::string& above) {
  return {{above + "test/pos/0_10.txt", "Gut<br />caf\xc3\xa9"},
          {above + "test/pos/1_7.txt", std::string(40, 'y')},
          {above + "test/neg/0_1.txt", "bad"},
          {above + "test/neg/1_3.txt", "poor"},
          {above + "train/pos/1_8.txt", " \tfine \r\n"},
          {above + "train/pos/0_9.txt", "good"},
          {above + "train/neg/0_2.txt", "worse"},
          {above + "train/neg/1_4.txt", "weak"},
          {above + "train/unsup/0_0.txt", "unlabelled"},
          {above + "imdb.vocab", "the\nand\n"},
          {above + "train/labeledBow.feat", "9 0:9 1:1"},
          {above + "README", "IMDb"}};
}
const KnownImdb small{2, 4 + 9 + 5 + 4, 14 + 40 + 3 + 4};
constexpr ImdbShape shape{16, 1, 0, false};

std::vector<std::pair<std::string, int>> texts(const std::string& set, const std::string& split) {
  const Examples examples(set, split);
  std::vector<std::pair<std::string, int>> found;
  for (std::int64_t i = 0; i < examples.size(); ++i) {
    std::vector<std::uint16_t> tokens(static_cast<std::size_t>(examples.length()));
    std::int32_t length = 0, label = 0;
    examples.read(i, tokens.data(), &length, &label);
    std::string text;
    for (std::size_t j = 0; j < tokens.size(); ++j) {
      EXPECT_EQ(tokens[j] != 0, static_cast<std::int32_t>(j) < length);
      if (tokens[j] != 0)
        text += static_cast<char>(tokens[j] - 1);
    }
    found.emplace_back(text, label);
  }
  std::sort(found.begin(), found.end());
  return found;
}

} // namespace

TEST(PrepareImdb, FolderAndArchiveGiveTheSameRows) {
  const Scratch scratch;
  for (const auto& [name, text] : reviews(scratch / "aclImdb/")) {
    fs::create_directories(fs::path(name).parent_path());
    put(name, text);
  }
  put_archive(scratch / "aclImdb_v1.tar.gz", reviews("aclImdb/"), false, true);
  const Prepared archive = prepare_imdb({scratch / "aclImdb_v1.tar.gz"}, scratch / "a", shape, nullptr, small);
  const Prepared folder = prepare_imdb({scratch / "aclImdb"}, scratch / "b", shape, nullptr, small);
  EXPECT_NE(archive.note.find("verified: 2 in train/neg"), std::string::npos) << archive.note;
  EXPECT_NE(archive.note.find("THE VALID SPLIT IS THE TEST SPLIT"), std::string::npos) << archive.note;
  EXPECT_NE(archive.note.find("1 reviews cut to it"), std::string::npos) << archive.note;
  for (std::size_t split = 0; split < 3; ++split) {
    EXPECT_EQ(archive.splits[split].split_sha256, folder.splits[split].split_sha256);
    EXPECT_EQ(archive.splits[split].source_sha256, folder.splits[split].source_sha256);
  }
  EXPECT_EQ(texts(scratch / "a", "train"),
            (std::vector<std::pair<std::string, int>>{{"fine", 1}, {"good", 1}, {"weak", 0}, {"worse", 0}}));
  EXPECT_EQ(texts(scratch / "a", "valid"), texts(scratch / "a", "test"));
  EXPECT_EQ(texts(scratch / "a", "test"),
            (std::vector<std::pair<std::string, int>>{
                {"Gut<br />caf\xc3\xa9", 1}, {"bad", 0}, {"poor", 0}, {std::string(16, 'y'), 1}}));
  const SplitInfo info = Examples(scratch / "a", "train").info();
  EXPECT_EQ(info.vocabulary, 257);
  EXPECT_EQ(info.classes, 2);
}

TEST(PrepareImdb, HeldOutReviewsLeaveTheTestSplitAlone) {
  const Scratch scratch;
  put_archive(scratch / "a.tar", reviews(""), false, false);
  ImdbShape held = shape;
  held.held_out = 1;
  prepare_imdb({scratch / "a.tar"}, scratch / "set", held, nullptr, small);
  auto train = texts(scratch / "set", "train"), valid = texts(scratch / "set", "valid");
  EXPECT_EQ(train.size(), 3u);
  EXPECT_EQ(valid.size(), 1u);
  train.insert(train.end(), valid.begin(), valid.end());
  std::sort(train.begin(), train.end());
  EXPECT_EQ(train.size(), 4u);
  EXPECT_EQ(std::unique(train.begin(), train.end()), train.end());
  held.held_out = 4;
  EXPECT_FAILS(exit_input, "4 of 4", prepare_imdb({scratch / "a.tar"}, scratch / "none", held, nullptr, small));
}

TEST(PrepareImdb, MissingEmptyDoubledAndForeignAreToldAndLeaveNothing) {
  const Scratch scratch;
  const auto attempt = [&](const std::vector<Member>& members, bool partial = false) {
    put_archive(scratch / "a.tar", members, false, false);
    ImdbShape wanted = shape;
    wanted.allow_partial = partial;
    return outcome([&] { prepare_imdb({scratch / "a.tar"}, scratch / "set", wanted, nullptr, small); });
  };
  std::vector<Member> all = reviews("aclImdb/");
  all.erase(all.begin());
  const Outcome missing = attempt(all);
  EXPECT_EQ(missing.status, exit_data);
  EXPECT_NE(missing.text.find("1 in test/pos, expected 2"), std::string::npos) << missing.text;
  EXPECT_EQ(scratch.entries(), 1u);
  EXPECT_EQ(attempt(all, true).status, 0);
  fs::remove_all(scratch / "set");
  all = reviews("");
  all[2].second = " \n";
  EXPECT_NE(attempt(all).text.find("test/neg/0_1.txt is empty"), std::string::npos);
  all = reviews("");
  for (const Member& member : reviews("again/"))
    all.push_back(member);
  EXPECT_NE(attempt(all).text.find("is there twice"), std::string::npos);
  EXPECT_NE(attempt({{"train/pos/x_1.txt", "a"}, {"pos/0_1.txt", "b"}, {"train/pos/0_1.html", "c"}})
                .text.find("holds no review"),
            std::string::npos);
  EXPECT_NE(attempt({{"train/pos/0_9.txt", "a"}}, true).text.find("0 test reviews"), std::string::npos);
  EXPECT_EQ(scratch.entries(), 1u);
}

// The published set has other bytes than these: complete, but said to be another one.
TEST(PrepareImdb, OtherBytesAreNotVerified) {
  const Scratch scratch;
  put_archive(scratch / "a.tar", reviews(""), false, false);
  KnownImdb known = small;
  known.train_bytes += 1;
  EXPECT_NE(
      prepare_imdb({scratch / "a.tar"}, scratch / "set", shape, nullptr, known).note.find("not verified, but complete"),
      std::string::npos);
}
