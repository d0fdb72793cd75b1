#include "training/sequences.hpp"
#include "io/error.hpp"
#include "kernels/random/philox.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {
constexpr std::uint32_t purpose_shuffle = 0xfffffff0u, purpose_offset = 0xfffffff1u; // tensors that no model has
}

std::int64_t shuffled(std::int64_t index, std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
  int half = 1;
  while ((std::int64_t{1} << (2 * half)) < n)
    ++half;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = value >> half, right = value & mask;
    for (std::uint32_t round = 0; round < 4; ++round) {
      const Philox4 r = random4({seed, epoch, round, purpose_shuffle}, static_cast<std::uint32_t>(right));
      const std::uint64_t mixed = left ^ (r.x[0] & mask);
      left = right;
      right = mixed;
    }
    value = left << half | right;
  } while (value >= static_cast<std::uint64_t>(n));
  return static_cast<std::int64_t>(value);
}

Sequences::Sequences(const std::string& folder, const std::string& split, std::int64_t length)
    : folder_(folder), split_(split), length_(length) {
  const bool stream = dataset_kind(folder, split) == DataKind::stream;
  if (stream)
    stream_.emplace(folder, split);
  else
    examples_.emplace(folder, split);
  if (tokens() == 0)
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
  // Padding would be learnt and scored like data.
  constexpr std::int64_t block = 1 << 16;
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(std::min(block, examples_->size())));
  for (std::int64_t at = 0; at < examples_->size(); at += block) {
    const std::int64_t count = std::min(block, examples_->size() - at);
    examples_->read(at, count, nullptr, lengths.data(), nullptr);
    for (std::int64_t i = 0; i < count; ++i)
      if (lengths[static_cast<std::size_t>(i)] != length)
        throw InputError(fmt::format("example {} of the {} split of {} has {} tokens, padded to {}; a model of the "
                                     "next token takes whole examples only: choose another data.path",
                                     at + i, split, folder, lengths[static_cast<std::size_t>(i)], length));
  }
}

std::int64_t Sequences::tokens() const { return stream_ ? stream_->size() : examples_->size() * length_; }
int Sequences::vocabulary() const { return stream_ ? stream_->vocabulary() : examples_->vocabulary(); }
void Sequences::require_known(std::int64_t known) const {
  if (vocabulary() > known)
    throw InputError(fmt::format("{} has a vocabulary of {} and model.vocabulary is {}; a model for it is made with "
                                 "model.vocabulary = {}",
                                 folder_, vocabulary(), known, vocabulary()));
}

std::string Sequences::source_digest() const {
  return stream_ ? stream_->info().source_sha256 : examples_->info().source_sha256;
}

std::int64_t Sequences::per_epoch() const {
  return stream_ ? std::max<std::int64_t>(1, stream_->size() / length_ - 1) : examples_->size();
}

void Sequences::require_sound(const std::uint16_t* tokens, std::int64_t count) const {
  const std::uint16_t largest = *std::max_element(tokens, tokens + count);
  if (largest >= vocabulary())
    throw DataError(fmt::format("the {} split of {} holds the token {}, expected all below its vocabulary of {}; make "
                                "the data set again (weft prepare)",
                                split_, folder_, largest, vocabulary()));
}

void Sequences::read_example(std::int64_t index, std::uint16_t* to) const {
  examples_->read(index, 1, to, nullptr, nullptr);
  require_sound(to, length_);
}

void Sequences::read_stream(std::int64_t first, std::int64_t count, std::uint16_t* to) const {
  bytes_.resize(static_cast<std::size_t>(length_));
  stream_->read(first, count, bytes_.data());
  std::copy_n(bytes_.data(), count, to);
  std::fill(to + count, to + length_, std::uint16_t{0});
  require_sound(to, length_);
}

void Sequences::training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, std::uint16_t* to) const {
  const auto e = static_cast<std::uint32_t>(epoch);
  const std::int64_t place = shuffled(index, per_epoch(), seed, e);
  if (examples_)
    return read_example(place, to);
  // Offsets leave room for all windows; a stream shorter than 2N has less of it.
  const std::int64_t room = std::min(length_, tokens() - per_epoch() * length_ + 1);
  if (room <= 0)
    return read_stream(0, std::min(tokens(), length_), to);
  const std::int64_t offset = random4({seed, e, 0, purpose_offset}, 0).x[0] % static_cast<std::uint64_t>(room);
  read_stream(offset + place * length_, length_, to);
}

std::int64_t Sequences::windows(std::int64_t minimum_context) const {
  if (examples_ && minimum_context > 0)
    throw InputError(fmt::format("evaluation.minimum_context is {}, expected 0: the data set holds examples, and each "
                                 "is scored whole, from its first token",
                                 minimum_context));
  if (examples_)
    return examples_->size();
  const std::int64_t size = tokens(), slide = length_ - minimum_context;
  return size <= length_ ? 1 : 1 + (size - length_ + slide - 1) / slide;
}

Sequences::Scored Sequences::window(std::int64_t index, std::uint16_t* to, std::int64_t minimum_context) const {
  if (examples_) {
    read_example(index, to);
    return {0, length_};
  }
  const std::int64_t size = tokens(), slide = length_ - minimum_context;
  if (size <= length_) { // padded; padding is behind everything that counts
    read_stream(0, size, to);
    return {0, size};
  }
  if (index == 0) {
    read_stream(0, length_, to);
    return {0, length_};
  }
  const std::int64_t scored = length_ + (index - 1) * slide, end = std::min(size, scored + slide);
  read_stream(end - length_, length_, to);
  return {scored - (end - length_), length_};
}

} // namespace weft
