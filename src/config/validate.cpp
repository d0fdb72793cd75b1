#include "config/validate.hpp"
#include "config/fault.hpp"
#include "config/keys.hpp"
#include "io/error.hpp"
#include "io/shards.hpp"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <initializer_list>

namespace weft {
namespace {

constexpr std::int64_t largest_head_width = 256; ///< of the attention engine
constexpr std::size_t most_position_tables = 4;  ///< of the embedding

class Checker {
 public:
  Checker(const LoadedConfig& loaded, Problems& problems) : loaded_(loaded), problems_(problems) {}

  /// True if none of these keys was found wrong already.
  bool sound(std::initializer_list<const char*> keys) const {
    return std::none_of(keys.begin(), keys.end(), [&](const char* key) { return problems_.names(key); });
  }

  /// Adds a problem at the first of the keys that was set (all sound, or nothing is added).
  void fail(std::initializer_list<const char*> keys, const std::string& text) {
    if (!sound(keys))
      return;
    const std::string key = blamed(keys);
    reported_.push_back({where(key), key, text});
  }
  void check(bool holds, std::initializer_list<const char*> keys, const std::string& text) {
    if (!holds)
      fail(keys, text);
  }

  /// Rules are judged against the values alone; only then are they added, so that one broken rule hides no other.
  void finish() {
    for (const Found& found : reported_)
      problems_.add(found.where, found.key, found.text);
  }

  std::string blamed(std::initializer_list<const char*> keys) const {
    for (const char* key : keys)
      if (loaded_.origins.count(key) > 0)
        return key;
    return *keys.begin();
  }
  Origin where(const std::string& key) const {
    const auto origin = loaded_.origins.find(key);
    return origin != loaded_.origins.end() ? origin->second : Origin{loaded_.file + " (by default)", 0};
  }

 private:
  struct Found {
    Origin where;
    std::string key, text;
  };
  const LoadedConfig& loaded_;
  Problems& problems_;
  std::vector<Found> reported_;
};

void check_run(const Config& c, Checker& rules) {
  const std::string& name = c.run.name;
  const bool plain = !name.empty() && name.front() != '.' && name.front() != '-' && name.size() <= 200 &&
                     std::all_of(name.begin(), name.end(), [](char x) {
                       return x != '/' && x != '\\' && static_cast<unsigned char>(x) > 0x20 && x != 0x7f;
                     });
  rules.check(
      plain, {"run.name"},
      fmt::format(
          "got \"{}\", expected a plain folder name of at most 200 bytes: no slash, no blank, no leading . or -",
          name));
  rules.check(!c.run.directory.empty(), {"run.directory"}, "got an empty path, expected a folder such as \"runs\"");
}

void check_model(const Config& c, Checker& rules) {
  const auto& m = c.model;
  const bool divides = m.heads < 1 || m.width % m.heads == 0;
  rules.check(divides, {"model.heads", "model.width"},
              fmt::format("got {} heads for width {}, expected a divisor of the width", m.heads, m.width));
  const std::int64_t head = m.width / std::max<std::int64_t>(1, m.heads);
  if (divides) {
    rules.check(head <= largest_head_width, {"model.heads", "model.width"},
                fmt::format("got heads of width {} (width {} over {} heads), expected at most {}; take more heads",
                            head, m.width, m.heads, largest_head_width));
    rules.check(!m.half_size || m.heads < 1 || m.width % (2 * m.heads) == 0,
                {"model.half_size", "model.heads", "model.width"},
                fmt::format("got half_size with width {} and {} heads, expected heads to divide the halved width, too: "
                            "a width that is a multiple of {}",
                            m.width, m.heads, 2 * m.heads));
  }
  if (m.position_shape.empty())
    return;
  rules.check(m.position_shape.size() <= most_position_tables, {"model.position_shape"},
              fmt::format("got {} coordinates, expected at most {}", m.position_shape.size(), most_position_tables));
  double positions = 1; // a double cannot overflow here
  for (const std::int64_t extent : m.position_shape)
    positions *= static_cast<double>(extent);
  rules.check(positions >= static_cast<double>(m.context), {"model.position_shape", "model.context"},
              fmt::format("got [{}], which gives {} positions, expected at least model.context = {}",
                          joined(m.position_shape, ", "), positions, m.context));
}

void check_combination(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  const std::vector<std::string> sets = pattern_sets(a.pattern);
  std::vector<std::string> entries = {"merged", "dense"};
  entries.insert(entries.end(), sets.begin(), sets.end());
  const bool two = sets.size() == 2;
  for (const std::string& entry : a.combination) {
    if (entry == "interleaved" || entry == "heads") {
      rules.check(
          two, {"attention.combination", "attention.pattern"},
          fmt::format("got \"{}\" for pattern \"{}\", which has one set only, expected \"merged\"", entry, a.pattern));
      rules.check(
          a.combination.size() == 1, {"attention.combination"},
          fmt::format("got \"{}\" in a list, expected it alone, or a list of {}", entry, joined(entries, ", ")));
    } else if (std::find(entries.begin(), entries.end(), entry) == entries.end()) {
      std::vector<std::string> all = entries;
      if (two)
        all.insert(all.end(), {"interleaved", "heads"});
      const std::string hint = nearest(entry, all);
      rules.fail({"attention.combination", "attention.pattern"},
                 fmt::format("got \"{}\" for pattern \"{}\", expected {}{}a list of {}{}", entry, a.pattern,
                             two ? "merged, interleaved, heads, " : "merged ", "or ", joined(entries, ", "),
                             hint.empty() ? "" : "; did you mean " + hint + "?"));
    }
  }
}

void check_attention(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  check_combination(c, rules);
  rules.check(a.pattern == "dense" || a.stride <= c.model.context,
              {"attention.stride", "model.context", "attention.pattern"},
              fmt::format("got a stride of {}, expected at most model.context = {}", a.stride, c.model.context));
  rules.check(a.window == 0 || a.pattern == "local" || a.pattern == "strided",
              {"attention.window", "attention.pattern"},
              fmt::format("got a window of {} with pattern \"{}\", expected pattern local or strided, or window = 0",
                          a.window, a.pattern));
  rules.check(a.pattern != "strided" || a.window <= a.stride, {"attention.window", "attention.stride"},
              fmt::format("got a window of {}, expected at most attention.stride = {}", a.window, a.stride));
  rules.check(a.pattern != "block_bidirectional" || a.allow_leak, {"attention.pattern", "attention.allow_leak"},
              "got \"block_bidirectional\", which shows the model the bytes that it is to predict, so that its loss "
              "measures nothing; expected a causal pattern, or attention.allow_leak = true to demonstrate the leak");
  if (a.pattern != "fixed")
    return;
  const bool fits = a.summary <= a.stride;
  rules.check(
      fits, {"attention.summary", "attention.stride", "attention.pattern"},
      fmt::format("got {} summary columns per block, expected at most attention.stride = {}", a.summary, a.stride));
  rules.check(!fits || a.shared_summary || a.summary < 1 || a.stride % a.summary == 0,
              {"attention.summary", "attention.stride", "attention.shared_summary", "attention.pattern"},
              fmt::format("got {0} summary columns in blocks of {1}, expected a divisor of {1}, since every head has a "
                          "sub-block of its own; or set attention.shared_summary = true",
                          a.summary, a.stride));
}

void check_training(const Config& c, Checker& rules) {
  const auto& t = c.training;
  const auto& s = c.schedule;
  rules.check((t.steps > 0) != (t.epochs > 0), {"training.steps", "training.epochs"},
              fmt::format("got training.steps = {} and training.epochs = {}, expected exactly one of them above 0",
                          t.steps, t.epochs));
  rules.check(
      t.micro_batch < 1 || t.batch % t.micro_batch == 0, {"training.micro_batch", "training.batch"},
      fmt::format("got {} sequences per pass, expected a divisor of training.batch = {}", t.micro_batch, t.batch));
  rules.check(s.kind != "one_cycle" || s.warmup_steps == 0, {"schedule.warmup_steps", "schedule.kind"},
              fmt::format("got {} with kind \"one_cycle\", expected 0: it rises by itself, see schedule.peak_at",
                          s.warmup_steps));
  rules.check(t.steps == 0 || s.warmup_steps == 0 || s.warmup_steps < t.steps,
              {"schedule.warmup_steps", "training.steps"},
              fmt::format("got {} steps of warm-up, expected fewer than training.steps = {}", s.warmup_steps, t.steps));
  const auto& at = s.step_milestones;
  rules.check(s.kind == "step" || at.empty(), {"schedule.step_milestones", "schedule.kind"},
              fmt::format("got milestones with kind \"{}\", expected none; they belong to kind \"step\"", s.kind));
  rules.check(s.kind != "step" || !at.empty(), {"schedule.kind", "schedule.step_milestones"},
              "got \"step\" without milestones, expected schedule.step_milestones = [STEP, ...]");
  const bool rising = std::adjacent_find(at.begin(), at.end(), std::greater_equal<>()) == at.end();
  rules.check(rising, {"schedule.step_milestones"}, fmt::format("got [{}], expected rising numbers", joined(at, ", ")));
  rules.check(!rising || at.empty() || t.steps == 0 || at.back() < t.steps,
              {"schedule.step_milestones", "training.steps"},
              fmt::format("got a milestone at step {}, expected all below training.steps = {}",
                          at.empty() ? 0 : at.back(), t.steps));
}

/// Examples bring their own length; told here, before anything is allocated.
void check_examples(const LoadedConfig& loaded, const Checker& rules, Problems& problems) {
  const Config& c = loaded.config;
  for (const char* split : {"train", "valid", "test"}) {
    if (!has_split(c.data.path, split) || dataset_kind(c.data.path, split) == DataKind::stream)
      continue;
    const Examples examples(c.data.path, split);
    if (rules.sound({"model.context"}) && examples.length() != c.model.context)
      problems.add(rules.where("model.context"), "model.context",
                   fmt::format("got {}, expected {}, the length of the examples in the {} split of {}", c.model.context,
                               examples.length(), split, c.data.path));
    if (rules.sound({"evaluation.minimum_context"}) && c.evaluation.minimum_context > 0)
      problems.add(rules.where("evaluation.minimum_context"), "evaluation.minimum_context",
                   fmt::format("got {}, expected 0: {} holds examples, and each is scored whole, from its first token",
                               c.evaluation.minimum_context, c.data.path));
  }
}

void check_data(const LoadedConfig& loaded, const Checker& rules, Problems& problems) {
  const std::string key = "data.path";
  const std::string& path = loaded.config.data.path;
  try {
    if (!rules.sound({"data.path"}))
      return;
    if (has_split(path, "train"))
      return check_examples(loaded, rules, problems);
  } catch (const DataError& damage) {
    return problems.add_missing_data(rules.where(key), key, damage.what());
  }
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  problems.add_missing_data(
      rules.where(key), key,
      fmt::format("got \"{}\", {}, expected a data set (train-00000-of-*.h5); weft prepare makes one", path,
                  folder ? "a folder without a training split" : "where there is no folder"));
}

} // namespace

bool is_loss_scale(double x) {
  int exponent = 0;
  return x >= least_loss_scale && x <= largest_loss_scale && std::frexp(x, &exponent) == 0.5;
}

std::vector<std::string> pattern_sets(const std::string& pattern) {
  if (pattern == "local")
    return {"local"};
  if (pattern == "strided")
    return {"local", "strided"};
  if (pattern == "fixed")
    return {"block", "summary"};
  if (pattern == "block_bidirectional")
    return {"block_bidirectional"};
  return {};
}

void validate(const LoadedConfig& loaded, DataCheck data, Problems& problems) {
  const Config& c = loaded.config;
  Checker rules(loaded, problems);
  // What the table promises; a Config changed by hand may break it.
  Config copy = c;
  for (const Key& key : keys_of(copy))
    if (!problems.names(key.name) && !limits_violation(key).empty())
      problems.add(rules.where(key.name), key.name,
                   fmt::format("{}, expected {}", limits_violation(key), expected_text(key)));
  check_run(c, rules);
  check_model(c, rules);
  check_attention(c, rules);
  check_training(c, rules);
  rules.check(c.evaluation.minimum_context < c.model.context, {"evaluation.minimum_context", "model.context"},
              fmt::format("got {} tokens, expected fewer than model.context = {}", c.evaluation.minimum_context,
                          c.model.context));
  rules.check(is_loss_scale(c.optimizer.loss_scale), {"optimizer.loss_scale"},
              fmt::format("got {}, expected a power of two such as 65536, which changes no digit of the gradients",
                          c.optimizer.loss_scale));
  try {
    parse_fault(c.debug.fault);
  } catch (const InputError& error) {
    rules.fail({"debug.fault"}, error.what());
  }
  rules.finish();
  if (data == DataCheck::required)
    check_data(loaded, rules, problems);
}

void validate(const LoadedConfig& loaded, DataCheck data) {
  Problems problems;
  validate(loaded, data, problems);
  problems.throw_if_any();
}

} // namespace weft
