#include "io/raw/listops.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/progress.hpp"
#include "io/raw/members.hpp"
#include <algorithm>
#include <fmt/core.h>
#include <map>
#include <numeric>
#include <optional>

namespace weft {
namespace {

constexpr std::size_t longest_line = 1 << 20; // the arena's longest has 12,807 characters
constexpr const char* advice = "it is damaged, cut short or something else: download it again";

/// Which split a file holds, by the last part of its name.
std::optional<int> split_of(const std::string& name) {
  const std::vector<std::string> parts = name_parts(name);
  std::string file = parts.empty() ? "" : parts.back();
  if (file.rfind("basic_", 0) == 0)
    file = file.substr(6);
  const std::size_t ending = file.find(".tsv");
  if (ending == std::string::npos || (ending + 4 < file.size() && file[ending + 4] != '.'))
    return {};
  const char* const begins[] = {"train", "val", "test"};
  for (int split = 0; split < 3; ++split)
    if (file.rfind(begins[split], 0) == 0)
      return split;
  return {};
}

std::string folder_of(const std::string& name) {
  const std::size_t slash = name.find_last_of('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

/// The files of one folder.
struct Found {
  std::array<std::string, 3> names, digests;
  std::array<std::int64_t, 3> first{}, count{};
};

class Reader {
 public:
  Reader(ListOpsSet& set, const ListOpsCharacters& characters, Console* console)
      : set_(set), characters_(characters), progress_(console, "ListOps rows read") {}

  void take(const std::string& name, const MemberBytes& bytes) {
    const auto split = static_cast<std::size_t>(*split_of(name));
    Found& found = found_[folder_of(name)];
    if (!found.names[split].empty())
      throw DataError(fmt::format("{} and {} are both named like the {} split; name the files that belong together",
                                  found.names[split], name, split_names[split]));
    found.names[split] = name;
    found.first[split] = set_.rows.size();
    Lines lines(name, bytes, longest_line);
    Digest digest(Digest::Kind::sha256);
    bool value_first = true, any = false;
    for (std::string_view line; lines.next(line);) {
      digest.update(line.data(), line.size());
      digest.update("\n", 1);
      const bool header = lines.number() == 1 && (line == "Source\tTarget" || line == "Target\tSource");
      if (header) {
        value_first = line == "Target\tSource";
        continue;
      }
      try {
        take_row(line, value_first);
      } catch (const DataError& error) {
        throw DataError(fmt::format("line {} of {}: {}; {}", lines.number(), name, error.what(), advice));
      }
      any = true;
      progress_.at(set_.rows.size());
    }
    found.count[split] = set_.rows.size() - found.first[split];
    found.digests[split] = digest.hex();
    if (!any)
      throw DataError(fmt::format("{} holds no row; {}", name, advice));
    if (found.count[split] == 0)
      throw InputError(fmt::format("no row of {} has {} characters or more and fewer than {}; set other limits", name,
                                   characters_.least, characters_.below));
  }

  /// The set to use: the innermost of those that are complete.
  const Found& chosen(std::string& note) const {
    const Found* best = nullptr;
    std::size_t deepest = 0;
    bool same = true;
    int complete = 0;
    std::string seen;
    for (const auto& [folder, found] : found_) {
      for (const std::string& name : found.names)
        seen += name.empty() ? "" : fmt::format("{}{}", seen.empty() ? "" : ", ", name);
      if (found.count[0] == 0 || found.count[2] == 0)
        continue;
      same = same && (best == nullptr || best->digests == found.digests);
      ++complete;
      if (const std::size_t depth = name_parts(folder).size(); best == nullptr || depth > deepest) {
        best = &found;
        deepest = depth;
      }
    }
    if (best == nullptr)
      throw DataError(
          fmt::format("got {}, expected basic_train.tsv, basic_val.tsv and basic_test.tsv of the Long Range "
                      "Arena (lra_release.gz, its folder listops-1000), or train_d20s.tsv and "
                      "test_d20s.tsv of 2018",
                      seen.empty() ? "no such file" : seen.substr(0, 200)));
    for (std::size_t split = 0; split < 3; ++split)
      note += best->names[split].empty()
                  ? ""
                  : fmt::format("{}{} rows of {}", split == 0 ? "" : ", ", best->count[split], best->names[split]);
    if (complete > 1)
      note += fmt::format("; {} copies were there, {}; the innermost was taken", complete,
                          same ? "the same to the byte" : "which differ");
    return *best;
  }

 private:
  void take_row(std::string_view line, bool value_first) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos)
      throw DataError(fmt::format("\"{}\" is not two fields with a tab between", shown(line, 40)));
    const std::string_view value = value_first ? line.substr(0, tab) : line.substr(tab + 1),
                           text = value_first ? line.substr(tab + 1) : line.substr(0, tab);
    if (value.size() != 1 || value.front() < '0' || value.front() > '9')
      throw DataError(fmt::format("\"{}\" is not a value from 0 to 9", shown(value, 40)));
    const ListOps symbols = read_listops(text);
    if (const int worth = listops_value(symbols); worth != value.front() - '0')
      throw DataError(fmt::format("the expression is worth {}, but {} stands beside it", worth, value));
    if (characters_.take(listops_characters(symbols)))
      set_.rows.append(value.front() - '0', symbols);
  }

  ListOpsSet& set_;
  ListOpsCharacters characters_;
  Progress progress_;
  std::map<std::string, Found> found_;
};

} // namespace

Prepared prepare_listops(const std::vector<std::string>& from, const std::string& folder, const ListOpsShape& shape,
                         std::int64_t held_out, Console* console, const ListOpsCharacters& characters) {
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  ListOpsSet set(built.temporary());
  Reader reader(set, characters, console);
  each_member(
      from, [](const std::string& name) { return split_of(name).has_value(); },
      [&](const std::string& name, const MemberBytes& bytes) { reader.take(name, bytes); });
  std::string note;
  const Found& found = reader.chosen(note);
  for (std::size_t split = 0; split < 3; ++split) {
    set.order[split].resize(static_cast<std::size_t>(found.count[split]));
    std::iota(set.order[split].begin(), set.order[split].end(), found.first[split]);
  }
  if (found.count[1] > 0 && held_out >= 0)
    throw InputError(fmt::format("--held-out {} asked for, but {} is the valid split; leave --held-out away", held_out,
                                 found.names[1]));
  if (found.count[1] == 0) {
    const std::int64_t count = held_out >= 0 ? held_out : found.count[0] / 25;
    if (held_out < 0 && count == 0)
      throw DataError(fmt::format("{} has {} rows, too few to hold out 4 % of them for validation; give --held-out",
                                  found.names[0], found.count[0]));
    hold_out(set.order, count, "weft listops ");
    note += count == 0 ? "; THE VALID SPLIT IS THE TEST SPLIT"
                       : fmt::format("; {} rows of train were held out as valid", count);
  }
  Prepared prepared = write_listops(built.temporary(), set, shape, "", ListOpsForm::arena, console);
  prepared.note = note + "; " + prepared.note;
  prepared.written = publish_data_set(built, folder);
  return prepared;
}

} // namespace weft
