#include "io/raw/listops_set.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/progress.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <memory>

namespace weft {
namespace {

/// The official files of all splits: their SHA-256 in the arena's form, and, where a folder is named, the files.
std::string write_official(const ListOpsSet& set, const std::string& tsv, ListOpsForm form, Console* console) {
  Digest digest(Digest::Kind::sha256);
  for (int split = 0; split < 3; ++split) {
    const auto& members = set.order[static_cast<std::size_t>(split)];
    Progress progress(console, fmt::format("hashing {}", split_names[split]),
                      static_cast<std::int64_t>(members.size()));
    std::unique_ptr<AtomicFile> file;
    if (!tsv.empty())
      file = std::make_unique<AtomicFile>((std::filesystem::path(tsv) / listops_file(form, split)).string());
    const std::string header = "Source\tTarget\r\n";
    digest.update(header.data(), header.size());
    if (file && form == ListOpsForm::arena)
      file->write(header);
    std::int64_t done = 0;
    for (const std::int64_t row : members) {
      StopGuard::check();
      const std::string text = listops_text(set.rows.read(row));
      const std::string line = fmt::format("{}\t{}\r\n", text, set.rows.label(row));
      digest.update(line.data(), line.size());
      if (file)
        file->write(form == ListOpsForm::arena ? line : fmt::format("{}\t{}\n", set.rows.label(row), text));
      progress.at(++done);
    }
    if (file)
      file->commit();
  }
  return digest.hex();
}

std::string shares_text(const ListOpsSet& set) {
  std::array<std::int64_t, 10> counts{};
  for (const std::int64_t row : set.order[0])
    ++counts[static_cast<std::size_t>(set.rows.label(row))];
  std::string text;
  for (std::size_t value = 0; value < counts.size(); ++value)
    text += fmt::format("{}{} {:.1f}", value == 0 ? "" : ", ", value,
                        100.0 * static_cast<double>(counts[value]) / static_cast<double>(set.order[0].size()));
  return text;
}

} // namespace

std::string listops_file(ListOpsForm form, int split) {
  static const char* const parts[] = {"train", "val", "test"};
  return form == ListOpsForm::arena ? fmt::format("basic_{}.tsv", parts[split])
                                    : fmt::format("{}_d20s.tsv", parts[split]);
}

Prepared write_listops(const std::string& folder, ListOpsSet& set, const ListOpsShape& shape, const std::string& tsv,
                       ListOpsForm form, Console* console) {
  ExampleSplits splits;
  for (std::size_t split = 0; split < 3; ++split) {
    splits.sizes[split] = static_cast<std::int64_t>(set.order[split].size());
    if (set.order[split].empty())
      throw InputError(
          fmt::format("the {} split of ListOps would be empty; each needs one example at least", split_names[split]));
  }
  splits.length = shape.length > 0 ? shape.length : 2000 * listops_tokens_per_symbol(shape.tokens);
  splits.attributes = {"listops", listops_vocabulary(shape.tokens), write_official(set, tsv, form, console), 10};
  splits.attributes.symbols = listops_vocabulary_words(shape.tokens);
  std::int64_t cut = 0, longest = 0, all = 0, rows = 0;
  const bool valid_is_test = set.order[1] == set.order[2];
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    const std::int64_t member = set.order[static_cast<std::size_t>(split)][static_cast<std::size_t>(row)];
    const std::vector<std::uint16_t> tokens = listops_tokens(set.rows.read(member), shape.tokens);
    const auto length = static_cast<std::int64_t>(tokens.size()), kept = std::min(length, splits.length);
    std::copy_n(tokens.begin(), kept, to.tokens);
    *to.length = static_cast<std::int32_t>(kept);
    *to.label = set.rows.label(member);
    if (split == 1 && valid_is_test)
      return;
    cut += length > kept ? 1 : 0;
    longest = std::max(longest, length);
    all += length;
    ++rows;
  };
  Prepared prepared = write_example_splits(folder, splits, shape.shards, console);
  set.rows.drop();
  const std::string& symbols = splits.attributes.symbols;
  prepared.note =
      fmt::format("vocabulary of {}: {} (SHA-256 {:.16}); tokens per example: mean {:.1f}, longest {}, rows of {}; "
                  "values of train in %: {}",
                  splits.attributes.vocabulary, symbols, sha256(symbols.data(), symbols.size()),
                  static_cast<double>(all) / static_cast<double>(rows), longest, splits.length, shares_text(set));
  if (cut > 0)
    prepared.note +=
        fmt::format("; {} examples are longer than {} tokens and lost their end, without which their value "
                    "cannot be told (--length)",
                    exact_count(cut), splits.length);
  return prepared;
}

} // namespace weft
