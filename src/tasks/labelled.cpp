#include "tasks/labelled.hpp"
#include "io/error.hpp"
#include "io/hdf5.hpp"
#include "tasks/shuffle.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <vector>

namespace weft {

namespace {
constexpr std::int64_t block = 1 << 16;

constexpr std::uint32_t of_fractions = 0xf4ac7104u; // no epoch: the order in which a part of a split is drawn

/// A permutation of 0 .. n-1 in which neighbours are far apart: the rank of `index` by its reversed bits.
std::int64_t scattered(std::int64_t index, std::int64_t n) {
  int bits = 0;
  while (std::int64_t{1} << bits < n)
    ++bits;
  const auto reversed = [&](std::int64_t i) {
    std::int64_t r = 0;
    for (int b = 0; b < bits; ++b)
      r |= (i >> b & 1) << (bits - 1 - b);
    return r;
  };
  std::int64_t rank = 0;
  for (std::int64_t i = 0; i < n; ++i)
    rank += reversed(i) < reversed(index) ? 1 : 0;
  return rank;
}

/// Calls each(row, least, most) for every row: its length, or those of the two documents.
template <class F>
void for_lengths(const Examples& examples, F&& each) {
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(std::min(block, examples.size())));
  std::vector<std::int32_t> second(examples.pairs() ? lengths.size() : 0);
  for (std::int64_t at = 0; at < examples.size(); at += block) {
    const std::int64_t count = std::min(block, examples.size() - at);
    examples.read(at, count, nullptr, lengths.data(), nullptr);
    if (examples.pairs())
      examples.read_second(at, count, nullptr, second.data());
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const std::int32_t a = lengths[i], b = examples.pairs() ? second[i] : a;
      each(at + static_cast<std::int64_t>(i), std::min(a, b), std::max(a, b));
    }
  }
}

std::int64_t largest_label(const Examples& examples) {
  std::int64_t largest = -1;
  std::vector<std::int32_t> labels(static_cast<std::size_t>(std::min(block, examples.size())));
  for (std::int64_t at = 0; at < examples.size(); at += block) {
    const std::int64_t count = std::min(block, examples.size() - at);
    examples.read(at, count, nullptr, nullptr, labels.data());
    for (std::int64_t i = 0; i < count; ++i)
      largest = std::max<std::int64_t>(largest, labels[static_cast<std::size_t>(i)]);
  }
  return largest;
}

void fill_bits(std::uint32_t* seen, const std::uint16_t* tokens, const TaskShape& shape, std::int64_t length,
               KeyBits bits) {
  std::fill(seen, seen + shape.words(), 0u);
  for (std::int64_t i = 0; i < shape.tokens; ++i)
    if (bits == KeyBits::by_length ? i < length : tokens[i] != 0)
      seen[i / 32] |= 1u << (i % 32);
}
} // namespace

std::int64_t classes_of(const std::string& folder, const std::string& split) {
  const Examples examples(folder, split);
  const Attributes all = hdf5::File::open(shard_path(folder, split, 0, examples.info().shards)).attributes();
  if (const auto found = all.find("classes"); found != all.end()) {
    const auto* const classes = std::get_if<std::int64_t>(&found->second);
    if (!classes || *classes < 2 || *classes > 65536)
      throw DataError(fmt::format("the attribute classes of the {} split of {} is {}, expected an integer in 2 to "
                                  "65536; make the data set again",
                                  split, folder, classes ? std::to_string(*classes) : "no integer"));
    return *classes;
  }
  const std::int64_t largest = split == "train" ? largest_label(examples) : largest_label(Examples(folder, "train"));
  if (largest < 0)
    throw InputError(fmt::format("the train split of {} has no labels (all are -1), expected a class for every "
                                 "example; choose another data.path or data.task",
                                 folder));
  return std::max<std::int64_t>(2, largest + 1);
}

Labelled::Labelled(const std::string& folder, const std::string& split, std::int64_t length, std::int64_t sequences,
                   KeyBits bits, std::int64_t classes, const RowChoice& choice, const BatchOrder& order)
    : Task(folder, split), examples_(folder, split), bits_(bits), order_(order) {
  if (examples_.size() == 0)
    throw DataError(fmt::format("the {} split of {} is empty; make the data set again", split, folder));
  if (examples_.pairs() != (sequences == 2))
    throw InputError(fmt::format(
        "the {} split of {} holds {}; {}", split, folder, examples_.pairs() ? "pairs of sequences" : "single sequences",
        examples_.pairs() ? "set data.task = \"pairs\"" : "data.task = \"pairs\" needs pairs"));
  const bool cut = choice.max_length > 0 && choice.max_length <= length && length < examples_.length();
  if (examples_.length() != length && !cut)
    throw InputError(fmt::format("model.context is {} and the examples of the {} split of {} have {} tokens, padding "
                                 "included; set model.context = {}, or data.max_length, at most model.context, to "
                                 "leave longer ones out",
                                 length, split, folder, examples_.length(), examples_.length()));
  shape_.tokens = length;
  shape_.sequences = sequences;
  shape_.predictions = shape_.scored = 1;
  const std::int64_t found = classes_of(folder, split);
  shape_.classes = classes > 0 ? classes : found;
  if (shape_.classes < found)
    throw InputError(fmt::format("got model.classes = {}, expected at least {}, the classes of the {} split of {}",
                                 classes, found, split, folder));
  choose(choice);
  if (order_.by_length)
    for_lengths(examples_, [&](std::int64_t, std::int32_t, std::int32_t most) { lengths_.push_back(most); });
  shape_.padded = bits == KeyBits::by_token; // black pixels are found only by reading all of them
  if (!shape_.padded)
    for_lengths(examples_, [&](std::int64_t row, std::int32_t least, std::int32_t) {
      shape_.padded =
          shape_.padded || (least < length && (all_ || std::binary_search(chosen_.begin(), chosen_.end(), row)));
    });
}

void Labelled::choose(const RowChoice& choice) {
  if (choice.min_length == 0 && choice.max_length == 0 && choice.fraction == 1)
    return;
  all_ = false;
  for_lengths(examples_, [&](std::int64_t row, std::int32_t least, std::int32_t most) {
    if (least >= choice.min_length && (choice.max_length == 0 || most <= choice.max_length))
      chosen_.push_back(row);
  });
  const auto fitting = static_cast<std::int64_t>(chosen_.size());
  if (fitting == 0)
    throw InputError(fmt::format("no example of the {} split of {} has data.min_length = {} to data.max_length = {} "
                                 "tokens; set other ones",
                                 split(), folder(), choice.min_length, choice.max_length));
  if (choice.fraction == 1)
    return;
  const auto count = std::max<std::int64_t>(1, std::llround(choice.fraction * static_cast<double>(fitting)));
  std::vector<std::int64_t> drawn;
  for (std::int64_t i = 0; i < count; ++i)
    drawn.push_back(chosen_[static_cast<std::size_t>(shuffled(i, fitting, choice.seed, of_fractions))]);
  std::sort(drawn.begin(), drawn.end());
  chosen_ = std::move(drawn);
}

void Labelled::require_length(std::int64_t row, std::int64_t length) const {
  if (length < 1 || length > shape_.tokens)
    throw DataError(fmt::format("example {} of the {} split of {} has length {}, expected 1 to {}; make the data set "
                                "again",
                                row, split(), folder(), length, shape_.tokens));
}

std::int64_t Labelled::drawn(std::uint64_t seed, std::int64_t epoch, std::int64_t index) const {
  return shuffled(index, per_epoch(), seed, static_cast<std::uint32_t>(epoch));
}

/// Micro-batch m of a batch takes the group of sorted rows whose number is m's rank by its reversed bits: ranks have
/// neighbouring micro-batches, and each is to have short and long ones.
std::int64_t Labelled::sorted(std::uint64_t seed, std::int64_t epoch, std::int64_t index) const {
  const std::int64_t first = index / order_.batch * order_.batch, micro = order_.micro_batch;
  if (first + order_.batch > per_epoch()) // an incomplete batch is as it was drawn
    return drawn(seed, epoch, index);
  if (batch_.seed != seed || batch_.epoch != epoch || batch_.first != first) {
    batch_ = {seed, epoch, first, {}};
    for (std::int64_t i = first; i < first + order_.batch; ++i) {
      const std::int64_t place = drawn(seed, epoch, i);
      const std::int64_t row = all_ ? place : chosen_[static_cast<std::size_t>(place)];
      batch_.rows.emplace_back(lengths_[static_cast<std::size_t>(row)], place);
    }
    std::sort(batch_.rows.begin(), batch_.rows.end());
  }
  const std::int64_t group = scattered((index - first) / micro, order_.batch / micro);
  return batch_.rows[static_cast<std::size_t>(group * micro + (index - first) % micro)].second;
}

void Labelled::training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const {
  evaluation(order_.by_length ? sorted(seed, epoch, index) : drawn(seed, epoch, index), to);
}

void Labelled::evaluation(std::int64_t index, Row& to) const {
  const std::int64_t row = all_ ? index : chosen_[static_cast<std::size_t>(index)];
  std::int32_t length[2] = {0, 0}, label = 0;
  if (examples_.length() == shape_.tokens) {
    examples_.read(row, 1, to.tokens[0], &length[0], &label);
    if (examples_.pairs())
      examples_.read_second(row, 1, to.tokens[1], &length[1]);
  } else { // what lies behind the context is padding
    std::vector<std::uint16_t> whole(static_cast<std::size_t>(examples_.length()));
    examples_.read(row, 1, whole.data(), &length[0], &label);
    std::copy_n(whole.begin(), shape_.tokens, to.tokens[0]);
    if (examples_.pairs()) {
      examples_.read_second(row, 1, whole.data(), &length[1]);
      std::copy_n(whole.begin(), shape_.tokens, to.tokens[1]);
    }
  }
  if (label < 0 || label >= shape_.classes)
    throw DataError(fmt::format("example {} of the {} split of {} has the label {}, expected 0 to {}; make the data "
                                "set again",
                                row, split(), folder(), label, shape_.classes - 1));
  for (std::size_t s = 0; s < static_cast<std::size_t>(shape_.sequences); ++s) {
    require_length(row, length[s]);
    require_sound(to.tokens[s], shape_.tokens);
    to.length[s] = length[s];
    if (to.seen[s])
      fill_bits(to.seen[s], to.tokens[s], shape_, length[s], bits_);
  }
  *to.targets = static_cast<std::uint16_t>(label);
}

} // namespace weft
