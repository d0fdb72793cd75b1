#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/shard_files.hpp"
#include "io/shards.hpp"
#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <unistd.h>

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t chunk_bytes = 65536; // what a random read of one window costs at most, beside the window
constexpr const char* split_names[] = {"train", "valid", "test"};

void check_count(const std::string& split, std::int64_t size, int shards) {
  if (shards < 1 || shards > most_shards)
    throw InputError(fmt::format("--shards {} asked for; expected 1 to {}", shards, most_shards));
  if (size < shards)
    throw InputError(fmt::format("the split {} has {} tokens or examples, too few for {} shards; give a smaller "
                                 "--shards or more data",
                                 split, size, shards));
}

/// The digest of a split is known only when all of it has been written, so attributes come last.
void finish(std::vector<std::string>& paths, const std::string& split, const SplitInfo& info) {
  for (int k = 0; k < info.shards; ++k) {
    hdf5::File file = hdf5::File::open_to_write(paths[static_cast<std::size_t>(k)]);
    const std::int64_t rows =
        detail::first_row(info.size, k + 1, info.shards) - detail::first_row(info.size, k, info.shards);
    Attributes attributes = {{"task", info.task},
                             {"vocabulary", info.vocabulary},
                             {"split", split},
                             {"shard", std::int64_t{k}},
                             {"shards", std::int64_t{info.shards}},
                             {"examples", rows},
                             {"source_sha256", info.source_sha256},
                             {"split_sha256", info.split_sha256},
                             {"split_examples", info.size},
                             {"format_version", data_format_version}};
    if (info.classes != 0)
      attributes["classes"] = info.classes;
    if (info.scored_first != 0)
      attributes["scored_first"] = info.scored_first;
    if (!info.symbols.empty())
      attributes["symbols"] = info.symbols;
    file.set_attributes(attributes);
    file.close();
    const int descriptor = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = descriptor >= 0 && fsync(descriptor) == 0;
    if (descriptor >= 0)
      close(descriptor);
    if (!synced)
      throw Error(exit_failure, fmt::format("cannot sync {} to the disk; is it full?", file.path()));
  }
}

SplitInfo described(const DataSetAttributes& all, std::int64_t size, int shards) {
  return {all.task, all.vocabulary, all.source_sha256, "", size, shards, all.classes, all.scored_first, all.symbols};
}

/// DataError where a token is not in the vocabulary or a label is not a class.
void check_rows(const ExampleRows& rows, const DataSetAttributes& attributes, const std::string& split,
                std::int64_t first) {
  for (const auto* list : {&rows.tokens, &rows.tokens2})
    for (const std::uint16_t token : *list)
      if (token >= attributes.vocabulary)
        throw DataError(fmt::format("token {} within rows {} to {} of {}; the vocabulary has {}", token, first,
                                    first + static_cast<std::int64_t>(rows.length.size()), split,
                                    attributes.vocabulary));
  for (std::size_t i = 0; i < rows.label.size() && attributes.classes > 0; ++i)
    if (rows.label[i] < 0 || rows.label[i] >= attributes.classes)
      throw DataError(fmt::format("row {} of {} has the label {}; expected 0 to {}",
                                  first + static_cast<std::int64_t>(i), split, rows.label[i], attributes.classes - 1));
}

} // namespace

namespace detail {

void resize(ExampleRows& rows, std::int64_t count, std::int64_t length, bool pairs) {
  const auto n = static_cast<std::size_t>(count), all = n * static_cast<std::size_t>(length);
  rows.tokens.assign(all, 0);
  rows.length.assign(n, 0);
  rows.label.assign(n, 0);
  rows.tokens2.assign(pairs ? all : 0, 0);
  rows.length2.assign(pairs ? n : 0, 0);
}

void ExamplesDigest::update(const ExampleRows& rows, std::int64_t length) {
  const auto width = static_cast<std::size_t>(length);
  for (std::size_t i = 0; i < rows.length.size(); ++i) {
    digest_.update(rows.tokens.data() + i * width, width * sizeof(std::uint16_t));
    digest_.update(&rows.length[i], sizeof(std::int32_t));
    digest_.update(&rows.label[i], sizeof(std::int32_t));
    if (rows.length2.empty())
      continue;
    digest_.update(rows.tokens2.data() + i * width, width * sizeof(std::uint16_t));
    digest_.update(&rows.length2[i], sizeof(std::int32_t));
  }
}

} // namespace detail

SplitInfo write_stream_split(const std::string& folder, const std::string& split, std::int64_t size,
                             const TokenProvider& provider, int shards, const DataSetAttributes& attributes) {
  check_count(split, size, shards);
  SplitInfo info = described(attributes, size, shards);
  Digest digest(Digest::Kind::sha256);
  std::vector<std::uint8_t> block(16 * chunk_bytes);
  std::vector<std::string> paths;
  for (int k = 0; k < shards; ++k) {
    const std::int64_t begin = detail::first_row(size, k, shards), end = detail::first_row(size, k + 1, shards);
    paths.push_back(shard_path(folder, split, k, shards));
    hdf5::File file = hdf5::File::create(paths.back());
    hdf5::Dataset tokens = file.create_dataset("tokens", hdf5::Type::u8, {end - begin}, chunk_bytes);
    for (std::int64_t at = begin; at < end; at += static_cast<std::int64_t>(block.size())) {
      const std::int64_t count = std::min<std::int64_t>(end - at, static_cast<std::int64_t>(block.size()));
      provider(at, count, block.data());
      digest.update(block.data(), static_cast<std::size_t>(count));
      tokens.write_rows(at - begin, count, hdf5::Type::u8, block.data());
    }
    file.close();
  }
  info.split_sha256 = digest.hex();
  finish(paths, split, info);
  return info;
}

SplitInfo write_examples_split(const std::string& folder, const std::string& split, std::int64_t size,
                               std::int64_t length, bool pairs, const ExampleProvider& provider, int shards,
                               const DataSetAttributes& attributes) {
  check_count(split, size, shards);
  if (length < 1)
    throw InputError(fmt::format("examples of length {} asked for; expected at least 1", length));
  SplitInfo info = described(attributes, size, shards);
  detail::ExamplesDigest digest;
  ExampleRows rows;
  std::vector<std::string> paths;
  const hdf5::Type stored = attributes.vocabulary <= 256 ? hdf5::Type::u8 : hdf5::Type::u16;
  const std::int64_t chunk =
      std::max<std::int64_t>(1, chunk_bytes / (length * static_cast<std::int64_t>(hdf5::bytes_of(stored))));
  for (int k = 0; k < shards; ++k) {
    const std::int64_t begin = detail::first_row(size, k, shards), end = detail::first_row(size, k + 1, shards);
    paths.push_back(shard_path(folder, split, k, shards));
    hdf5::File file = hdf5::File::create(paths.back());
    hdf5::Dataset tokens = file.create_dataset("tokens", stored, {end - begin, length}, chunk);
    hdf5::Dataset lengths = file.create_dataset("length", hdf5::Type::i32, {end - begin}, chunk_bytes / 4);
    hdf5::Dataset labels = file.create_dataset("label", hdf5::Type::i32, {end - begin}, chunk_bytes / 4);
    std::vector<hdf5::Dataset> second;
    if (pairs) {
      second.push_back(file.create_dataset("tokens2", stored, {end - begin, length}, chunk));
      second.push_back(file.create_dataset("length2", hdf5::Type::i32, {end - begin}, chunk_bytes / 4));
    }
    for (std::int64_t at = begin; at < end; at += detail::example_block) {
      const std::int64_t count = std::min(end - at, detail::example_block);
      detail::resize(rows, count, length, pairs);
      provider(at, count, rows);
      check_rows(rows, attributes, split, at);
      digest.update(rows, length);
      tokens.write_rows(at - begin, count, hdf5::Type::u16, rows.tokens.data());
      lengths.write_rows(at - begin, count, hdf5::Type::i32, rows.length.data());
      labels.write_rows(at - begin, count, hdf5::Type::i32, rows.label.data());
      if (pairs) {
        second[0].write_rows(at - begin, count, hdf5::Type::u16, rows.tokens2.data());
        second[1].write_rows(at - begin, count, hdf5::Type::i32, rows.length2.data());
      }
    }
    file.close();
  }
  info.split_sha256 = digest.hex();
  finish(paths, split, info);
  return info;
}

void check_target(const std::string& target) {
  std::error_code code;
  if (target.empty())
    throw InputError("got an empty path, expected a folder for the data set; nothing was written. Name one with --to");
  if (!fs::exists(target, code))
    return;
  if (!fs::is_directory(target, code))
    throw InputError(fmt::format("{} exists and is not a folder; choose another --to", target));
  if (fs::is_empty(target, code))
    return;
  for (const char* split : split_names)
    if (has_split(target, split))
      return;
  throw InputError(fmt::format("the folder {} exists, is not empty and holds no data set; nothing was written. "
                               "Choose another --to",
                               target));
}

bool publish_data_set(AtomicFolder& built, const std::string& target) {
  check_target(target);
  std::error_code code;
  if (!fs::exists(target, code) || fs::is_empty(target, code)) {
    built.commit();
    return true;
  }
  const std::string remedy =
      fmt::format("nothing was written. To replace it, remove {} first, or choose another --to", target);
  for (const char* split : split_names) {
    const bool ours = has_split(built.temporary(), split);
    if (ours != has_split(target, split))
      throw InputError(fmt::format("the folder {} holds another data set ({} split {}); {}", target,
                                   ours ? "without" : "with", split, remedy));
    if (!ours)
      continue;
    const auto info_of = [split](const std::string& folder) { return detail::open_shards(folder, split).info; };
    const SplitInfo fresh = info_of(built.temporary());
    SplitInfo old;
    try {
      old = info_of(target);
      if (dataset_kind(target, split) == DataKind::stream)
        TokenStream(target, split).verify();
      else
        Examples(target, split).verify();
    } catch (const DataError& error) {
      throw DataError(fmt::format("the folder {} holds a damaged data set ({}); {}", target, error.what(), remedy));
    }
    if (old.task != fresh.task || old.vocabulary != fresh.vocabulary || old.size != fresh.size ||
        old.split_sha256 != fresh.split_sha256 || old.source_sha256 != fresh.source_sha256 ||
        old.classes != fresh.classes || old.scored_first != fresh.scored_first || old.symbols != fresh.symbols)
      throw InputError(fmt::format("the folder {} holds another data set (task {}, split {} of {} with SHA-256 {}; the "
                                   "new one: task {}, {} with {}); {}",
                                   target, old.task, split, old.size, old.split_sha256, fresh.task, fresh.size,
                                   fresh.split_sha256, remedy));
    if (old.shards != fresh.shards)
      throw InputError(fmt::format("the folder {} holds the same data in {} shards, not in {}; {}", target, old.shards,
                                   fresh.shards, remedy));
  }
  return false;
}

} // namespace weft
