// Downloads in every wrapping, whole and damaged. The archives are made here with zlib and libarchive.
#include "io/digest.hpp"
#include "io/raw/archive.hpp"
#include "io/raw/enwik8.hpp"
#include "io/raw/text.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"
#include <csignal>
#include <sys/stat.h>
#include <zlib.h>

using namespace weft;
using namespace weft::test;

namespace {

void put_gzip(const std::string& path, const std::string& text, const char* mode = "wb") {
  gzFile file = gzopen(path.c_str(), mode);
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

std::vector<Member> read_all(const std::string& path) {
  RawFile file(path);
  std::vector<Member> members;
  while (file.next()) {
    std::string text;
    std::uint8_t block[1000];
    std::size_t got;
    while ((got = file.read(block, sizeof block)) > 0)
      text.append(reinterpret_cast<const char*>(block), got);
    members.emplace_back(file.name(), text);
  }
  return members;
}

// Half of it can be compressed, so that damage meets stored and deflated parts.
const std::string content = noise(60'000) + std::string(40'000, 'a') + noise(20'000, 2);

std::string split_of(const std::string& folder, const std::string& split) {
  const TokenStream stream(folder, split);
  std::string text(static_cast<std::size_t>(stream.size()), '\0');
  stream.read(0, stream.size(), reinterpret_cast<std::uint8_t*>(text.data()));
  return text;
}

KnownFile known_of(const std::string& text) {
  return {static_cast<std::int64_t>(text.size()), md5(text.data(), text.size())};
}

} // namespace

TEST(RawFile, EveryWrappingGivesTheSameBytes) {
  const Scratch scratch;
  put(scratch / "plain", content);
  put_gzip(scratch / "one.gz", content);
  put_gzip(scratch / "two.gz", content.substr(0, 777));
  put_gzip(scratch / "two.gz", content.substr(777), "ab"); // parts one after the other are one file
  put_archive(scratch / "one.zip", {{"enwik8", content}}, true, false);
  put_archive(scratch / "one.tar", {{"enwik8", content}}, false, false);
  put_archive(scratch / "one.tar.gz", {{"enwik8", content}}, false, true);
  for (const char* name : {"plain", "one.gz", "two.gz", "one.zip", "one.tar", "one.tar.gz"}) {
    const auto members = read_all(scratch / name);
    ASSERT_EQ(members.size(), 1u) << name;
    EXPECT_EQ(members[0].second, content) << name;
  }
}

TEST(RawFile, MembersAreOnlyRead) {
  const Scratch scratch;
  for (const bool zip : {true, false}) {
    const std::string path = scratch / (zip ? "m.zip" : "m.tar.gz");
    put_archive(path, {{"folder/", ""}, {"../../escaped", "a"}, {"/etc/absolute", "b"}, {"empty", ""}}, zip, !zip);
    const auto members = read_all(path);
    ASSERT_EQ(members.size(), 3u);
    EXPECT_EQ(members[0], Member("../../escaped", "a"));
    EXPECT_EQ(members[1].second, "b");
  }
  EXPECT_EQ(scratch.entries(), 2u);
}

// Every byte may be flipped and every length cut: the bytes are right or the error has status 4.
TEST(RawFile, DamageIsMet) {
  const Scratch scratch;
  put_gzip(scratch / "d.gz", content);
  put_archive(scratch / "d.zip", {{"enwik8", content}}, true, false);
  put_archive(scratch / "d.tar.gz", {{"enwik8", content}}, false, true);
  for (const char* name : {"d.gz", "d.zip", "d.tar.gz"}) {
    const std::string path = scratch / name, whole = get(path);
    for (std::size_t at = 0; at < whole.size(); at += at < 64 || at + 256 > whole.size() ? 1 : 1511) {
      flip(path, at);
      const Outcome got = outcome([&] {
        const auto members = read_all(path);
        ASSERT_TRUE(members.size() == 1 && members[0].second == content) << name << " " << at;
      });
      ASSERT_TRUE(got.status == 0 || got.status == exit_data) << name << " " << at << " " << got.text;
    }
    for (std::size_t kept = 0; kept<whole.size(); kept += kept + 300> whole.size() ? 1 : 4999) {
      put(path, whole.substr(0, kept));
      EXPECT_EQ(outcome([&] { read_all(path); }).status, exit_data) << name << " cut to " << kept;
    }
    put(path, whole);
  }
  flip(scratch / "d.gz", get(scratch / "d.gz").size() - 6); // the CRC itself
  EXPECT_FAILS(exit_data, "incorrect data check", read_all(scratch / "d.gz"));
  put_gzip(scratch / "d.gz", content);
  put(scratch / "d.gz", get(scratch / "d.gz") + "more");
  EXPECT_EQ(outcome([&] { read_all(scratch / "d.gz"); }).status, exit_data);
}

TEST(RawFile, APipeIsRefusedBeforeItIsRead) {
  const Scratch scratch;
  const std::string pipe = scratch / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0666), 0);
  EXPECT_FAILS(exit_input, "write the bytes to a file first", RawFile file(pipe));
}

TEST(RawFile, MissingEmptyAndMisnamedFiles) {
  const Scratch scratch;
  put(scratch / "empty", "");
  put(scratch / "not.gz", "plain text");
  put(scratch / "not.zip", "plain text");
  EXPECT_FAILS(exit_data, "there is no file", read_all(scratch / "none"));
  EXPECT_FAILS(exit_data, "is empty", read_all(scratch / "empty"));
  EXPECT_FAILS(exit_data, "does not begin like one", read_all(scratch / "not.gz"));
  EXPECT_FAILS(exit_data, "does not begin like one", read_all(scratch / "not.zip"));
  EXPECT_FAILS(exit_data, "is a folder", read_all(scratch.str()));
}

TEST(PrepareText, FilesAreOneStreamInTheOrderGiven) {
  const Scratch scratch;
  put(scratch / "a", content.substr(0, 50'001));
  put_gzip(scratch / "b.gz", content.substr(50'001));
  const Prepared prepared = prepare_text({scratch / "a", scratch / "b.gz"}, scratch / "set", 3);
  EXPECT_TRUE(prepared.written);
  EXPECT_EQ(split_of(scratch / "set", "train"), content.substr(0, 108'000));
  EXPECT_EQ(split_of(scratch / "set", "valid"), content.substr(108'000, 6'000));
  EXPECT_EQ(split_of(scratch / "set", "test"), content.substr(114'000));
  ASSERT_EQ(prepared.splits.size(), 3u);
  EXPECT_EQ(prepared.splits[0].source_sha256, sha256(content.data(), content.size()));
  EXPECT_FALSE(fs::exists(scratch / "set/bytes"));
  EXPECT_EQ(scratch.entries(), 3u);
  EXPECT_FALSE(prepare_text({scratch / "a", scratch / "b.gz"}, scratch / "set", 3).written);
  EXPECT_FAILS(exit_input, "another data set", prepare_text({scratch / "a"}, scratch / "set", 3));
  EXPECT_EQ(scratch.entries(), 3u);
}

TEST(PrepareText, FailuresLeaveNothing) {
  const Scratch scratch;
  put_gzip(scratch / "cut.gz", content);
  put(scratch / "cut.gz", get(scratch / "cut.gz").substr(0, 50'000));
  put(scratch / "small", "nineteen characters");
  put(scratch / "good", content);
  EXPECT_FAILS(exit_data, "cut short", prepare_text({scratch / "cut.gz"}, scratch / "set", 1));
  EXPECT_FAILS(exit_data, "cut short", prepare_text({scratch / "good", scratch / "cut.gz"}, scratch / "set", 1));
  EXPECT_FAILS(exit_data, "at least 20", prepare_text({scratch / "small"}, scratch / "set", 1));
  EXPECT_FAILS(exit_data, "there is no file", prepare_text({scratch / "none"}, scratch / "set", 1));
  EXPECT_FAILS(exit_input, "--shards 1000", prepare_text({scratch / "good"}, scratch / "set", 1000));
  EXPECT_FAILS(exit_input, "is not a folder", prepare_text({scratch / "good"}, scratch / "small", 1));
  EXPECT_EQ(scratch.entries(), 3u);
}

TEST(PrepareText, SignalStopsAndLeavesNothing) {
  const Scratch scratch;
  put(scratch / "good", content);
  const StopGuard outer; // so that the signal cannot end the test program
  std::raise(SIGTERM);
  EXPECT_FAILS(exit_failure, "stopped by signal 15", StopGuard::check());
}

TEST(PrepareEnwik8, WholeFileIsVerifiedInEveryWrapping) {
  const Scratch scratch;
  put(scratch / "enwik8", content);
  put_gzip(scratch / "enwik8.gz", content);
  put_archive(scratch / "enwik8.zip", {{"enwik8", content}}, true, false);
  for (const char* name : {"enwik8", "enwik8.gz", "enwik8.zip"}) {
    const Prepared prepared = prepare_enwik8(scratch / name, scratch / "set", 2, false, known_of(content));
    EXPECT_EQ(prepared.note.rfind("verified: 120000 bytes", 0), 0u) << prepared.note;
    EXPECT_EQ(prepared.written, std::string(name) == "enwik8"); // the very same data after that
  }
  EXPECT_EQ(split_of(scratch / "set", "train") + split_of(scratch / "set", "valid") + split_of(scratch / "set", "test"),
            content);
}

TEST(PrepareEnwik8, PartIsTakenOnlyOnRequest) {
  const Scratch scratch;
  put(scratch / "part", content);
  EXPECT_FAILS(exit_data, "--allow-partial", prepare_enwik8(scratch / "part", scratch / "set", 1, false));
  EXPECT_FAILS(exit_data, "a1fa5ffddb56f4953e226637dabbb36a",
               prepare_enwik8(scratch / "part", scratch / "set", 1, false));
  EXPECT_EQ(scratch.entries(), 1u);
  const Prepared prepared = prepare_enwik8(scratch / "part", scratch / "set", 1, true);
  EXPECT_EQ(prepared.note.rfind("not verified", 0), 0u);
  EXPECT_TRUE(has_split(scratch / "set", "test"));
}

TEST(PrepareEnwik8, WrongFilesAreRefused) {
  const Scratch scratch;
  std::string wrong = content;
  wrong[70'000] = 'b';
  put(scratch / "wrong", wrong);
  put(scratch / "long", content + "x");
  put_archive(scratch / "two.zip", {{"a", "1"}, {"b", "2"}}, true, false);
  put_archive(scratch / "none.zip", {{"folder/", ""}}, true, false);
  for (const bool partial : {false, true}) {
    const auto prepare = [&](const char* name) {
      prepare_enwik8(scratch / name, scratch / "set", 1, partial, known_of(content));
    };
    EXPECT_FAILS(exit_data, "it is damaged", prepare("wrong"));
    EXPECT_FAILS(exit_data, "more than the 120000 bytes", prepare("long"));
    EXPECT_FAILS(exit_data, "holds 2 files", prepare("two.zip"));
    EXPECT_FAILS(exit_data, "holds no file", prepare("none.zip"));
  }
  EXPECT_EQ(scratch.entries(), 4u);
}

TEST(PrepareEnwik8, PrefixOfTheRealFile) {
  const std::string path = shared_file("enwik8-first-4000000.gz");
  if (path.empty())
    GTEST_SKIP() << "no enwik8-first-4000000.gz in WEFT_SHARED_DATA or ../shared/data";
  const Scratch scratch;
  EXPECT_FAILS(exit_data, "got 4000000 bytes", prepare_enwik8(path, scratch / "set", 4, false));
  prepare_enwik8(path, scratch / "set", 4, true);
  EXPECT_EQ(TokenStream(scratch / "set", "train").size(), 3'600'000);
  EXPECT_EQ(TokenStream(scratch / "set", "valid").size(), 200'000);
  EXPECT_EQ(TokenStream(scratch / "set", "test").size(), 200'000);
  EXPECT_EQ(split_of(scratch / "set", "train").rfind("<mediawiki", 0), 0u);
}
