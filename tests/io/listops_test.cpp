// Promise: a ListOps expression has the published text, value and tokens; official files of both forms are read from
// anything they come in, and whatever is wrong in them is named by file and line and leaves nothing behind.
#include "io/raw/listops.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"

using namespace weft;
using namespace weft::test;

namespace {

/// The first rows of a data set: true tokens and label of each.
struct Row {
  std::vector<std::uint16_t> tokens;
  std::int32_t label;
};
std::vector<Row> rows_of(const std::string& set, const std::string& split) {
  const Examples examples(set, split);
  std::vector<Row> rows;
  for (std::int64_t i = 0; i < examples.size(); ++i) {
    std::vector<std::uint16_t> tokens(static_cast<std::size_t>(examples.length()));
    std::int32_t length = 0, label = 0;
    examples.read(i, tokens.data(), &length, &label);
    for (std::size_t j = static_cast<std::size_t>(length); j < tokens.size(); ++j)
      EXPECT_EQ(tokens[j], 0) << "padding of row " << i;
    tokens.resize(static_cast<std::size_t>(length));
    rows.push_back({tokens, label});
  }
  return rows;
}

const std::string header = "Source\tTarget\r\n";
const std::string med = "( ( ( [MED 5 ) 1 ) ] )", nested = "( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )",
                  sum = "( ( ( ( [SM 8 ) 7 ) 6 ) ] )";

std::vector<Member> official(const std::string& folder) {
  return {{folder + "basic_test.tsv", header + sum + "\t1\r\n"},
          {folder + "basic_train.tsv", header + med + "\t3\r\n" + nested + "\t9\r\n"},
          {folder + "basic_val.tsv", header + "7\t7\r\n"}};
}

Prepared prepare(const std::vector<std::string>& from, const std::string& to, std::int64_t held_out = -1,
                 ListOpsTokens tokens = ListOpsTokens::lra, std::int64_t length = 32) {
  return prepare_listops(from, to, {tokens, length, 1}, held_out);
}

} // namespace

TEST(ListOpsText, ValuesFollowTheRule) {
  const auto worth = [](const std::string& text) { return listops_value(read_listops(text)); };
  EXPECT_EQ(worth("7"), 7);
  EXPECT_EQ(worth(med), 3); // (5 + 1) / 2
  EXPECT_EQ(worth("( ( ( [MED 2 ) 9 ) ] )"), 5) << "the fraction is cut off";
  EXPECT_EQ(worth("( ( ( ( [MED 9 ) 0 ) 4 ) ] )"), 4);
  EXPECT_EQ(worth(nested), 9);
  EXPECT_EQ(worth(sum), 1);
  EXPECT_EQ(
      worth("( ( ( ( ( ( ( [MAX 4 ) 3 ) ( ( ( [MIN 2 ) 3 ) ] ) ) 1 ) 0 ) ( ( ( ( ( ( [MED 1 ) 5 ) 8 ) 9 ) 2 ) ] ) ) "
            "] )"),
      5)
      << "the example of the arena's paper";
}

TEST(ListOpsText, TextIsWhatWasRead) {
  for (const std::string& text : {std::string("0"), med, nested, sum}) {
    const ListOps symbols = read_listops(text);
    EXPECT_EQ(listops_text(symbols), text);
    EXPECT_EQ(with_parentheses(symbols).size(), 3 * symbols.size() - 2);
  }
}

TEST(ListOpsText, WhatIsNoExpressionIsRefused) {
  for (const auto& [text, part] : {std::pair{"", "is empty"},
                                   {"[AVG 1 2 ]", "\"[AVG\" is no symbol"},
                                   {"( ( ( [MED 5 ) 1 ) ]", "parentheses"},
                                   {"[MED 5 1 ]", "parentheses"},
                                   {"( ( [MED 5 ) ( 1 ) ] )", "parentheses"},
                                   {"( ( ( [MED 5 ) 1 )", "1 lists of the expression are not closed"},
                                   {"( [MED ] )", "a list [MED has no argument"},
                                   {"5 5", "over after 1 of 2"},
                                   {"]", "cannot stand there"},
                                   {"( ( ( [MED 5 ) 1 ) ] ) ]", "over after"}})
    EXPECT_FAILS(exit_data, part, read_listops(text));
}

TEST(ListOpsText, TokensAreThoseOfTheTokenisation) {
  const ListOps symbols = read_listops(med);
  EXPECT_EQ(listops_tokens(symbols, ListOpsTokens::lra), (std::vector<std::uint16_t>{13, 6, 2, 15}));
  EXPECT_EQ(listops_tokens(symbols, ListOpsTokens::lra2020), (std::vector<std::uint16_t>{13, 6, 2}));
  EXPECT_EQ(listops_tokens(symbols, ListOpsTokens::brackets),
            (std::vector<std::uint16_t>{16, 16, 16, 13, 6, 17, 2, 17, 15, 17}));
  EXPECT_EQ(listops_vocabulary_words(ListOpsTokens::lra), "<pad> 0 1 2 3 4 5 6 7 8 9 [MIN [MAX [MED [SM ] <unk>");
  EXPECT_EQ(listops_vocabulary_words(ListOpsTokens::lra2020), "<pad> 0 1 2 3 4 5 6 7 8 9 MIN MAX MED SM <unk>");
  EXPECT_EQ(listops_vocabulary_words(ListOpsTokens::brackets),
            "<pad> 0 1 2 3 4 5 6 7 8 9 [MIN [MAX [MED [SM ] ( ) <unk>");
  EXPECT_FAILS(exit_input, "expected lra, lra2020, brackets, blind, words", listops_tokens_named("bpe"));
}

// A published tokenizer splits at punctuation and counts from the most frequent digit on; a faulty one knows no
// operator.
TEST(ListOpsText, TokensOfThePublishedStudyAreThere) {
  const ListOps symbols = read_listops(nested); // ( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )
  EXPECT_EQ(listops_tokens(symbols, ListOpsTokens::words),
            (std::vector<std::uint16_t>{5, 5, 5, 5, 7, 21, 18, 6, 11, 6, 5, 5, 5, 7, 19, 13, 6, 10, 6, 8, 6, 6, 8, 6}));
  EXPECT_EQ(listops_tokens(symbols, ListOpsTokens::blind),
            (std::vector<std::uint16_t>{12, 12, 12, 12, 14, 3,  13, 10, 13, 12, 12,
                                        12, 14, 5,  13, 8,  13, 11, 13, 13, 11, 13}));
  EXPECT_EQ(listops_vocabulary_words(ListOpsTokens::words),
            "<pad> <unk> <cls> <sep> <mask> ( ) [ ] 8 7 9 5 4 6 3 1 0 2 MIN MED MAX SM");
  EXPECT_EQ(listops_vocabulary_words(ListOpsTokens::blind), "<pad> 0 1 2 3 4 5 6 7 8 9 ] ( ) <unk>");
  EXPECT_EQ(listops_vocabulary(ListOpsTokens::words), 23);
  EXPECT_EQ(listops_vocabulary(ListOpsTokens::blind), 15);
  for (const std::string& name : listops_tokens_names()) {
    const ListOpsTokens kind = listops_tokens_named(name);
    const std::vector<std::uint16_t> tokens = listops_tokens(symbols, kind);
    EXPECT_LE(tokens.size(), symbols.size() * static_cast<std::size_t>(listops_tokens_per_symbol(kind))) << name;
    EXPECT_LT(*std::max_element(tokens.begin(), tokens.end()), listops_vocabulary(kind)) << name;
  }
}

TEST(ListOpsText, CharactersAreCountedAsTheTextHasThem) {
  for (const std::string& text : {std::string("7"), med, nested, sum})
    EXPECT_EQ(listops_characters(read_listops(text)), static_cast<std::int64_t>(text.size()));
}

TEST(PrepareListops, RowsOfOtherLengthsInCharactersAreLeftOut) {
  const Scratch scratch;
  put_archive(scratch / "a.tar", official(""), false, false);
  const auto size = static_cast<std::int64_t>(nested.size());
  const auto prepared = [&](const std::string& to, const ListOpsCharacters& characters) {
    return prepare_listops({scratch / "a.tar"}, to, {ListOpsTokens::lra, 32, 1}, -1, nullptr, characters);
  };
  EXPECT_EQ(prepared(scratch / "all", {0, size + 1}).splits[0].size, 2);
  EXPECT_EQ(prepared(scratch / "short", {0, size}).splits[0].size, 1); // fewer than
  EXPECT_EQ(rows_of(scratch / "short", "train")[0].label, 3);
  EXPECT_FAILS(exit_input, "no row of basic_val.tsv has 2 characters or more", prepared(scratch / "none", {2, 0}));
  EXPECT_FALSE(fs::exists(scratch / "none"));
}

TEST(PrepareListops, TheArenaFilesComeOutTheSameFromAllTheyLieIn) {
  const Scratch scratch;
  fs::create_directories(scratch / "plain/listops-1000");
  for (const auto& [name, text] : official("listops-1000/"))
    put(scratch / ("plain/" + name), text);
  std::vector<Member> release = official("lra_release/lra_release/listops-1000/");
  release.insert(release.begin(), {"lra_release/tsv_data/new_aan_pairs.train.tsv", "no ListOps"});
  put_archive(scratch / "lra_release.gz", release, false, true);
  put_archive(scratch / "one.tar", official("lra_release/listops-1000/"), false, false);
  std::vector<std::string> digests;
  for (const std::vector<std::string>& from :
       {std::vector<std::string>{scratch / "plain"},
        {scratch / "lra_release.gz"},
        {scratch / "one.tar"},
        {scratch / "plain/listops-1000/basic_val.tsv", scratch / "plain/listops-1000/basic_test.tsv",
         scratch / "plain/listops-1000/basic_train.tsv"}}) {
    const std::string set = scratch / ("set" + std::to_string(digests.size() / 4));
    const Prepared prepared = prepare(from, set);
    EXPECT_NE(prepared.note.find("2 rows of "), std::string::npos) << prepared.note;
    for (const SplitInfo& split : prepared.splits)
      digests.push_back(split.split_sha256);
    digests.push_back(prepared.splits[0].source_sha256);
    const auto train = rows_of(set, "train");
    ASSERT_EQ(train.size(), 2u);
    EXPECT_EQ(train[0].tokens, (std::vector<std::uint16_t>{13, 6, 2, 15}));
    EXPECT_EQ(train[0].label, 3);
    EXPECT_EQ(train[1].label, 9);
    EXPECT_EQ(rows_of(set, "valid")[0].tokens, (std::vector<std::uint16_t>{8}));
    EXPECT_EQ(rows_of(set, "test")[0].label, 1);
  }
  for (std::size_t i = 4; i < digests.size(); ++i)
    EXPECT_EQ(digests[i], digests[i % 4]);
  const SplitInfo info = Examples(scratch / "set0", "test").info();
  EXPECT_EQ(info.classes, 10);
  EXPECT_EQ(info.vocabulary, 17);
  EXPECT_EQ(info.task, "listops");
  EXPECT_EQ(info.symbols, listops_vocabulary_words(ListOpsTokens::lra));
  std::string files;
  for (const char* name : {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"})
    files += get(scratch / "plain/listops-1000/" + name);
  EXPECT_EQ(info.source_sha256, sha256(files.data(), files.size()));
}

TEST(PrepareListops, OfTwoCopiesTheInnermostIsTakenAndItIsSaid) {
  const Scratch scratch;
  std::vector<Member> all = official("lra_release/listops-1000/");
  for (const Member& member : official("lra_release/lra_release/listops-1000/"))
    all.push_back(member);
  put_archive(scratch / "same.gz", all, false, true);
  EXPECT_NE(prepare({scratch / "same.gz"}, scratch / "same").note.find("2 copies were there, the same to the byte"),
            std::string::npos);
  all[1].second = header + "4\t4\r\n";
  put_archive(scratch / "other.gz", all, false, true);
  const Prepared prepared = prepare({scratch / "other.gz"}, scratch / "other");
  EXPECT_NE(prepared.note.find("2 copies were there, which differ; the innermost"), std::string::npos) << prepared.note;
  EXPECT_EQ(prepared.splits[0].size, 2);
}

TEST(PrepareListops, TheFilesOf2018AreReadAndAValidSplitIsHeldOut) {
  const Scratch scratch;
  std::string train;
  for (int i = 0; i < 50; ++i)
    train += std::to_string(i % 10) + "\t" + std::to_string(i % 10) + "\n";
  put(scratch / "train_d20s.tsv", train + "3\t" + med); // no line end
  put(scratch / "test_d20s.tsv", "1\t" + sum + "\n");
  const std::vector<std::string> from{scratch / "train_d20s.tsv", scratch / "test_d20s.tsv"};
  const Prepared prepared = prepare(from, scratch / "set");
  EXPECT_EQ(prepared.splits[0].size, 49);
  EXPECT_EQ(prepared.splits[1].size, 2);
  EXPECT_NE(prepared.note.find("2 rows of train were held out"), std::string::npos) << prepared.note;
  std::vector<std::int32_t> counts(10, 0);
  for (const char* split : {"train", "valid"})
    for (const Row& row : rows_of(scratch / "set", split))
      ++counts[static_cast<std::size_t>(row.label)];
  EXPECT_EQ(counts, (std::vector<std::int32_t>{5, 5, 5, 6, 5, 5, 5, 5, 5, 5})) << "a row was lost or doubled";
  EXPECT_NE(prepare(from, scratch / "tested", 0).note.find("THE VALID SPLIT IS THE TEST SPLIT"), std::string::npos);
  EXPECT_EQ(rows_of(scratch / "tested", "valid")[0].label, 1);
  EXPECT_FAILS(exit_input, "51 of 51", prepare(from, scratch / "none", 51));
  // With the header that later copies have.
  put(scratch / "test_d20s.tsv", "Target\tSource\n1\t" + sum + "\n");
  EXPECT_EQ(prepare(from, scratch / "headed").splits[2].split_sha256, prepared.splits[2].split_sha256);
}

TEST(PrepareListops, LongRowsLoseTheirEndAndItIsSaid) {
  const Scratch scratch;
  put_archive(scratch / "a.tar", official(""), false, false);
  const Prepared prepared = prepare({scratch / "a.tar"}, scratch / "set", -1, ListOpsTokens::brackets, 10);
  EXPECT_NE(prepared.note.find("2 examples are longer than 10 tokens"), std::string::npos) << prepared.note;
  EXPECT_EQ(rows_of(scratch / "set", "train")[1].tokens.size(), 10u);
  EXPECT_EQ(Examples(scratch / "set", "train").length(), 10);
}

TEST(PrepareListops, WrongFilesAreNamedWithTheLineAndLeaveNothing) {
  const Scratch scratch;
  const std::string target = scratch / "set";
  const auto with_train = [&](const std::string& text) {
    put_archive(scratch / "a.tar", {{"basic_train.tsv", text}, {"basic_test.tsv", header + "1\t1\n"}}, false, false);
    return std::vector<std::string>{scratch / "a.tar"};
  };
  for (const auto& [text, part] :
       {std::pair{header + med + "\t3\r\n" + med + "\t4\r\n", "line 3 of basic_train.tsv: the "
                                                              "expression is worth 3, but 4"},
        {header + med + "\tx\r\n", "is not a value from 0 to 9"},
        {header + med + "\t12\r\n", "is not a value from 0 to 9"},
        {header + med + "\r\n", "not two fields"},
        {header + "1\t1\t1\n", "not two fields"},
        {header + "\n", "line 2 of basic_train.tsv"},
        {header + "( ( ( [MED 5 ) 1 ) ]\t3", "parentheses"},
        {header, "holds no row"},
        {noise(300), "line 1 of basic_train.tsv"},
        {std::string(3 << 20, '5'), "more than 1048576 characters"}})
    EXPECT_FAILS(exit_data, part, prepare(with_train(text), target));
  EXPECT_FAILS(exit_data, "too few to hold out", prepare(with_train(header + "1\t1\n"), target));
  put_archive(scratch / "a.tar", {{"basic_train.tsv", header + "1\t1\n"}, {"other.txt", "x"}}, false, false);
  EXPECT_FAILS(exit_data, "got basic_train.tsv, expected", prepare({scratch / "a.tar"}, target));
  put_archive(scratch / "a.tar", {{"train_a.tsv", "1\t1\n"}, {"train_b.tsv", "1\t1\n"}}, false, false);
  EXPECT_FAILS(exit_data, "both named like the train split", prepare({scratch / "a.tar"}, target));
  put_archive(scratch / "a.tar", official(""), false, false);
  EXPECT_FAILS(exit_input, "leave --held-out away", prepare({scratch / "a.tar"}, target, 1));
  EXPECT_FAILS(exit_data, "there is no file", prepare({scratch / "none"}, target));
  EXPECT_EQ(scratch.entries(), 1u);
}
