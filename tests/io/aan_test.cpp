// The arena's Retrieval files: pairs in, shards out; what is missing or damaged is told in a line.
#include "io/raw/aan.hpp"
#include "io/shards.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"

using namespace weft;
using namespace weft::test;

namespace {

const std::string train = "1.0\tP00-1\tP00-2\tfirst text\tsecond, \"quoted\n0.0\tP00-3\tP00-4\t" +
                          std::string(50, 'a') + "\tb\r\n1\tx\ty\t\tlast";
const std::string eval = "0\ta\tb\tone\ttwo\n", test_file = "1\ta\tb\tthree\tfour\n0\tc\td\tfive\tsix\n";

std::vector<Member> members(const std::string& folder = "lra_release/lra_release/tsv_data/") {
  return {{folder + "new_aan_pairs.test.tsv", test_file},
          {"lra_release/lra_release/listops-1000/basic_val.tsv", "Source\tTarget\n"},
          {folder + "new_aan_pairs.train.tsv", train},
          {folder + "new_aan_pairs.eval.tsv", eval}};
}

struct Pair {
  std::string first, second;
  std::int32_t label = 0;
};
Pair pair_of(const Examples& examples, std::int64_t row) {
  Pair pair;
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(examples.length()));
  std::int32_t length = 0;
  const auto text = [&] {
    std::string all;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (static_cast<std::int32_t>(i) < length)
        all += static_cast<char>(tokens[i] - 1);
      else
        EXPECT_EQ(tokens[i], 0); // padding
    }
    return all;
  };
  examples.read(row, 1, tokens.data(), &length, &pair.label);
  pair.first = text();
  examples.read_second(row, 1, tokens.data(), &length);
  pair.second = text();
  return pair;
}

} // namespace

TEST(PrepareAan, PairsComeFromTheArchiveAndFromFiles) {
  const Scratch scratch;
  put_archive(scratch / "lra_release.gz", members(), false, true);
  AanRequest request;
  request.length = 20;
  const Prepared prepared = prepare_aan({scratch / "lra_release.gz"}, scratch / "set", request);
  EXPECT_EQ(prepared.splits[0].size, 3);
  EXPECT_EQ(prepared.splits[1].size, 1);
  EXPECT_EQ(prepared.splits[2].size, 2);
  EXPECT_NE(prepared.note.find("1 empty text"), std::string::npos) << prepared.note;
  const Examples examples(scratch / "set", "train");
  EXPECT_TRUE(examples.pairs());
  EXPECT_EQ(examples.vocabulary(), 257);
  EXPECT_EQ(examples.info().classes, 2);
  const Pair one = pair_of(examples, 0), two = pair_of(examples, 1), three = pair_of(examples, 2);
  EXPECT_EQ(one.first, "first text");
  EXPECT_EQ(one.second, "second, \"quoted");
  EXPECT_EQ(one.label, 1);
  EXPECT_EQ(two.first, std::string(20, 'a')); // cut
  EXPECT_EQ(two.second, "b");                 // CR LF is no text
  EXPECT_EQ(two.label, 0);
  EXPECT_EQ(three.first, "");
  EXPECT_EQ(three.second, "last");
  EXPECT_EQ(pair_of(Examples(scratch / "set", "test"), 1).second, "six");
  fs::create_directories(scratch / "tsv_data");
  for (const auto& [name, text] : members("tsv_data/"))
    if (name.rfind("tsv_data/", 0) == 0)
      put(scratch / name, text);
  EXPECT_FALSE(prepare_aan({scratch / "tsv_data"}, scratch / "set", request).written); // the very same
}

TEST(PrepareAan, AbsenceIsToldInOneLine) {
  const Scratch scratch;
  put_archive(scratch / "without.tar", {{"lra_release/listops-1000/basic_val.tsv", "x"}}, false, false);
  put_archive(scratch / "ids.tar", {{"new_aan_pairs.train.only_ids.tsv", "1\ta\tb\n"}}, false, false);
  put_archive(scratch / "part.tar", {{"new_aan_pairs.train.tsv", train}, {"new_aan_pairs.eval.tsv", eval}}, false,
              false);
  for (const auto& [file, part] : {std::pair{"without.tar", "AAN is not in this archive"},
                                   {"ids.tar", "have no texts"},
                                   {"part.tar", "holds no new_aan_pairs.test.tsv"}}) {
    const Outcome got = outcome([&] { prepare_aan({scratch / file}, scratch / "set", {}); });
    EXPECT_EQ(got.status, exit_data);
    EXPECT_NE(got.text.find(part), std::string::npos) << got.text;
    EXPECT_EQ(got.text.find('\n'), std::string::npos);
  }
  EXPECT_EQ(scratch.entries(), 3u);
}

TEST(PrepareAan, DamageIsNamed) {
  const Scratch scratch;
  const auto refused = [&](int status, const std::string& line, const char* part) {
    put(scratch / "new_aan_pairs.train.tsv", line);
    EXPECT_FAILS(status, part, prepare_aan({scratch / "new_aan_pairs.train.tsv"}, scratch / "set", {}));
  };
  refused(exit_data, "1\ta\tb\tc\n", "line 1 of");
  refused(exit_data, train + "\n1\ta\tb\tc\td\te", "line 4 of");
  refused(exit_data, "2\ta\tb\tc\td", "the label \"2\"");
  refused(exit_data, "", "empty");
  AanRequest request;
  request.length = 10'001;
  EXPECT_FAILS(exit_input, "--length", prepare_aan({scratch / "new_aan_pairs.train.tsv"}, scratch / "set", request));
  put(scratch / "new_aan_pairs.train.tsv", train);
  EXPECT_FAILS(
      exit_input, "is there twice",
      prepare_aan({scratch / "new_aan_pairs.train.tsv", scratch / "new_aan_pairs.train.tsv"}, scratch / "set", {}));
  EXPECT_EQ(scratch.entries(), 1u);
}
