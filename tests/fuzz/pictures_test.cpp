// Promise: damaged Pathfinder trees and AAN files, in archives or metadata alone, are refused with status 4 (2 where a
// file is there twice) or read; a preparation leaves a whole data set or nothing.
#include "../io/raw_support.hpp"
#include "io/png.hpp"
#include "io/raw/aan.hpp"
#include "io/raw/npy.hpp"
#include "io/raw/pathfinder.hpp"
#include "mutator.hpp"

using namespace weft;
using namespace weft::test;

namespace {

const std::string root = "lra_release/pathfinder16/curv_contour_length_14/";

std::string metadata() {
  std::string text;
  for (int i = 0; i < 12; ++i)
    text +=
        "imgs/0 sample_" + std::to_string(i) + ".png " + std::to_string(i) + " " + std::to_string(i % 2) + " 1.0 14\n";
  return text;
}

std::string npy() {
  std::string header = "{'descr': '|S13', 'fortran_order': False, 'shape': (2, 4), }", data;
  header.resize(77, ' ');
  header += "\n";
  for (const char* field : {"imgs/0", "sample_0.png", "0", "1", "imgs/0", "sample_1.png", "1", "0"}) {
    std::string padded = field;
    padded.resize(13, '\0');
    data += padded;
  }
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

std::vector<Member> tree(const Scratch& scratch) {
  std::vector<Member> all;
  for (int i = 0; i < 12; ++i) {
    const std::string pixels = noise(256, static_cast<std::uint64_t>(i + 1)), path = scratch / "p.png";
    write_png(path, 16, 16, 1, reinterpret_cast<const std::uint8_t*>(pixels.data()));
    all.emplace_back(root + "imgs/0/sample_" + std::to_string(i) + ".png", get(path));
    fs::remove(path);
  }
  all.emplace_back(root + "metadata/0.npy", metadata());
  return all;
}

} // namespace

TEST(FuzzPictures, npy) {
  const Scratch scratch;
  ASSERT_EQ(npy_rows(npy(), "x").size(), 2u);
  Mutator mutator({npy()}, 11);
  const FuzzCount count = fuzz(mutator, rounds(5000), scratch / "a.npy", {exit_data}, [](const std::string& path) {
    const std::string bytes = get(path);
    if (!is_npy(bytes))
      throw DataError("this file is no .npy file any more");
    npy_rows(bytes, "x");
  });
  EXPECT_GT(count.refused, 0);
}

TEST(FuzzPictures, pathfinder_archives) {
  const Scratch scratch;
  put_archive(scratch / "a.tar", tree(scratch), false, false);
  Mutator mutator({get(scratch / "a.tar")}, 12);
  fs::remove(scratch / "a.tar");
  PathfinderRequest request;
  request.size = 16;
  fuzz(mutator, rounds(3000) / 20, scratch / "a.tar", {exit_data, exit_input}, [&](const std::string& path) {
    prepares_or_leaves_nothing(scratch, [&] { prepare_pathfinder(path, scratch / "set", request); });
  });
}

TEST(FuzzPictures, pathfinder_metadata) {
  const Scratch scratch;
  for (const auto& [name, bytes] : tree(scratch)) {
    fs::create_directories(fs::path(scratch / name).parent_path());
    put(scratch / name, bytes);
  }
  Mutator mutator({metadata(), npy()}, 13);
  PathfinderRequest request;
  request.size = 16;
  const FuzzCount count =
      fuzz(mutator, rounds(3000) / 20, scratch / (root + "metadata/0.npy"), {exit_data}, [&](const std::string&) {
        prepares_or_leaves_nothing(scratch,
                                   [&] { prepare_pathfinder(scratch / "lra_release", scratch / "set", request); });
      });
  EXPECT_GT(count.refused, 0);
}

TEST(FuzzPictures, aan) {
  const Scratch scratch;
  std::vector<Member> members;
  for (const char* name : {"new_aan_pairs.train.tsv", "new_aan_pairs.eval.tsv", "new_aan_pairs.test.tsv"})
    members.emplace_back(name, "1.0\ta\tb\t" + std::string(30, 'x') + "\tyz\n0\tc\td\te\tf\n");
  put_archive(scratch / "a.tar", members, false, false);
  Mutator mutator({get(scratch / "a.tar")}, 14);
  fs::remove(scratch / "a.tar");
  fuzz(mutator, rounds(3000) / 20, scratch / "a.tar", {exit_data, exit_input}, [&](const std::string& path) {
    prepares_or_leaves_nothing(scratch, [&] { prepare_aan({path}, scratch / "set", {}); });
  });
}

/// One file of three, in a folder: the damage is in its columns, not in the archive around it.
TEST(FuzzPictures, aan_tsv) {
  const Scratch scratch;
  const std::string raw = scratch / "raw", rows = "1.0\ta\tb\t" + std::string(30, 'x') + "\tyz\n0\tc\td\te\tf\n";
  fs::create_directories(raw);
  for (const char* name : {"eval", "test"})
    put(raw + "/new_aan_pairs." + name + ".tsv", rows);
  Mutator mutator({rows, rows + "1\tg\th\ti\tj\n"}, 15);
  const FuzzCount count =
      fuzz(mutator, rounds(300), raw + "/new_aan_pairs.train.tsv", {exit_data}, [&](const std::string&) {
        prepares_or_leaves_nothing(scratch, [&] { prepare_aan({raw}, scratch / "set", {}); });
      });
  EXPECT_GT(count.refused, 0);
  EXPECT_GT(count.taken, 0);
}
