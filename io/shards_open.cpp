#include "io/error.hpp"
#include "io/shard_files.hpp"
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/core.h>
#include <type_traits>

namespace weft {
namespace fs = std::filesystem;

std::string shard_path(const std::string& folder, const std::string& split, int shard, int shards) {
  return (fs::path(folder) / fmt::format("{}-{:05}-of-{:05}.h5", split, shard, shards)).string();
}

namespace detail {
namespace {

template <class T>
T attribute(const Attributes& attributes, const std::string& name, const std::string& path) {
  const auto found = attributes.find(name);
  if (found == attributes.end() || !std::holds_alternative<T>(found->second))
    throw DataError(fmt::format("{} has no {} attribute \"{}\"; {}", path,
                                std::is_same_v<T, std::string> ? "text" : "integer", name, again));
  return std::get<T>(found->second);
}

void expect(const Attributes& attributes, const std::string& name, std::int64_t expected, const std::string& path) {
  const auto got = attribute<std::int64_t>(attributes, name, path);
  if (got != expected)
    throw DataError(fmt::format("{} says {} = {}, expected {}", path, name, got, expected));
}

/// The number of shards of the split. DataError where there is no folder, no shard, or too many.
int checked_count(const std::string& folder, const std::string& split) {
  std::error_code code;
  if (!fs::is_directory(folder, code))
    throw DataError(
        fmt::format("there is no data set folder {}; make one with weft prepare ... --to {}", folder, folder));
  const int count = count_shards(folder, split);
  if (count == 0)
    throw DataError(fmt::format("{} holds no shards of the split \"{}\" (expected {}); {}", folder, split,
                                fs::path(shard_path("", split, 0, 1)).string(), again));
  if (count > most_shards)
    throw DataError(fmt::format("{} has {} shards of {}; at most {} can be open at once; {}", folder, count, split,
                                most_shards, again));
  return count;
}

/// What a shard says of its split. The contract's attributes; the two of ours that other programs need not know are
/// split_sha256 and split_examples.
SplitInfo info_of(const Attributes& all, int shards, const std::string& path) {
  const auto number_if = [&](bool there, const char* name) {
    return there ? attribute<std::int64_t>(all, name, path) : 0;
  };
  const auto text_if = [&](bool there, const char* name) {
    return there ? attribute<std::string>(all, name, path) : std::string();
  };
  const bool ours = all.count("split_examples") != 0;
  return {attribute<std::string>(all, "task", path),
          attribute<std::int64_t>(all, "vocabulary", path),
          attribute<std::string>(all, "source_sha256", path),
          text_if(ours, "split_sha256"),
          number_if(ours, "split_examples"),
          shards,
          number_if(all.count("classes") != 0, "classes"),
          number_if(all.count("scored_first") != 0, "scored_first"),
          text_if(all.count("symbols") != 0, "symbols")};
}

/// DataError unless the shard is of the data set that shard 0 is of, and its vocabulary is one.
void check_info(const SplitInfo& info, const SplitInfo& one, const std::string& path) {
  if (info.task != one.task || info.vocabulary != one.vocabulary || info.source_sha256 != one.source_sha256 ||
      info.split_sha256 != one.split_sha256 || info.size != one.size || info.classes != one.classes ||
      info.scored_first != one.scored_first || info.symbols != one.symbols)
    throw DataError(fmt::format("{} is of another data set than shard 0", path));
  if (info.vocabulary < 1 || info.vocabulary > 65536)
    throw DataError(fmt::format("{} says vocabulary = {}, expected 1 to 65536", path, info.vocabulary));
}

/// DataError unless these are tokens of a known shape, like those of shard 0.
void check_tokens(const hdf5::Dataset& tokens, const hdf5::Dataset& one, const std::string& path) {
  const std::vector<std::int64_t>&shape = tokens.shape(), &first = one.shape();
  if (shape.empty() || shape.size() > 2 ||
      !(tokens.type() == hdf5::Type::u8 || (shape.size() == 2 && tokens.type() == hdf5::Type::u16)))
    throw DataError(fmt::format("tokens of {} are neither a 1-D uint8 stream nor 2-D uint8 or uint16 examples", path));
  if (shape.size() != first.size() || (shape.size() == 2 && shape[1] != first[1]))
    throw DataError(fmt::format("tokens of {} have another shape than those of shard 0", path));
}

/// Opens shard k of `count` and checks it against those before it.
void add_shard(Shards& shards, int k, int count, const std::string& path) {
  shards.files.push_back(hdf5::File::open(path));
  const hdf5::File& file = shards.files.back();
  const Attributes all = file.attributes();
  expect(all, "format_version", data_format_version, path);
  expect(all, "shard", k, path);
  expect(all, "shards", count, path);
  const auto split = attribute<std::string>(all, "split", path);
  if (split != shards.split)
    throw DataError(fmt::format("{} says split = {}, expected {}", path, split, shards.split));
  const SplitInfo info = info_of(all, count, path);
  if (k == 0)
    shards.info = info;
  check_info(info, shards.info, path);
  shards.tokens.push_back(file.dataset("tokens"));
  const hdf5::Dataset& tokens = shards.tokens.back();
  check_tokens(tokens, shards.tokens.front(), path);
  if (all.count("split_examples") != 0 || all.count("examples") != 0)
    expect(all, "examples", tokens.shape()[0], path);
  shards.first.push_back(shards.first.back() + tokens.shape()[0]);
}

} // namespace

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

Shards open_shards(const std::string& folder, const std::string& split, bool first_only) {
  Shards shards;
  shards.folder = folder;
  shards.split = split;
  const int count = checked_count(folder, split);
  for (int k = 0; k < (first_only ? 1 : count); ++k) {
    const std::string path = shard_path(folder, split, k, count);
    std::error_code code;
    if (!fs::exists(path, code))
      throw DataError(fmt::format("{} is missing: {} has {} shards in all; {}", path, split, count, again));
    try {
      add_shard(shards, k, count, path);
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

} // namespace weft
