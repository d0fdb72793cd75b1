#include "io/shards.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/hdf5.hpp"
#include "io/shard_files.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

bool has_split(const std::string& folder, const std::string& split) { return detail::count_shards(folder, split) > 0; }

DataKind dataset_kind(const std::string& folder, const std::string& split) {
  return detail::open_shards(folder, split, true).tokens.front().shape().size() == 1 ? DataKind::stream
                                                                                     : DataKind::examples;
}

Split::Split(const std::string& folder, const std::string& split)
    : shards_(std::make_unique<detail::Shards>(detail::open_shards(folder, split))) {
  info_ = shards_->info;
}

Split::~Split() = default;
Split::Split(Split&&) noexcept = default;

std::string Split::digest() const {
  if (info_.split_sha256.empty())
    info_.split_sha256 = computed_digest();
  return info_.split_sha256;
}

void Split::verify() const {
  const std::string got = computed_digest(), &expected = info_.split_sha256;
  if (!expected.empty() && got != expected)
    throw DataError(fmt::format("the {} of split {} in {} have SHA-256 {}, expected {}; {}", contents(), shards_->split,
                                shards_->folder, got, expected, detail::again));
}

TokenStream::TokenStream(const std::string& folder, const std::string& split) : Split(folder, split) {
  if (shards_->tokens.front().shape().size() != 1)
    throw DataError(fmt::format("{} of {} holds examples, not a stream of tokens; another task is needed to use it",
                                split, folder));
}

void TokenStream::read(std::int64_t first, std::int64_t count, std::uint8_t* to) const {
  for (const detail::Part& part : shards_->parts(first, count)) {
    shards_->tokens[static_cast<std::size_t>(part.shard)].read_rows(part.first, part.count, hdf5::Type::u8, to);
    to += part.count;
  }
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

Examples::Examples(const std::string& folder, const std::string& split) : Split(folder, split) {
  if (shards_->tokens.front().shape().size() != 2)
    throw DataError(fmt::format("{} of {} holds a stream of tokens, not examples", split, folder));
  length_ = shards_->tokens.front().shape()[1];
  pairs_ = shards_->files.front().has("tokens2");
  for (std::size_t k = 0; k < shards_->files.size(); ++k) {
    const std::int64_t rows = shards_->tokens[k].shape()[0];
    const auto column = [&](const std::string& name, const std::vector<std::int64_t>& shape,
                            std::vector<hdf5::Dataset>& to) {
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

} // namespace weft
