#include "model/sampling/key_lists.hpp"
#include "config/patterns.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

KeyLists::KeyLists(const Config& config, std::int64_t length)
    : heads_(config.model.heads), period_(pattern_period(config)), longest_(length),
      self_last_(config.attention.shared_qk && config.attention.self == "last_resort") {
  if (pattern_row(config.attention.pattern).operation) // its layers keep what they need of earlier positions themselves
    return;
  std::vector<PatternChoice> known;
  std::vector<int> flat;
  for (std::int64_t layer = 0; layer < period_; ++layer) {
    const std::vector<PatternChoice> choices = layer_choices(config, layer);
    list_of_head_.emplace_back();
    for (std::int64_t h = 0; h < heads_; ++h) {
      const PatternChoice& choice = choices[static_cast<std::size_t>(h) % choices.size()];
      const auto found = std::find(known.begin(), known.end(), choice);
      list_of_head_.back().push_back(static_cast<int>(found - known.begin()));
      if (found == known.end()) {
        known.push_back(choice);
        names_.push_back(choice.set);
        patterns_.push_back(build_pattern(config, choice));
      }
    }
    flat.insert(flat.end(), list_of_head_.back().begin(), list_of_head_.back().end());
  }
  for (const Pattern& pattern : patterns_) {
    std::vector<int> row(static_cast<std::size_t>(length), -1);
    int next = 0;
    for (const int key : keys_of(pattern, static_cast<int>(length) - 1))
      if (key < length)
        row[static_cast<std::size_t>(key)] = next++;
    for (int& r : row)
      if (r < 0)
        r = next++;
    row_of_.push_back(std::move(row));
  }
  // A key is seen once at most (pattern.hpp), so a list of query i holds no more than i + 1.
  keys_ = Buffer<int>(static_cast<std::int64_t>(patterns_.size()) * length, "keys of a position");
  begin_ = Buffer<int>(static_cast<std::int64_t>(patterns_.size()) + 1, "keys of a position");
  newest_ = Buffer<int>(static_cast<std::int64_t>(patterns_.size()), "row of a position");
  heads_of_layers_ = Buffer<int>(static_cast<std::int64_t>(flat.size()), "lists of heads");
  copy_to_device(heads_of_layers_.data(), flat.data(), heads_of_layers_.bytes());
}

void KeyLists::move_to(std::int64_t i) {
  host_keys_.clear();
  host_newest_.clear();
  host_begin_.assign(1, 0);
  longest_now_ = 0;
  for (std::size_t n = 0; n < patterns_.size(); ++n) {
    std::vector<int> keys = keys_of(patterns_[n], static_cast<int>(i));
    if (!keys.empty() && keys.back() > i)
      throw InputError(fmt::format("cannot sample with the key set \"{}\": position {} sees position {}, which comes "
                                   "later and is not known yet; expected a causal attention.pattern",
                                   names_[n], i, keys.back()));
    if (self_last_ && keys.size() > 1 && keys.back() == i)
      keys.pop_back();
    for (const int key : keys)
      host_keys_.push_back(row_of_[n][static_cast<std::size_t>(key)]);
    host_newest_.push_back(row_of_[n][static_cast<std::size_t>(i)]);
    host_begin_.push_back(static_cast<int>(host_keys_.size()));
    longest_now_ = std::max(longest_now_, static_cast<std::int64_t>(keys.size()));
  }
  copy_to_device(keys_.data(), host_keys_.data(), host_keys_.size() * sizeof(int));
  copy_to_device(begin_.data(), host_begin_.data(), begin_.bytes());
  copy_to_device(newest_.data(), host_newest_.data(), newest_.bytes());
}

DecodeKeys KeyLists::of_layer(std::int64_t layer) const {
  return {keys_.data(), begin_.data(), newest_.data(), heads_of_layers_.data() + layer % period_ * heads_,
          longest_now_};
}

std::int64_t KeyLists::keys_of_layer(std::int64_t layer) const {
  std::int64_t sum = 0;
  if (list_of_head_.empty())
    return sum;
  for (const int n : list_of_head_[static_cast<std::size_t>(layer % period_)])
    sum += host_begin_[static_cast<std::size_t>(n) + 1] - host_begin_[static_cast<std::size_t>(n)];
  return sum;
}

} // namespace weft
