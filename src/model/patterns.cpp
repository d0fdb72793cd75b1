#include "model/patterns.hpp"
#include "config/validate.hpp"
#include "io/error.hpp"
#include <algorithm>

namespace weft {
namespace {

/// What combination `entry` (one of the words or sets) means for this layer and head: a set, "dense" or "merged".
std::string set_of(const Config& config, const std::string& entry, std::int64_t layer, std::int64_t head) {
  const std::vector<std::string> sets = pattern_sets(config.attention.pattern);
  if (config.attention.pattern == "dense")
    return "dense";
  if (sets.size() == 1)
    return entry == "dense" ? "dense" : sets.front();
  if (entry == "interleaved")
    return sets[static_cast<std::size_t>(layer) % sets.size()];
  if (entry == "heads")
    return sets[static_cast<std::size_t>(head) % sets.size()];
  if (entry == "merged")
    return config.attention.pattern + " merged";
  return entry;
}

/// Summary sub-blocks in a block: l/c with one per head, else 1.
std::int64_t groups_of(const Config& config) {
  return config.attention.shared_summary ? 1 : config.attention.stride / config.attention.summary;
}

} // namespace

PatternChoice pattern_choice(const Config& config, std::int64_t layer, std::int64_t head) {
  const std::vector<std::string>& entries = config.attention.combination;
  PatternChoice choice;
  choice.set = set_of(config, entries[static_cast<std::size_t>(layer) % entries.size()], layer, head);
  if (choice.set == "summary" || choice.set == "fixed merged")
    choice.group = head % groups_of(config);
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
  const std::int64_t period = interleaved ? 2 : static_cast<std::int64_t>(entries.size());
  return std::min(period, config.model.layers);
}

Pattern build_pattern(const Config& config, const PatternChoice& choice) {
  const int N = static_cast<int>(config.model.context), l = static_cast<int>(config.attention.stride),
            c = static_cast<int>(config.attention.summary), group = static_cast<int>(choice.group),
            window = config.attention.window > 0 ? static_cast<int>(config.attention.window) : l;
  if (choice.set == "dense")
    return dense(N);
  if (choice.set == "local")
    return local(N, window);
  if (choice.set == "strided")
    return strided_residues(N, l);
  if (choice.set == "strided merged")
    return strided_merged(N, l, window);
  if (choice.set == "block")
    return fixed_block(N, l);
  if (choice.set == "summary")
    return fixed_summary(N, l, c, group);
  if (choice.set == "fixed merged")
    return fixed_merged(N, l, c, group);
  if (choice.set == "block_bidirectional")
    return block_bidirectional(N, l);
  throw InputError("got the key set \"" + choice.set + "\" for attention.pattern \"" + config.attention.pattern +
                   "\"; weft help attention lists what it takes");
}

Pattern pattern_of(const Config& config, std::int64_t layer, std::int64_t head) {
  return build_pattern(config, pattern_choice(config, layer, head));
}

std::vector<Pattern> layer_patterns(const Config& config, std::int64_t layer) {
  std::vector<Pattern> out;
  for (const PatternChoice& choice : layer_choices(config, layer))
    out.push_back(build_pattern(config, choice));
  return out;
}

} // namespace weft
