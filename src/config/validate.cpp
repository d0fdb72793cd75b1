#include "config/validate.hpp"
#include "config/checker.hpp"
#include "config/families.hpp"
#include "config/fault.hpp"
#include "config/keys.hpp"
#include "io/error.hpp"
#include "io/shards.hpp"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

namespace weft {
namespace {

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
  rules.check(std::all_of(c.run.directory.begin(), c.run.directory.end(),
                          [](char x) { return static_cast<unsigned char>(x) >= 0x20 && x != 0x7f; }),
              {"run.directory"}, "got a path with a line break or another control character, expected one without");
}

void check_rows(const Config& c, Checker& rules) {
  const auto& d = c.data;
  rules.check(d.max_length == 0 || d.min_length <= d.max_length, {"data.min_length", "data.max_length"},
              fmt::format("got {} to {} tokens, expected a smallest length of at most the largest", d.min_length,
                          d.max_length));
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
  rules.check(s.initial_factor == 0 || s.warmup_steps > 1 || !rules.reads("schedule.initial_factor"),
              {"schedule.initial_factor", "schedule.warmup_steps"},
              fmt::format("got {} with {} steps of warm-up, expected two or more, which rise from it", s.initial_factor,
                          s.warmup_steps));
  // rsqrt goes on where its warm-up ends, at whatever step; the arena's Retrieval stops before.
  rules.check(t.steps == 0 || s.warmup_steps == 0 || s.warmup_steps < t.steps || s.kind == "rsqrt",
              {"schedule.warmup_steps", "training.steps"},
              fmt::format("got {} steps of warm-up, expected fewer than training.steps = {}", s.warmup_steps, t.steps));
  rules.check(s.kind != "rsqrt" || s.warmup_steps > 0, {"schedule.kind", "schedule.warmup_steps"},
              "got \"rsqrt\" without a warm-up, expected schedule.warmup_steps >= 1, at which it turns");
  const auto& o = c.optimizer;
  for (const auto& [key, value] :
       {std::pair("optimizer.learning_rate", o.learning_rate), std::pair("optimizer.epsilon", o.epsilon)})
    rules.check(value <= 0 || std::isnormal(static_cast<float>(value)), {key},
                fmt::format("got {}, expected a number from 1.2e-38 to 3.4e38, which single precision holds", value));
  const auto& at = s.step_milestones;
  rules.check(s.kind == "step" || at.empty(), {"schedule.step_milestones", "schedule.kind"},
              fmt::format("got milestones with kind \"{}\", expected none; they belong to kind \"step\"", s.kind));
  rules.check(s.kind != "step" || at.empty() == (s.step_every > 0), {"schedule.kind", "schedule.step_milestones"},
              at.empty() ? "got \"step\" without milestones, expected schedule.step_milestones = [STEP, ...], or "
                           "schedule.step_every"
                         : "got step_milestones and step_every, expected one of them");
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
  if (task_row(c.data.task).classes) // rows of any length up to the context
    return;
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
    if (!rules.sound({"data.path", "data.task"}))
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
  check_rows(c, rules);
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
