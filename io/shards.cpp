#include "io/shards.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/hdf5.hpp"
#include "io/shard_files.hpp"
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/core.h>

namespace weft {
namespace fs = std::filesystem;

std::string shard_path(const std::string& folder, const std::string& split, int shard, int shards) {
  return (fs::path(folder) / fmt::format("{}-{:05}-of-{:05}.h5", split, shard, shards)).string();
}

namespace detail {
namespace {

constexpr const char* again = "prepare the data set again (weft prepare ..., weft prepare --help)";

/// K of the file names `<split>-?????-of-K.h5`; 0 where there is none. DataError where two K are mixed.
int count_shards(const std::string& folder, const std::string& split) {
  int shards = 0;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    int shard = 0, of = 0, used = 0;
    if (name.rfind(split + "-", 0) != 0 ||
        std::sscanf(name.c_str() + split.size() + 1, "%5d-of-%5d.h5%n", &shard, &of, &used) != 2 ||
        used != static_cast<int>(name.size() - split.size()) - 1 || of < 1)
      continue;
    if (shards != 0 && of != shards)
      throw DataError(fmt::format("{} holds shards of two data sets: {} files of {} and of {} are mixed; {}", folder,
                                  split, shards, of, again));
    shards = of;
  }
  return shards;
}

template <class T>
T attribute(const Attributes& attributes, const std::string& name, const std::string& path) {
  const auto found = attributes.find(name);
  if (found == attributes.end() || !std::holds_alternative<T>(found->second))
    throw DataError(fmt::format("{} has no {} attribute \"{}\"; {}", path,
                                std::is_same_v<T, std::string> ? "text" : "integer", name, again));
  return std::get<T>(found->second);
}

} // namespace

Shards open_shards(const std::string& folder, const std::string& split, bool first_only) {
  std::error_code code;
  if (!fs::is_directory(folder, code))
    throw DataError(
        fmt::format("there is no data set folder {}; make one with weft prepare ... --to {}", folder, folder));
  Shards shards;
  shards.folder = folder;
  shards.split = split;
  const int count = count_shards(folder, split);
  if (count == 0)
    throw DataError(fmt::format("{} holds no shards of the split \"{}\" (expected {}); {}", folder, split,
                                fs::path(shard_path("", split, 0, 1)).string(), again));
  if (count > most_shards)
    throw DataError(fmt::format("{} has {} shards of {}; at most {} can be open at once; {}", folder, count, split,
                                most_shards, again));
  for (int k = 0; k < (first_only ? 1 : count); ++k) {
    const std::string path = shard_path(folder, split, k, count);
    if (!fs::exists(path, code))
      throw DataError(fmt::format("{} is missing: {} has {} shards in all; {}", path, split, count, again));
    try {
      shards.files.push_back(hdf5::File::open(path));
      const hdf5::File& file = shards.files.back();
      const Attributes all = file.attributes();
      const auto expect = [&](const std::string& name, std::int64_t expected) {
        const auto got = attribute<std::int64_t>(all, name, path);
        if (got != expected)
          throw DataError(fmt::format("{} says {} = {}, expected {}", path, name, got, expected));
      };
      expect("format_version", data_format_version);
      expect("shard", k);
      expect("shards", count);
      if (attribute<std::string>(all, "split", path) != split)
        throw DataError(
            fmt::format("{} says split = {}, expected {}", path, attribute<std::string>(all, "split", path), split));
      // The contract's attributes; the two of ours that other programs need not know are split_sha256, split_examples.
      const bool ours = all.count("split_examples") != 0;
      const SplitInfo info{attribute<std::string>(all, "task", path),
                           attribute<std::int64_t>(all, "vocabulary", path),
                           attribute<std::string>(all, "source_sha256", path),
                           ours ? attribute<std::string>(all, "split_sha256", path) : std::string(),
                           ours ? attribute<std::int64_t>(all, "split_examples", path) : 0,
                           count,
                           all.count("classes") != 0 ? attribute<std::int64_t>(all, "classes", path) : 0,
                           all.count("scored_first") != 0 ? attribute<std::int64_t>(all, "scored_first", path) : 0,
                           all.count("symbols") != 0 ? attribute<std::string>(all, "symbols", path) : std::string()};
      if (k == 0)
        shards.info = info;
      const SplitInfo& one = shards.info;
      if (info.task != one.task || info.vocabulary != one.vocabulary || info.source_sha256 != one.source_sha256 ||
          info.split_sha256 != one.split_sha256 || info.size != one.size || info.classes != one.classes ||
          info.scored_first != one.scored_first || info.symbols != one.symbols)
        throw DataError(fmt::format("{} is of another data set than shard 0", path));
      if (info.vocabulary < 1 || info.vocabulary > 65536)
        throw DataError(fmt::format("{} says vocabulary = {}, expected 1 to 65536", path, info.vocabulary));
      shards.tokens.push_back(file.dataset("tokens"));
      const hdf5::Dataset& tokens = shards.tokens.back();
      const std::vector<std::int64_t>&shape = tokens.shape(), &first = shards.tokens.front().shape();
      if (shape.empty() || shape.size() > 2 ||
          !(tokens.type() == hdf5::Type::u8 || (shape.size() == 2 && tokens.type() == hdf5::Type::u16)))
        throw DataError(
            fmt::format("tokens of {} are neither a 1-D uint8 stream nor 2-D uint8 or uint16 examples", path));
      if (shape.size() != first.size() || (shape.size() == 2 && shape[1] != first[1]))
        throw DataError(fmt::format("tokens of {} have another shape than those of shard 0", path));
      if (ours)
        expect("examples", shape[0]);
      shards.first.push_back(shards.first.back() + shape[0]);
    } catch (const DataError& error) {
      const std::string text = error.what();
      throw text.find(again) != std::string::npos ? error : DataError(fmt::format("{}; {}", text, again));
    }
  }
  if (shards.info.split_sha256.empty())
    shards.info.size = shards.first.back();
  if (!first_only && shards.info.size != shards.first.back())
    throw DataError(fmt::format("the {} shards of {} in {} hold {} tokens or examples in all, expected {}; {}", count,
                                split, folder, shards.first.back(), shards.info.size, again));
  return shards;
}

std::vector<Part> Shards::parts(std::int64_t first, std::int64_t count) const {
  if (first < 0 || count < 0 || first > info.size - count)
    throw Error(exit_failure, fmt::format("{} to {} of {} asked for, but {} holds {}", first, first + count, split,
                                          folder, info.size));
  std::vector<Part> found;
  auto k = static_cast<std::size_t>(std::upper_bound(this->first.begin(), this->first.end(), first) -
                                    this->first.begin() - 1);
  for (; count > 0; ++k) {
    const std::int64_t taken = std::min(count, this->first[k + 1] - first);
    if (taken > 0)
      found.push_back({static_cast<int>(k), first - this->first[k], taken});
    first += taken;
    count -= taken;
  }
  return found;
}

std::int64_t first_row(std::int64_t size, int shard, int shards) {
  return size / shards * shard + size % shards * shard / shards;
}

} // namespace detail

bool has_split(const std::string& folder, const std::string& split) { return detail::count_shards(folder, split) > 0; }

DataKind dataset_kind(const std::string& folder, const std::string& split) {
  return detail::open_shards(folder, split, true).tokens.front().shape().size() == 1 ? DataKind::stream
                                                                                     : DataKind::examples;
}

TokenStream::TokenStream(const std::string& folder, const std::string& split)
    : shards_(std::make_unique<detail::Shards>(detail::open_shards(folder, split))) {
  if (shards_->tokens.front().shape().size() != 1)
    throw DataError(fmt::format("{} of {} holds examples, not a stream of tokens; another task is needed to use it",
                                split, folder));
  info_ = shards_->info;
}

TokenStream::~TokenStream() = default;
TokenStream::TokenStream(TokenStream&&) noexcept = default;

void TokenStream::read(std::int64_t first, std::int64_t count, std::uint8_t* to) const {
  for (const detail::Part& part : shards_->parts(first, count)) {
    shards_->tokens[static_cast<std::size_t>(part.shard)].read_rows(part.first, part.count, hdf5::Type::u8, to);
    to += part.count;
  }
}

std::string TokenStream::digest() const {
  if (info_.split_sha256.empty())
    info_.split_sha256 = computed_digest();
  return info_.split_sha256;
}

std::string TokenStream::computed_digest() const {
  Digest digest(Digest::Kind::sha256);
  std::vector<std::uint8_t> block(1 << 20);
  for (std::int64_t at = 0; at < size(); at += static_cast<std::int64_t>(block.size())) {
    const std::int64_t count = std::min<std::int64_t>(size() - at, static_cast<std::int64_t>(block.size()));
    read(at, count, block.data());
    digest.update(block.data(), static_cast<std::size_t>(count));
  }
  return digest.hex();
}

void TokenStream::verify() const {
  if (const std::string got = computed_digest(); !info_.split_sha256.empty() && got != info_.split_sha256)
    throw DataError(fmt::format("the tokens of split {} in {} have SHA-256 {}, expected {}; {}", shards_->split,
                                shards_->folder, got, info_.split_sha256, detail::again));
}

Examples::Examples(const std::string& folder, const std::string& split)
    : shards_(std::make_unique<detail::Shards>(detail::open_shards(folder, split))) {
  if (shards_->tokens.front().shape().size() != 2)
    throw DataError(fmt::format("{} of {} holds a stream of tokens, not examples", split, folder));
  info_ = shards_->info;
  length_ = shards_->tokens.front().shape()[1];
  pairs_ = shards_->files.front().has("tokens2");
  for (std::size_t k = 0; k < shards_->files.size(); ++k) {
    const std::int64_t rows = shards_->tokens[k].shape()[0];
    const auto column = [&](const std::string& name, std::vector<std::int64_t> shape, std::vector<hdf5::Dataset>& to) {
      to.push_back(shards_->files[k].dataset(name));
      if (to.back().shape() != shape)
        throw DataError(fmt::format("{} of {} has a wrong shape; {}", name, shards_->files[k].path(), detail::again));
    };
    column("length", {rows}, shards_->length);
    column("label", {rows}, shards_->label);
    if (pairs_) {
      column("tokens2", {rows, length_}, shards_->tokens2);
      column("length2", {rows}, shards_->length2);
    }
  }
}

Examples::~Examples() = default;
Examples::Examples(Examples&&) noexcept = default;

void Examples::read(std::int64_t row, std::int64_t count, std::uint16_t* tokens, std::int32_t* lengths,
                    std::int32_t* labels) const {
  std::int64_t done = 0;
  for (const detail::Part& part : shards_->parts(row, count)) {
    const auto k = static_cast<std::size_t>(part.shard);
    if (tokens != nullptr)
      shards_->tokens[k].read_rows(part.first, part.count, hdf5::Type::u16, tokens + done * length_);
    if (lengths != nullptr)
      shards_->length[k].read_rows(part.first, part.count, hdf5::Type::i32, lengths + done);
    if (labels != nullptr)
      shards_->label[k].read_rows(part.first, part.count, hdf5::Type::i32, labels + done);
    done += part.count;
  }
}

void Examples::read_second(std::int64_t row, std::int64_t count, std::uint16_t* tokens, std::int32_t* lengths) const {
  if (!pairs_)
    throw Error(exit_failure, fmt::format("{} of {} holds no pairs", shards_->split, shards_->folder));
  std::int64_t done = 0;
  for (const detail::Part& part : shards_->parts(row, count)) {
    const auto k = static_cast<std::size_t>(part.shard);
    if (tokens != nullptr)
      shards_->tokens2[k].read_rows(part.first, part.count, hdf5::Type::u16, tokens + done * length_);
    if (lengths != nullptr)
      shards_->length2[k].read_rows(part.first, part.count, hdf5::Type::i32, lengths + done);
    done += part.count;
  }
}

std::string Examples::digest() const {
  if (info_.split_sha256.empty())
    info_.split_sha256 = computed_digest();
  return info_.split_sha256;
}

std::string Examples::computed_digest() const {
  detail::ExamplesDigest digest;
  ExampleRows rows;
  for (std::int64_t at = 0; at < size(); at += detail::example_block) {
    const std::int64_t count = std::min(size() - at, detail::example_block);
    detail::resize(rows, count, length_, pairs_);
    read(at, count, rows.tokens.data(), rows.length.data(), rows.label.data());
    if (pairs_)
      read_second(at, count, rows.tokens2.data(), rows.length2.data());
    digest.update(rows, length_);
  }
  return digest.hex();
}

void Examples::verify() const {
  if (const std::string got = computed_digest(); !info_.split_sha256.empty() && got != info_.split_sha256)
    throw DataError(fmt::format("the examples of split {} in {} have SHA-256 {}, expected {}; {}", shards_->split,
                                shards_->folder, got, info_.split_sha256, detail::again));
}

} // namespace weft
