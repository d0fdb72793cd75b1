// Promise: what is generated follows the published rules and is a function of the seed: ListOps draws tree for tree as
// the published routine does from the same dice, and fresh rows have its lengths, shares and nesting.
#include "io/generate/copy.hpp"
#include "io/generate/listops.hpp"
#include "io/generate/pairs.hpp"
#include "io/progress.hpp"
#include "io/raw/listops.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <sstream>

using namespace weft;
using namespace weft::test;

namespace {

/// Python's random module with seed(0): MT19937 set up from the key {0}, 53-bit floats, integers by rejection.
class PythonDice final : public ListOpsDice {
 public:
  PythonDice() {
    std::vector<std::uint32_t> state(624);
    state[0] = 19650218u;
    for (std::uint32_t i = 1; i < 624; ++i)
      state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
    std::size_t i = 1;
    const auto step = [&] {
      if (++i == 624) {
        state[0] = state[623];
        i = 1;
      }
    };
    for (int k = 0; k < 624; ++k, step())
      state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * 1664525u)) + 0;
    for (int k = 0; k < 623; ++k, step())
      state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * 1566083941u)) - static_cast<std::uint32_t>(i);
    state[0] = 0x80000000u;
    std::stringstream text;
    for (const std::uint32_t word : state)
      text << word << ' ';
    text << 624;
    text >> words_;
  }
  double unit() {
    const std::uint32_t a = word() >> 5, b = word() >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
  }
  bool nests() override { return !(unit() > 0.25); }
  int arguments(int most) override { return 2 + static_cast<int>(below(static_cast<std::uint32_t>(most - 1))); }
  int digit() override { return static_cast<int>(below(10)); }
  std::uint8_t operation() override { return static_cast<std::uint8_t>(listops_min + below(4)); }

 private:
  std::uint32_t word() { return static_cast<std::uint32_t>(words_()); }
  std::uint32_t below(std::uint32_t n) {
    int bits = 0;
    while (n >> bits != 0)
      ++bits;
    for (;;)
      if (const std::uint32_t drawn = word() >> (32 - bits); drawn < n)
        return drawn;
  }
  std::mt19937 words_;
};

/// The value of the published text, from its binary tree: another way than the program's.
struct Partial {
  std::string operation; // empty: a value
  std::vector<int> arguments;
};
Partial evaluated(std::istringstream& text) {
  std::string word;
  text >> word;
  if (word != "(")
    return std::isdigit(word[0]) != 0 ? Partial{"", {word[0] - '0'}} : Partial{word, {}};
  Partial left = evaluated(text);
  const Partial right = evaluated(text);
  text >> word;
  EXPECT_EQ(word, ")");
  if (right.operation.empty()) {
    left.arguments.push_back(right.arguments.at(0));
    return left;
  }
  EXPECT_EQ(right.operation, "]");
  std::vector<int>& all = left.arguments;
  std::sort(all.begin(), all.end());
  int sum = 0;
  for (const int value : all)
    sum += value;
  const std::size_t n = all.size();
  const double middle = n % 2 == 1 ? all[n / 2] : (all[n / 2 - 1] + all[n / 2]) / 2.0;
  return {"",
          {left.operation == "[MIN"   ? all.front()
           : left.operation == "[MAX" ? all.back()
           : left.operation == "[MED" ? static_cast<int>(std::floor(middle))
                                      : sum % 10}};
}

int nesting(const ListOps& symbols) {
  int depth = 0, most = 0;
  for (const std::uint8_t symbol : symbols) {
    depth += symbol == listops_close ? -1 : symbol >= listops_min ? 1 : 0;
    most = std::max(most, depth);
  }
  return most;
}

struct Set {
  std::vector<std::vector<std::uint16_t>> tokens, tokens2;
  std::vector<std::int32_t> lengths, labels;
};
Set read_set(const std::string& folder, const std::string& split) {
  const Examples examples(folder, split);
  const auto n = static_cast<std::size_t>(examples.size()), width = static_cast<std::size_t>(examples.length());
  Set set;
  set.lengths.resize(n);
  set.labels.resize(n);
  examples.read(0, examples.size(), nullptr, set.lengths.data(), set.labels.data());
  for (std::size_t i = 0; i < n; ++i) {
    set.tokens.emplace_back(width);
    examples.read(static_cast<std::int64_t>(i), 1, set.tokens.back().data(), nullptr, nullptr);
    if (!examples.pairs())
      continue;
    set.tokens2.emplace_back(width);
    examples.read_second(static_cast<std::int64_t>(i), 1, set.tokens2.back().data(), nullptr);
  }
  return set;
}

ListOpsRequest small_request() {
  ListOpsRequest request;
  request.rule = {5, 5, 10, 200};
  request.examples = {200, 30, 40};
  request.seed = 7;
  return request;
}

} // namespace

TEST(GenerateListops, DrawsAsThePublishedRoutineDoes) {
  PythonDice check;
  EXPECT_DOUBLE_EQ(check.unit(), 0.8444218515250481);
  EXPECT_DOUBLE_EQ(check.unit(), 0.7579544029403025);
  struct Kept {
    int draw, length, characters, value;
    std::string digest;
  };
  for (const auto& [rule, expected] :
       {std::pair{ListOpsRule{10, 10, 500, 2000}, std::vector<Kept>{{16, 522, 3322, 0, "0d33697cf4d64266"},
                                                                    {27, 1084, 6915, 6, "1a8c7b95a6925358"},
                                                                    {39, 553, 3529, 9, "7f26cb2b1971f628"}}},
        std::pair{ListOpsRule{20, 5, 1, 0}, std::vector<Kept>{{2, 10, 61, 4, "caee982f61390bc3"},
                                                              {3, 4, 22, 3, ""},
                                                              {13, 107, 706, 1, "152715a4895ea149"}}}}) {
    PythonDice dice;
    ListOps symbols;
    int draw = 0;
    const ListOpsRule unbounded{rule.max_depth, rule.max_arguments, 0, 0}; // a long tree is drawn to its end
    for (const Kept& kept : expected) {
      const auto length = [&] { return static_cast<int>(symbols.size()); };
      do {
        draw_listops(dice, unbounded, symbols);
        ++draw;
      } while (draw < kept.draw || length() <= rule.min_length || (rule.max_length > 0 && length() >= rule.max_length));
      EXPECT_EQ(draw, kept.draw);
      const std::string text = listops_text(symbols);
      EXPECT_EQ(length(), kept.length);
      EXPECT_EQ(static_cast<int>(text.size()), kept.characters);
      EXPECT_EQ(listops_value(symbols), kept.value);
      EXPECT_EQ(sha256(text.data(), text.size()).substr(0, kept.digest.size()), kept.digest);
    }
  }
}

// Reference: 8.2 % of draws kept, L mean 1,035 to 1,046 (standard deviation about 390, so 7 of the mean here), shares
// of the classes 17.0, 9.1, 7.4, 8.2, 9.0, 8.7, 7.9, 7.3, 8.6, 16.9 %, nesting exactly 9.
TEST(GenerateListops, FreshRowsOfTheArenaHaveItsFigures) {
  const Scratch scratch;
  ListOpsRequest request;
  request.examples = {3000, 1, 1};
  const Prepared prepared = generate_listops(scratch / "set", request, {});
  const double share = std::stod(prepared.note.substr(prepared.note.find('(') + 1));
  EXPECT_NEAR(share, 8.2, 0.7) << prepared.note;
  const Set set = read_set(scratch / "set", "train");
  ASSERT_EQ(set.tokens[0].size(), 2000u);
  const double shares[] = {17.0, 9.1, 7.4, 8.2, 9.0, 8.7, 7.9, 7.3, 8.6, 16.9};
  double counts[10] = {}, mean = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    mean += set.lengths[i] / 3000.0;
    counts[set.labels[i]] += 100 / 3000.0;
    ASSERT_GT(set.lengths[i], 500);
    ASSERT_LT(set.lengths[i], 2000);
    ListOps symbols;
    for (std::int32_t j = 0; j < set.lengths[i]; ++j)
      symbols.push_back(static_cast<std::uint8_t>(set.tokens[i][static_cast<std::size_t>(j)] - 1));
    EXPECT_EQ(nesting(symbols), 9) << "row " << i;
    std::istringstream text(listops_text(symbols));
    EXPECT_EQ(evaluated(text).arguments.at(0), set.labels[i]) << "row " << i;
  }
  EXPECT_NEAR(mean, 1040, 30);
  for (int value = 0; value < 10; ++value)
    EXPECT_NEAR(counts[value], shares[value], 2.5) << "class " << value;
}

TEST(GenerateListops, TheSeedDecidesEverythingAndSplitsShareNothing) {
  const Scratch scratch;
  const ListOpsRequest request = small_request();
  const auto digest = [&](const ListOpsRequest& wanted, const std::string& name, int shards = 1) {
    return generate_listops(scratch / name, wanted, {ListOpsTokens::lra, 0, shards}).splits[0].split_sha256;
  };
  const std::string one = digest(request, "one");
  EXPECT_EQ(digest(request, "again", 3), one);
  ListOpsRequest other = request;
  other.seed = 8;
  EXPECT_NE(digest(other, "seed"), one);
  other = request;
  other.examples[2] = 50; // more test rows change no row before
  EXPECT_EQ(digest(other, "more"), one);
  std::set<std::vector<std::uint16_t>> all;
  for (const char* split : {"train", "valid", "test"})
    for (const auto& tokens : read_set(scratch / "one", split).tokens) {
      EXPECT_EQ(tokens.size(), 200u);
      all.insert(tokens);
    }
  EXPECT_EQ(all.size(), 270u);
}

TEST(GenerateListops, OfficialFilesReadBackToTheSameBits) {
  const Scratch scratch;
  for (const ListOpsForm form : {ListOpsForm::arena, ListOpsForm::d20})
    for (const ListOpsTokens tokens : {ListOpsTokens::lra, ListOpsTokens::lra2020, ListOpsTokens::brackets,
                                       ListOpsTokens::blind, ListOpsTokens::words}) {
      ListOpsRequest request = small_request();
      request.form = form;
      request.tsv = scratch / "tsv";
      const Prepared made = generate_listops(scratch / "made", request, {tokens, 0, 1});
      const std::int64_t length = 200 * listops_tokens_per_symbol(tokens);
      const Prepared read = prepare_listops({scratch / "tsv"}, scratch / "made", {tokens, length, 1});
      EXPECT_FALSE(read.written) << "other attributes, tokens, lengths or labels";
      for (std::size_t split = 0; split < 3; ++split)
        EXPECT_EQ(made.splits[split].split_sha256, read.splits[split].split_sha256);
      EXPECT_FALSE(generate_listops(scratch / "made", request, {tokens, 0, 1}).written) << "the same is left alone";
      const std::string first = get(scratch / ("tsv/" + listops_file(form, 0)));
      EXPECT_EQ(first.substr(0, 15) == "Source\tTarget\r\n", form == ListOpsForm::arena);
      request.seed = 9;
      EXPECT_FAILS(exit_input, "does not hold the same files",
                   generate_listops(scratch / "new", request, {tokens, 0, 1}));
      EXPECT_FALSE(fs::exists(scratch / "new"));
      for (const char* name : {"tsv", "made"})
        fs::remove_all(scratch / name);
    }
}

TEST(GenerateListops, TheTextHasTheCharactersAskedFor) {
  const Scratch scratch;
  ListOpsRequest request;
  request.rule = {20, 5, 0, 0, {100, 300}};
  request.examples = {200, 10, 10};
  request.tsv = scratch / "tsv";
  generate_listops(scratch / "set", request, {ListOpsTokens::words, 400, 1});
  std::istringstream lines(get(scratch / ("tsv/" + listops_file(ListOpsForm::arena, 0))));
  std::size_t shortest = 1000, longest = 0, rows = 0;
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line); ++rows) {
    shortest = std::min(shortest, line.find('\t'));
    longest = std::max(longest, line.find('\t'));
  }
  EXPECT_EQ(rows, 200u);
  EXPECT_GE(shortest, 100u);
  EXPECT_LT(longest, 300u);
  EXPECT_LT(shortest, 120u) << "the limit is not what cuts";
  EXPECT_GT(longest, 250u);
}

TEST(GenerateListops, RulesThatCannotBeMetAreInputErrors) {
  const Scratch scratch;
  ListOpsRequest request;
  request.rule = {2, 2, 0, 0}; // 10 digits and 4 x 10 x 10 lists
  request.examples = {400, 5, 5};
  EXPECT_EQ(generate_listops(scratch / "all", request, {}).splits[0].size, 400);
  request.examples = {400, 5, 6};
  EXPECT_FAILS(exit_input, "no new expression after 5 of 6 in test", generate_listops(scratch / "set", request, {}));
  request.rule = {10, 10, 500, 501};
  EXPECT_FAILS(exit_input, "there are none", generate_listops(scratch / "set", request, {}));
  request.rule = {10, 1, 500, 2000};
  EXPECT_FAILS(exit_input, "at least 1, 2", generate_listops(scratch / "set", request, {}));
  request = small_request();
  request.tsv = scratch / "set/../set";
  EXPECT_FAILS(exit_input, "the same folder", generate_listops(scratch / "set", request, {}));
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(GenerateCopy, RowsAreTwiceTheSameWordAndSplitsAreDrawnApart) {
  const Scratch scratch;
  CopyRequest request;
  request.examples = {300, 20, 20};
  request.length = 64;
  request.symbols = 9;
  request.seed = 3;
  generate_copy(scratch / "set", request);
  const SplitInfo info = Examples(scratch / "set", "valid").info();
  EXPECT_EQ(info.task, "copy");
  EXPECT_EQ(info.vocabulary, 10);
  EXPECT_EQ(info.scored_first, 33);
  EXPECT_EQ(info.classes, 0);
  std::map<int, int> counts;
  const Set train = read_set(scratch / "set", "train"), valid = read_set(scratch / "set", "valid");
  for (const auto& row : train.tokens) {
    ASSERT_EQ(row.size(), 64u);
    EXPECT_EQ(row[0], 0);
    EXPECT_TRUE(std::equal(row.begin(), row.begin() + 32, row.begin() + 32));
    for (std::size_t i = 1; i < 32; ++i)
      ++counts[row[i]];
  }
  ASSERT_EQ(counts.size(), 9u);
  for (const auto& [symbol, count] : counts)
    EXPECT_NEAR(count, 300 * 31 / 9.0, 150) << symbol; // about five standard deviations
  EXPECT_EQ(counts.count(0), 0u);
  EXPECT_EQ(train.labels[5], -1);
  EXPECT_EQ(train.lengths[5], 64);
  EXPECT_NE(train.tokens[0], valid.tokens[0]);
  request.same_rows = true;
  const Prepared same = generate_copy(scratch / "same", request);
  EXPECT_NE(same.note.find("REPEAT THE FIRST ROWS OF TRAIN"), std::string::npos);
  const Set first = read_set(scratch / "same", "valid");
  EXPECT_TRUE(std::equal(first.tokens.begin(), first.tokens.end(), train.tokens.begin()));
  request.length = 63;
  EXPECT_FAILS(exit_input, "an even number", generate_copy(scratch / "odd", request));
  request.length = 64;
  request.symbols = 65'535;
  EXPECT_FAILS(exit_input, "1 to 65534", generate_copy(scratch / "many", request));
}

TEST(GeneratePairs, HalvesAreOfOneDocumentOrTwoAndNoDocumentIsInTwoSplits) {
  const Scratch scratch;
  fs::create_directories(scratch / "texts/below");
  // Document d: bytes d, then 128 + d; equal and short ones and one of another kind beside.
  const auto document = [](int d) {
    return std::string(40, static_cast<char>(d + 33)) + std::string(40, static_cast<char>(d + 161));
  };
  for (int d = 0; d < 60; ++d)
    put(scratch / ("texts/" + std::string(d % 2 == 0 ? "below/" : "") + std::to_string(d) + ".txt"),
        document(d) + "\n");
  put(scratch / "texts/twice.txt", document(3));
  put(scratch / "texts/short.txt", std::string(63, 'x'));
  put(scratch / "texts/names.list", std::string(500, '~'));
  PairsRequest request;
  request.from = {scratch / "texts"};
  request.ending = ".txt";
  request.length = 32;
  request.examples = {2000, 0, 100};
  const Prepared prepared = generate_pairs(scratch / "set", request);
  EXPECT_NE(prepared.note.find("60 documents of 64 bytes or more (1 shorter and 1 repeated"), std::string::npos)
      << prepared.note;
  EXPECT_EQ(prepared.splits[1].size, 6);
  std::set<int> seen;
  for (const char* split : {"train", "valid", "test"}) {
    const Set set = read_set(scratch / "set", split);
    std::set<int> own;
    int same = 0;
    for (std::size_t i = 0; i < set.tokens.size(); ++i) {
      const auto &first = set.tokens[i], &second = set.tokens2[i];
      EXPECT_EQ(first, std::vector<std::uint16_t>(32, first[0]));
      EXPECT_EQ(second, std::vector<std::uint16_t>(32, second[0]));
      EXPECT_EQ(set.labels[i], first[0] + 128 == second[0] ? 1 : 0);
      own.insert(first[0]);
      own.insert(second[0] - 128);
      same += set.labels[i];
    }
    for (const int d : own)
      EXPECT_TRUE(seen.insert(d).second) << "document " << d << " is in two splits";
    const double rows = static_cast<double>(set.tokens.size());
    EXPECT_NEAR(same, rows / 2, 2.5 * std::sqrt(rows)) << split; // five standard deviations
  }
  EXPECT_EQ(seen.size(), 60u);
  put_archive(scratch / "a.tar", {{"x/0.txt", document(0)}, {"1.txt", document(1)}}, false, false);
  request.from = {scratch / "a.tar"};
  EXPECT_FAILS(exit_data, "2 documents of 64 bytes or more are there", generate_pairs(scratch / "few", request));
  request.length = 0;
  EXPECT_FAILS(exit_input, "expected 1 to", generate_pairs(scratch / "few", request));
}

// What a person waits for: the share, and the time that the rest takes at the pace so far.
TEST(Progress, TellsTheShareAndTheTimeLeft) {
  const Progress known(nullptr, "drawing train", 96'000);
  EXPECT_EQ(known.text(24'000, 10), "drawing train: 25 % of 96,000, 30.0 s left");
  EXPECT_EQ(Progress(nullptr, "rows read").text(12'345, 9), "rows read: 12,345");
}
