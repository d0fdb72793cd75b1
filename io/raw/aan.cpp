#include "io/raw/aan.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/progress.hpp"
#include "io/raw/example_splits.hpp"
#include "io/raw/members.hpp"
#include <algorithm>
#include <fmt/core.h>
#include <string_view>

namespace weft {
namespace {

constexpr const char* file_names[] = {"new_aan_pairs.train.tsv", "new_aan_pairs.eval.tsv", "new_aan_pairs.test.tsv"};
constexpr std::size_t longest_line = 64 << 20;
constexpr std::int64_t most_length = 10'000; // where the arena cuts a text before anything else

std::string file_of(const std::string& name) { return name.substr(name.find_last_of('/') + 1); }

/// 0, 1 or 2 for train, eval and test; 3 for another file.
int split_of(const std::string& name) {
  int split = 0;
  while (split < 3 && file_of(name) != file_names[split])
    ++split;
  return split;
}

bool holds_ids(const std::string& name) {
  const std::string file = file_of(name);
  return file.rfind("new_aan_pairs.", 0) == 0 && file.find("only_ids") != std::string::npos;
}

/// The pairs of three files: rows 2 i and 2 i + 1 of the staged ones are the texts of pair i.
class Pairs {
 public:
  Pairs(StagedRows& rows, std::int64_t length) : rows_(rows), length_(length) {}

  void take(const std::string& name, const MemberBytes& bytes, Progress& progress) {
    const auto split = static_cast<std::size_t>(split_of(name));
    if (!from_[split].empty())
      throw InputError(
          fmt::format("{} is there twice, as {} and as {}; name one of them", file_names[split], from_[split], name));
    from_[split] = name;
    Lines lines(name, bytes, longest_line);
    for (std::string_view line; lines.next(line);) {
      digests_[split].update(line.data(), line.size());
      digests_[split].update("\n", 1);
      pair(line, fmt::format("line {} of {}", lines.number(), name), split);
      progress.at(rows_.size() / 2);
    }
    if (pairs_[split].empty())
      throw DataError(fmt::format("{} holds no line; download it again", name));
  }

  void check_whole(const std::string& raw, bool ids) const {
    std::string missing;
    for (std::size_t split = 0; split < 3; ++split)
      if (from_[split].empty())
        missing += (missing.empty() ? "" : ", ") + std::string(file_names[split]);
    if (missing.empty())
      return;
    throw DataError(fmt::format("{} holds no {}: {}; the AAN pairs are in tsv_data of lra_release.gz, and copies "
                                "without them cannot be completed from the public lists of ids",
                                raw, missing,
                                ids ? "the lists of ids that are there (only_ids) have no texts"
                                    : "AAN is not in this archive or folder"));
  }

  const std::vector<std::int64_t>& of(std::size_t split) const { return pairs_[split]; }
  std::int64_t empty_texts() const { return empty_; }
  std::string sha256() {
    std::string all;
    for (Digest& digest : digests_)
      all += digest.hex();
    return weft::sha256(all.data(), all.size());
  }

 private:
  void pair(std::string_view line, const std::string& place, std::size_t split) {
    std::string_view columns[5];
    std::size_t count = 0;
    for (std::string_view left = line;; ++count) {
      const std::size_t end = left.find('\t');
      if (count < 5)
        columns[count] = left.substr(0, end);
      if (end == std::string_view::npos)
        break;
      left.remove_prefix(end + 1);
    }
    if (++count != 5)
      throw DataError(
          fmt::format("{} has {} columns, expected 5: label, two ids, two texts; it is damaged or something "
                      "else: download it again",
                      place, count));
    const bool one = columns[0] == "1" || columns[0] == "1.0";
    if (!one && columns[0] != "0" && columns[0] != "0.0")
      throw DataError(
          fmt::format("{} has the label \"{:.20}\", expected 0 or 1; download it again", place, columns[0]));
    pairs_[split].push_back(rows_.size());
    for (const std::string_view text : {columns[3], columns[4]}) {
      const std::string_view kept = text.substr(0, static_cast<std::size_t>(length_));
      empty_ += kept.empty() ? 1 : 0;
      rows_.append(one ? 1 : 0, {kept.begin(), kept.end()});
    }
  }

  StagedRows& rows_;
  std::int64_t length_, empty_ = 0;
  std::string from_[3];
  std::vector<std::int64_t> pairs_[3];
  std::array<Digest, 3> digests_{Digest(Digest::Kind::sha256), Digest(Digest::Kind::sha256),
                                 Digest(Digest::Kind::sha256)};
};

} // namespace

Prepared prepare_aan(const std::vector<std::string>& raw, const std::string& folder, const AanRequest& request,
                     Console* console) {
  if (request.length < 1 || request.length > most_length)
    throw InputError(fmt::format("--length {}: expected 1 to {}", request.length, most_length));
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedRows rows(built.temporary());
  Pairs pairs(rows, request.length);
  bool ids = false;
  Progress progress(console, "reading pairs");
  each_member(
      raw,
      [&](const std::string& name) {
        ids = ids || holds_ids(name);
        return split_of(name) < 3;
      },
      [&](const std::string& name, const MemberBytes& bytes) { pairs.take(name, bytes, progress); });
  pairs.check_whole(raw.front(), ids);
  ExampleSplits splits;
  for (std::size_t split = 0; split < 3; ++split)
    splits.sizes[split] = static_cast<std::int64_t>(pairs.of(split).size());
  splits.length = request.length;
  splits.pairs = true;
  splits.attributes = {"aan", 257, pairs.sha256()};
  splits.attributes.classes = 2;
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    const std::int64_t first = pairs.of(static_cast<std::size_t>(split))[static_cast<std::size_t>(row)];
    const auto put = [&](std::int64_t from, std::uint16_t* tokens, std::int32_t* length) {
      const std::vector<std::uint8_t> text = rows.read(from);
      std::transform(text.begin(), text.end(), tokens,
                     [](std::uint8_t byte) { return static_cast<std::uint16_t>(byte + 1); });
      *length = static_cast<std::int32_t>(text.size());
    };
    put(first, to.tokens, to.length);
    put(first + 1, to.tokens2, to.length2);
    *to.label = rows.label(first);
  };
  Prepared prepared = write_example_splits(built.temporary(), splits, request.shards, console);
  rows.drop();
  prepared.unit = "pairs";
  prepared.note = fmt::format("{} pairs of texts, the first {} bytes of each; {} empty texts",
                              splits.sizes[0] + splits.sizes[1] + splits.sizes[2], request.length, pairs.empty_texts());
  prepared.written = publish_data_set(built, folder);
  return prepared;
}

} // namespace weft
