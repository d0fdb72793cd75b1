#include "model/patterns.hpp"
#include "config/keys.hpp"
#include "config/patterns.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <stdexcept>

namespace weft {
namespace {

/// What combination `entry` (one of the words or sets) means for this layer and head: the name of a set.
std::string set_of(const Config& config, const std::string& entry, std::int64_t layer, std::int64_t head) {
  const PatternRow& row = pattern_row(config.attention.pattern);
  const std::vector<PatternSet>& sets = row.sets;
  if (entry == "merged")
    return row.merged ? row.merged->name : sets.front().name;
  if (entry == "interleaved")
    return sets[static_cast<std::size_t>(layer) % sets.size()].name;
  if (entry == "heads")
    return sets[static_cast<std::size_t>(head) % sets.size()].name;
  return entry;
}

} // namespace

PatternChoice pattern_choice(const Config& config, std::int64_t layer, std::int64_t head) {
  if (pattern_row(config.attention.pattern).operation)
    throw InputError("got attention.pattern = \"" + config.attention.pattern +
                     "\", which is no softmax over a set of keys, so that it can neither be listed nor sampled from; "
                     "expected one of " +
                     joined(key_set_patterns(), ", "));
  const std::vector<std::string>& entries = config.attention.combination;
  PatternChoice choice;
  choice.set = set_of(config, entries[static_cast<std::size_t>(layer) % entries.size()], layer, head);
  const PatternSet& set = pattern_set(config, choice.set);
  if (set.grouped)
    choice.group = head % summary_groups_of(config);
  if (set.random) {
    choice.layer = layer;
    choice.head = head;
  }
  return choice;
}

std::vector<PatternChoice> layer_choices(const Config& config, std::int64_t layer) {
  const std::int64_t H = config.model.heads;
  std::vector<PatternChoice> all;
  for (std::int64_t head = 0; head < H; ++head)
    all.push_back(pattern_choice(config, layer, head));
  for (std::size_t size = 1; size < all.size(); ++size)
    if (std::equal(all.begin() + static_cast<std::ptrdiff_t>(size), all.end(), all.begin()))
      return all.resize(size), all;
  return all;
}

std::int64_t pattern_period(const Config& config) {
  const std::vector<std::string>& entries = config.attention.combination;
  const bool interleaved = entries.front() == "interleaved";
  const std::vector<PatternSet>& all = pattern_row(config.attention.pattern).sets;
  if (std::any_of(all.begin(), all.end(), [](const PatternSet& set) { return set.random; }))
    return config.model.layers;
  const std::size_t sets = all.size();
  const auto period = static_cast<std::int64_t>(interleaved ? sets : entries.size());
  return std::min(period, config.model.layers);
}

std::int64_t slots_of(const Config& config) { return config.model.context + slots_in_front(config); }

Pattern build_pattern(const Config& config, const PatternChoice& choice, std::int64_t length, QueryRows rows) {
  const std::int64_t whole = std::max(length, slots_of(config));
  try {
    return form_of(config, pattern_set(config, choice.set))
        .build(config, {static_cast<int>(length), static_cast<int>(whole), static_cast<int>(choice.group),
                        static_cast<int>(choice.layer), static_cast<int>(choice.head), rows});
  } catch (const std::length_error& error) {
    throw InputError(fmt::format("got attention.pattern = \"{}\" over {} positions, which needs {}; take a shorter "
                                 "model.context, a larger attention.stride, or a pattern that sees fewer keys",
                                 config.attention.pattern, length, error.what()));
  }
}

Pattern build_pattern(const Config& config, const PatternChoice& choice) {
  return build_pattern(config, choice, slots_of(config));
}

Pattern pattern_of(const Config& config, std::int64_t layer, std::int64_t head) {
  return build_pattern(config, pattern_choice(config, layer, head));
}

std::vector<Pattern> layer_patterns(const Config& config, std::int64_t layer, std::int64_t length, QueryRows rows) {
  std::vector<Pattern> out;
  for (const PatternChoice& choice : layer_choices(config, layer))
    out.push_back(build_pattern(config, choice, length, rows));
  return out;
}

std::vector<Pattern> layer_patterns(const Config& config, std::int64_t layer) {
  return layer_patterns(config, layer, slots_of(config), QueryRows::all);
}

} // namespace weft
