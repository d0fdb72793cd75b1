// Promise: damaged ListOps files and IMDb archives are refused with status 4, or read as a whole data set; nothing is
// left behind either way, and no expression with a wrong value gets through.
#include "../io/raw_support.hpp"
#include "io/raw/imdb.hpp"
#include "io/raw/listops.hpp"
#include "mutator.hpp"

using namespace weft;
using namespace weft::test;

namespace {

const std::string med = "( ( ( [MED 5 ) 1 ) ] )", nested = "( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )";

} // namespace

TEST(FuzzListops, expressions) {
  const Scratch scratch;
  Mutator mutator({med, nested, "7"}, 21);
  const FuzzCount count = fuzz(mutator, rounds(5000), scratch / "text", {exit_data}, [](const std::string& path) {
    const ListOps symbols = read_listops(get(path));
    EXPECT_EQ(listops_value(read_listops(listops_text(symbols))), listops_value(symbols));
    EXPECT_LT(listops_value(symbols), 10);
  });
  EXPECT_GT(count.refused, 0);
  EXPECT_GT(count.taken, 0);
}

TEST(FuzzListops, files) {
  const Scratch scratch;
  const std::string rows = med + "\t3\r\n" + nested + "\t9\r\n";
  put_archive(scratch / "a.tar",
              {{"listops-1000/basic_train.tsv", "Source\tTarget\r\n" + rows},
               {"listops-1000/basic_val.tsv", "Source\tTarget\r\n" + rows},
               {"listops-1000/basic_test.tsv", "3\t" + med + "\n"}},
              false, false);
  Mutator mutator({get(scratch / "a.tar")}, 22);
  const FuzzCount count = fuzz(mutator, rounds(300), scratch / "a.tar", {exit_data}, [&](const std::string& path) {
    prepares_or_leaves_nothing(scratch, [&] { prepare_listops({path}, scratch / "set", {ListOpsTokens::lra, 32, 1}); });
  });
  EXPECT_GT(count.refused, 0);
}

/// The training rows alone, as a file of a folder: the damage is in the text, not in the archive around it.
TEST(FuzzListops, tsv) {
  const Scratch scratch;
  const std::string raw = scratch / "raw", header = "Source\tTarget\r\n";
  fs::create_directories(raw);
  const std::string rows = med + "\t3\r\n" + nested + "\t9\r\n", bare = "3\t" + med + "\n9\t" + nested + "\n";
  put(raw + "/basic_val.tsv", header + rows);
  put(raw + "/basic_test.tsv", header + rows);
  Mutator mutator({header + rows, bare}, 24);
  const FuzzCount count = fuzz(mutator, rounds(300), raw + "/basic_train.tsv", {exit_data}, [&](const std::string&) {
    prepares_or_leaves_nothing(scratch, [&] { prepare_listops({raw}, scratch / "set", {ListOpsTokens::lra, 32, 1}); });
  });
  EXPECT_GT(count.refused, count.taken);
  EXPECT_GT(count.taken, 0);
}

TEST(FuzzListops, reviews) {
  const Scratch scratch;
  std::vector<Member> members;
  for (const char* folder : {"train/neg/", "train/pos/", "test/neg/", "test/pos/"})
    members.emplace_back(std::string("aclImdb/") + folder + "0_1.txt", noise(700));
  put_archive(scratch / "a.tar", members, false, false);
  const KnownImdb known{1, 1400, 1400};
  Mutator mutator({get(scratch / "a.tar")}, 23);
  const FuzzCount count = fuzz(mutator, rounds(200), scratch / "a.tar", {exit_data}, [&](const std::string& path) {
    prepares_or_leaves_nothing(scratch, [&] {
      prepare_imdb({path}, scratch / "set", {64, 1, 0, false}, nullptr, known);
    });
  });
  EXPECT_GT(count.refused, 0);
}
