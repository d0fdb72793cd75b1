#include "tasks/next_token.hpp"
#include "io/error.hpp"
#include "kernels/random/philox.hpp"
#include "tasks/shuffle.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {
constexpr std::uint32_t purpose_offset = 0xfffffff1u; // a tensor that no model has

/// Padding would be learnt and scored like data.
void require_whole(const Examples& examples, const std::string& folder, const std::string& split) {
  constexpr std::int64_t block = 1 << 16;
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(std::min(block, examples.size())));
  for (std::int64_t at = 0; at < examples.size(); at += block) {
    const std::int64_t count = std::min(block, examples.size() - at);
    examples.read(at, count, nullptr, lengths.data(), nullptr);
    for (std::int64_t i = 0; i < count; ++i)
      if (lengths[static_cast<std::size_t>(i)] != examples.length())
        throw InputError(fmt::format("example {} of the {} split of {} has {} tokens, padded to {}; a model of the "
                                     "next token takes whole examples only: choose another data.path",
                                     at + i, split, folder, lengths[static_cast<std::size_t>(i)], examples.length()));
  }
}
} // namespace

NextToken::NextToken(const std::string& folder, const std::string& split, std::int64_t length,
                     std::int64_t minimum_context)
    : Task(folder, split), length_(length), minimum_context_(minimum_context) {
  const bool stream = dataset_kind(folder, split) == DataKind::stream;
  if (stream)
    stream_.emplace(folder, split);
  else
    examples_.emplace(folder, split);
  if (size() == 0)
    throw DataError(fmt::format("the {} split of {} is empty; make the data set again (weft prepare)", split, folder));
  if (stream)
    return;
  if (examples_->length() != length)
    throw InputError(fmt::format("model.context is {} and the examples of the {} split of {} have {} tokens; set "
                                 "model.context = {}",
                                 length, split, folder, examples_->length(), examples_->length()));
  if (examples_->pairs())
    throw InputError(fmt::format("the {} split of {} holds pairs of sequences; a model of the next token takes single "
                                 "ones: choose another data.path",
                                 split, folder));
  require_whole(*examples_, folder, split);
}

std::int64_t NextToken::size() const { return stream_ ? stream_->size() : examples_->size() * length_; }
int NextToken::vocabulary() const { return stream_ ? stream_->vocabulary() : examples_->vocabulary(); }

std::string NextToken::source_digest() const {
  return stream_ ? stream_->info().source_sha256 : examples_->info().source_sha256;
}

std::int64_t NextToken::per_epoch() const {
  return stream_ ? std::max<std::int64_t>(1, stream_->size() / length_ - 1) : examples_->size();
}

void NextToken::read_example(std::int64_t index, std::uint16_t* to) const {
  examples_->read(index, 1, to, nullptr, nullptr);
  require_sound(to, length_);
}

void NextToken::read_stream(std::int64_t first, std::int64_t count, std::uint16_t* to) const {
  bytes_.resize(static_cast<std::size_t>(length_));
  stream_->read(first, count, bytes_.data());
  std::copy_n(bytes_.data(), count, to);
  std::fill(to + count, to + length_, std::uint16_t{0});
  require_sound(to, length_);
}

void NextToken::training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const {
  const auto e = static_cast<std::uint32_t>(epoch);
  const std::int64_t place = shuffled(index, per_epoch(), seed, e);
  to.length[0] = length_;
  if (examples_)
    return read_example(place, to.tokens[0]);
  // Offsets leave room for all windows; a stream shorter than 2N has less of it.
  const std::int64_t room = std::min(length_, size() - per_epoch() * length_ + 1);
  if (room <= 0)
    return read_stream(0, std::min(size(), length_), to.tokens[0]);
  const std::int64_t offset = random4({seed, e, 0, purpose_offset}, 0).x[0] % static_cast<std::uint64_t>(room);
  read_stream(offset + place * length_, length_, to.tokens[0]);
}

std::int64_t NextToken::rows() const {
  if (examples_ && minimum_context_ > 0)
    throw InputError(fmt::format("evaluation.minimum_context is {}, expected 0: the data set holds examples, and each "
                                 "is scored whole, from its first token",
                                 minimum_context_));
  if (examples_)
    return examples_->size();
  const std::int64_t slide = length_ - minimum_context_;
  return size() <= length_ ? 1 : 1 + (size() - length_ + slide - 1) / slide;
}

void NextToken::evaluation(std::int64_t row, Row& to) const {
  to.length[0] = length_;
  if (examples_)
    return read_example(row, to.tokens[0]);
  const auto score_only = [&](std::int64_t first, std::int64_t last) {
    if (to.shares) {
      std::fill(to.shares, to.shares + first, 0.0f);
      std::fill(to.shares + last, to.shares + length_, 0.0f);
    }
  };
  if (row == 0) { // a stream shorter than a row is padded behind everything that counts
    const std::int64_t count = std::min(size(), length_);
    read_stream(0, count, to.tokens[0]);
    return score_only(0, count);
  }
  const std::int64_t slide = length_ - minimum_context_;
  const std::int64_t scored = length_ + (row - 1) * slide, end = std::min(size(), scored + slide);
  read_stream(end - length_, length_, to.tokens[0]);
  score_only(scored - (end - length_), length_);
}

} // namespace weft
