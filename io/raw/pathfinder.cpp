#include "io/raw/pathfinder.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/progress.hpp"
#include "io/raw/pathfinder_check.hpp"
#include "io/raw/pathfinder_tree.hpp"
#include "io/raw/random_split.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t checked_pictures = 500;
constexpr double least_agreement = 0.56; ///< by chance 500 pictures reach 0.53 or so

void read_tree(const std::string& raw, PathfinderTree& tree, Console* console) {
  std::error_code code;
  const bool is_folder = fs::is_directory(raw, code);
  // The folder itself may be the one that says the size or the difficulty.
  const std::string from = is_folder ? fs::canonical(raw, code).generic_string() : raw;
  Progress progress(console, "reading pictures");
  std::int64_t files = 0;
  each_member(
      {from}, [&](const std::string& name) { return tree.wants(name); },
      [&](const std::string& name, const MemberBytes& bytes) {
        tree.take(name, bytes);
        progress.at(++files);
      });
}

std::string copies_note(const PathfinderTree& tree, const std::string& chosen, bool inner) {
  std::string note;
  for (const auto& [folder, copy] : tree.copies())
    if (folder != chosen)
      note += fmt::format("; took {}, the {} of two copies (SHA-256 {:.12}), not {} ({})", chosen,
                          inner ? "inner" : "outer", tree.sha256(chosen), folder,
                          tree.sha256(folder) == tree.sha256(chosen)
                              ? std::string("the same content")
                              : fmt::format("another content, SHA-256 {:.12}", tree.sha256(folder)));
  return note;
}

std::string label_note(const std::vector<LabelledRow>& rows, const StagedRows& staged, int size) {
  LabelCheck check(size);
  const auto n = static_cast<std::int64_t>(rows.size()), sample = std::min(n, checked_pictures);
  for (std::int64_t i = 0; i < sample; ++i) {
    StopGuard::check();
    const LabelledRow& row = rows[static_cast<std::size_t>(i * n / sample)];
    check.add(staged.read(row.row).data(), row.label);
  }
  const std::string told = fmt::format("label check: {:.0f} % of {} pictures agree with their labels",
                                       100 * check.agreement(), check.pictures());
  if (sample < 100 || check.agreement() >= least_agreement)
    return told;
  return told + "\nWARNING: that is near 50 %. Labels and pictures may not belong together, as in one of the two "
                "copies of pathfinder128 (S4's authors: take the inner one); no model can learn such data";
}

std::array<std::int64_t, 3> sizes_of(const PathfinderRequest& request, std::int64_t n, const std::string& raw) {
  const auto& wanted = request.examples;
  if (wanted == std::array<std::int64_t, 3>{}) {
    if (n < 10)
      throw DataError(fmt::format("{} holds {} labelled pictures; at least 10 are needed for three splits", raw, n));
    return pathfinder_sizes(n);
  }
  if (*std::min_element(wanted.begin(), wanted.end()) < 1 || wanted[0] > n || wanted[1] > n || wanted[2] > n ||
      wanted[0] + wanted[1] + wanted[2] > n)
    throw InputError(fmt::format("--examples {},{},{}: expected three numbers from 1 on, {} in all at most", wanted[0],
                                 wanted[1], wanted[2], n));
  return wanted;
}

} // namespace

std::array<std::int64_t, 3> pathfinder_sizes(std::int64_t n) { return {n - 2 * (n / 10), n / 10, n / 10}; }

Prepared prepare_pathfinder(const std::string& raw, const std::string& folder, const PathfinderRequest& request,
                            Console* console) {
  const int size = request.size;
  if (size != 16 && size != 32 && size != 64 && size != 128 && size != 256)
    throw InputError(fmt::format("--size {}: expected 32, 64, 128 or 256 (16 of weft generate)", size));
  if (request.difficulty.empty() || request.difficulty.find('/') != std::string::npos)
    throw InputError(fmt::format("--difficulty \"{}\": expected the name of a folder: curv_baseline, "
                                 "curv_contour_length_9 or curv_contour_length_14",
                                 request.difficulty));
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedRows staged(built.temporary());
  PathfinderTree tree(size, request.difficulty, staged);
  read_tree(raw, tree, console);
  const std::string chosen = tree.choose(raw, request.inner);
  const std::vector<LabelledRow> rows = tree.labelled(chosen);
  const auto n = static_cast<std::int64_t>(rows.size());
  ExampleSplits splits;
  splits.sizes = sizes_of(request, n, raw);
  const std::vector<std::int64_t> order = torch_permutation(n, arena_split_seed);
  const auto row_of = [&](int split, std::int64_t row) {
    for (int earlier = 0; earlier < split; ++earlier)
      row += splits.sizes[static_cast<std::size_t>(earlier)];
    return rows[static_cast<std::size_t>(order[static_cast<std::size_t>(row)])];
  };
  Digest source(Digest::Kind::sha256);
  for (std::int64_t i = 0; i < splits.sizes[0] + splits.sizes[1] + splits.sizes[2]; ++i) {
    StopGuard::check();
    const LabelledRow& row = rows[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])];
    const std::vector<std::uint8_t> picture = staged.read(row.row);
    const auto label = static_cast<std::uint8_t>(row.label);
    source.update(&label, 1);
    source.update(picture.data(), picture.size());
  }
  splits.length = static_cast<std::int64_t>(size) * size;
  splits.attributes = {"pathfinder", 256, source.hex()};
  splits.attributes.classes = 2;
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    const LabelledRow from = row_of(split, row);
    const std::vector<std::uint8_t> picture = staged.read(from.row);
    std::copy(picture.begin(), picture.end(), to.tokens);
    *to.length = static_cast<std::int32_t>(splits.length);
    *to.label = from.label;
  };
  const std::string note =
      fmt::format("{} labelled pictures of {} x {} pixels in {}/{}; {} empty picture file{} left out{}\n{}", n, size,
                  size, chosen, request.difficulty, tree.empty_files(), tree.empty_files() == 1 ? "" : "s",
                  copies_note(tree, chosen, request.inner), label_note(rows, staged, size));
  Prepared prepared = write_example_splits(built.temporary(), splits, request.shards, console);
  staged.drop();
  prepared.unit = "images";
  prepared.note = note;
  prepared.written = publish_data_set(built, folder);
  return prepared;
}

} // namespace weft
