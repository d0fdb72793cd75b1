// The official Pathfinder tree, plain, in archives and in two copies; and that what is generated reads back to the bit.
#include "io/generate/pathfinder_set.hpp"
#include "io/png.hpp"
#include "io/raw/npy.hpp"
#include "io/raw/pathfinder.hpp"
#include "io/raw/random_split.hpp"
#include "io/shards.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"
#include <map>

using namespace weft;
using namespace weft::test;

namespace {

constexpr const char* hard = "curv_contour_length_14";

/// Made once each: a file that is synced to the disk takes its time.
const std::string& png_of(const Scratch& scratch, int number, int size = 32) {
  static std::map<std::pair<int, int>, std::string> made;
  std::string& bytes = made[{number, size}];
  if (bytes.empty()) {
    const std::string pixels = noise(static_cast<std::size_t>(size * size), static_cast<std::uint64_t>(number + 1));
    write_png(scratch / "one.png", size, size, 1, reinterpret_cast<const std::uint8_t*>(pixels.data()));
    bytes = get(scratch / "one.png");
    fs::remove(scratch / "one.png");
  }
  return bytes;
}
std::string line_of(int batch, int number, int label) {
  return "imgs/" + std::to_string(batch) + " sample_" + std::to_string(number) + ".png " + std::to_string(number) +
         " " + std::to_string(label) + " 1.0 14 4 2 0.5 1 1";
}

/// 30 pictures in batches 0, 2 and 10 below `root`, labels i % 2 (1 - i % 2 with `swapped`); sample 3 of batch 0 is
/// empty.
std::vector<Member> tree(const Scratch& scratch, const std::string& root, bool swapped = false) {
  std::vector<Member> all;
  int number = 0;
  for (const int batch : {10, 2, 0}) {
    std::string text;
    for (int i = 0; i < 10; ++i, ++number) {
      const std::string name = root + "/imgs/" + std::to_string(batch) + "/sample_" + std::to_string(i) + ".png";
      all.emplace_back(name, batch == 0 && i == 3 ? "" : png_of(scratch, 100 * batch + i));
      text += line_of(batch, i, swapped ? 1 - i % 2 : i % 2) + "\n";
    }
    all.emplace_back(root + "/metadata/" + std::to_string(batch) + ".npy", text);
  }
  return all;
}
void put_tree(const Scratch& scratch, const std::vector<Member>& members) {
  for (const auto& [name, text] : members) {
    fs::create_directories(fs::path(scratch / name).parent_path());
    put(scratch / name, text);
  }
}
std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                const std::string& order = "False") {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  header.resize(117, ' ');
  header += "\n";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

} // namespace

TEST(PreparePathfinder, OrderSplitAndEmptyFiles) {
  const Scratch scratch;
  put_tree(scratch, tree(scratch, std::string("raw/pathfinder32/") + hard));
  put_tree(scratch, {{"raw/pathfinder64/curv_contour_length_14/imgs/0/sample_0.png", "other sizes are not read"}});
  const Prepared prepared = prepare_pathfinder(scratch / "raw", scratch / "set", {});
  EXPECT_NE(prepared.note.find("29 labelled pictures of 32 x 32"), std::string::npos) << prepared.note;
  EXPECT_NE(prepared.note.find("1 empty picture file left out"), std::string::npos) << prepared.note;
  EXPECT_EQ(prepared.splits[0].size, 25);
  EXPECT_EQ(prepared.splits[1].size, 2);
  EXPECT_EQ(prepared.splits[2].size, 2);
  // Metadata files by number: 0 (without sample 3), 2, 10; then the permutation.
  std::vector<std::pair<int, int>> rows; // noise number, label
  for (const int batch : {0, 2, 10})
    for (int i = 0; i < 10; ++i)
      if (batch != 0 || i != 3)
        rows.emplace_back(100 * batch + i, i % 2);
  const std::vector<std::int64_t> order = torch_permutation(29, 42);
  std::int64_t at = 0;
  for (const char* split : {"train", "valid", "test"}) {
    const Examples examples(scratch / "set", split);
    EXPECT_EQ(examples.info().classes, 2);
    std::vector<std::uint16_t> tokens(1024);
    for (std::int64_t i = 0; i < examples.size(); ++i, ++at) {
      const auto [number, label] = rows[static_cast<std::size_t>(order[static_cast<std::size_t>(at)])];
      std::int32_t length = 0, got = 0;
      examples.read(i, tokens.data(), &length, &got);
      EXPECT_EQ(got, label);
      EXPECT_EQ(length, 1024);
      const std::string pixels = noise(1024, static_cast<std::uint64_t>(number + 1));
      EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), pixels.begin(), [](std::uint16_t token, char value) {
        return token == static_cast<std::uint8_t>(value);
      }));
    }
  }
}

TEST(PreparePathfinder, EveryWrappingGivesTheSameDataSet) {
  const Scratch scratch;
  put_tree(scratch, tree(scratch, std::string("raw/pathfinder32/") + hard));
  prepare_pathfinder(scratch / "raw", scratch / "set", {});
  for (const auto& [nesting, gzip] : {std::pair{"lra_release/", true}, {"lra_release/lra_release/", false}}) {
    put_archive(scratch / "lra_release.gz", tree(scratch, std::string(nesting) + "pathfinder32/" + hard), false, true);
    EXPECT_FALSE(prepare_pathfinder(scratch / "lra_release.gz", scratch / "set", {}).written) << nesting;
  }
  for (const char* folder : {"raw/pathfinder32", "raw/pathfinder32/curv_contour_length_14"})
    EXPECT_FALSE(prepare_pathfinder(scratch / folder, scratch / "set", {}).written) << folder;
}

TEST(PreparePathfinder, OfTwoCopiesOneIsTakenAndNamed) {
  const Scratch scratch;
  std::vector<Member> both = tree(scratch, std::string("lra_release/pathfinder32/") + hard, true);
  for (const Member& member : tree(scratch, std::string("lra_release/lra_release/pathfinder32/") + hard))
    both.push_back(member);
  put_archive(scratch / "two.gz", both, false, true);
  const Prepared inner = prepare_pathfinder(scratch / "two.gz", scratch / "inner", {});
  EXPECT_NE(inner.note.find("took lra_release/lra_release/pathfinder32, the inner of two copies"), std::string::npos)
      << inner.note;
  EXPECT_NE(inner.note.find("another content"), std::string::npos) << inner.note;
  PathfinderRequest request;
  request.inner = false;
  const Prepared outer = prepare_pathfinder(scratch / "two.gz", scratch / "outer", request);
  EXPECT_NE(inner.splits[0].split_sha256, outer.splits[0].split_sha256);
  // Labels of one copy with the pictures of another are refused.
  std::vector<Member> mixed;
  for (const Member& member : both)
    if ((member.first.find("metadata") != std::string::npos) == (member.first.find("lra_release/lra_release") == 0))
      mixed.push_back(member);
  put_archive(scratch / "mixed.gz", mixed, false, true);
  EXPECT_FAILS(exit_data, "are not mixed with labels of another",
               prepare_pathfinder(scratch / "mixed.gz", scratch / "set", {}));
  std::vector<Member> beside = tree(scratch, std::string("a/pathfinder32/") + hard);
  for (const Member& member : tree(scratch, std::string("b/pathfinder32/") + hard))
    beside.push_back(member);
  put_archive(scratch / "beside.gz", beside, false, true);
  EXPECT_FAILS(exit_input, "name one of these folders", prepare_pathfinder(scratch / "beside.gz", scratch / "set", {}));
  EXPECT_FALSE(fs::exists(scratch / "set"));
}

TEST(PreparePathfinder, WrongTreesAreRefusedAndLeaveNothing) {
  const Scratch scratch;
  const std::string root = std::string("raw/pathfinder32/") + hard, metadata = root + "/metadata/0.npy";
  put_tree(scratch, tree(scratch, root));
  const auto refused = [&](const char* part) {
    EXPECT_FAILS(exit_data, part, prepare_pathfinder(scratch / "raw", scratch / "set", {}));
    put_tree(scratch, tree(scratch, root));
  };
  put(scratch / metadata, line_of(0, 77, 1));
  refused("sample_77.png, which is not there");
  put(scratch / metadata, line_of(0, 1, 2));
  refused("line 1 of");
  put(scratch / metadata, "imgs/0 sample_0.png 0");
  refused("expected a folder, a file name, a number and the label");
  put(scratch / (root + "/imgs/2/sample_4.png"), png_of(scratch, 5).substr(0, 60));
  refused("sample_4.png cannot be used");
  put(scratch / (root + "/imgs/2/sample_4.png"), png_of(scratch, 5, 31));
  refused("31 x 31 pixels");
  put(scratch / (root + "/metadata/one.npy"), line_of(0, 1, 1));
  EXPECT_FAILS(exit_data, "expected a number before .npy", prepare_pathfinder(scratch / "raw", scratch / "set", {}));
  fs::remove(scratch / (root + "/metadata/one.npy"));
  PathfinderRequest request;
  request.difficulty = "curv_baseline";
  EXPECT_FAILS(exit_data, "no files of pathfinder32/curv_baseline",
               prepare_pathfinder(scratch / "raw", scratch / "set", request));
  request = {};
  request.size = 33;
  EXPECT_FAILS(exit_input, "--size 33", prepare_pathfinder(scratch / "raw", scratch / "set", request));
  request = {};
  request.examples = {20, 5, 5};
  EXPECT_FAILS(exit_input, "29 in all at most", prepare_pathfinder(scratch / "raw", scratch / "set", request));
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(PreparePathfinder, RealNpyFilesAreRead) {
  const Scratch scratch;
  const std::string root = std::string("raw/pathfinder32/") + hard;
  put_tree(scratch, tree(scratch, root));
  prepare_pathfinder(scratch / "raw", scratch / "set", {});
  std::string bytes, wide;
  for (int i = 0; i < 10; ++i)
    for (const std::string& field :
         {std::string("imgs/2"), "sample_" + std::to_string(i) + ".png", std::to_string(i), std::to_string(i % 2)}) {
      std::string padded = field;
      padded.resize(13, '\0');
      bytes += padded;
      for (const char c : padded)
        wide += std::string{c, '\0', '\0', '\0'};
    }
  for (const std::string& file : {npy("|S13", "(10, 4)", bytes), npy("<U13", "(10, 4)", wide)}) {
    put(scratch / (root + "/metadata/2.npy"), file);
    EXPECT_FALSE(prepare_pathfinder(scratch / "raw", scratch / "set", {}).written);
  }
  EXPECT_EQ(npy_rows(npy("|S3", "(2,)", std::string("ab\0c\0\0", 6)), "x"), (std::vector<std::string>{"ab", "c"}));
  for (const auto& [file, part] : {std::pair{npy("|O", "(10, 4)", bytes), "its type"},
                                   {npy("|S13", "(10, 5)", bytes), "bytes follow"},
                                   {npy("|S13", "(10, 4, 2)", bytes), "two dimensions"},
                                   {npy("|S13", "(10, 4)", bytes, "True"), "by columns"},
                                   {npy("|S13", "(99999999999, 4)", bytes), "above"},
                                   {npy("|S1", "(1,)", "\xe9"), "ASCII"},
                                   {std::string("\x93NUMPY\x01\x00\xff\xff{", 11), "cut short"}})
    EXPECT_FAILS(exit_data, part, npy_rows(file, "x"));
}

TEST(GeneratePathfinder, TheRawFormReadsBackToTheSameBits) {
  const Scratch scratch;
  PathfinderSetRequest request;
  request.size = 16;
  request.seed = 5;
  for (const auto& examples : {std::array<std::int64_t, 3>{96, 12, 12}, {50, 7, 3}}) {
    const std::string name = std::to_string(examples[0]);
    request.examples = examples;
    request.png = scratch / ("raw" + name);
    const Prepared made = generate_pathfinder(scratch / ("set" + name), request);
    PathfinderRequest back;
    back.size = 16;
    back.difficulty = "curv_contour_length_5";
    EXPECT_EQ(made.note.find("--examples") == std::string::npos, examples[1] == 12) << made.note;
    if (examples[1] != 12)
      back.examples = examples;
    const Prepared read = prepare_pathfinder(request.png, scratch / ("set" + name), back);
    EXPECT_FALSE(read.written); // the very same data
    EXPECT_EQ(read.splits[0].source_sha256, made.splits[0].source_sha256);
    EXPECT_EQ(
        get(request.png + "/pathfinder16/curv_contour_length_5/metadata/0.npy").rfind("imgs/0 sample_0.png 0 ", 0), 0u);
    EXPECT_FAILS(exit_input, "choose another --png", generate_pathfinder(scratch / "new", request));
  }
  // A longer split begins like a shorter one.
  request.png.clear();
  request.examples = {10, 2, 2};
  generate_pathfinder(scratch / "short", request);
  const Examples a(scratch / "short", "train"), b(scratch / "set96", "train");
  std::vector<std::uint16_t> one(256), two(256);
  for (std::int64_t i = 0; i < 10; ++i) {
    std::int32_t length = 0, label = 0;
    a.read(i, one.data(), &length, &label);
    b.read(i, two.data(), &length, &label);
    EXPECT_EQ(one, two);
  }
  request.examples = {0, 1, 1};
  EXPECT_FAILS(exit_input, "--examples", generate_pathfinder(scratch / "none", request));
  request.examples = {1, 1, 1};
  request.contour = 60;
  EXPECT_FAILS(exit_input, "--contour 60", generate_pathfinder(scratch / "none", request));
  EXPECT_FALSE(fs::exists(scratch / "none"));
}
