#include "commands/evaluation_record.hpp"
#include "commands/class_tables.hpp"
#include "config/keys.hpp"
#include "config/readers.hpp"
#include "config/resolved.hpp"
#include "config/version.hpp"
#include "io/console.hpp"
#include "io/json.hpp"
#include <fmt/format.h>
#include <numbers>

namespace weft {

namespace {

/// The keys that say what a query sees, as JSON: numbers and true or false as they are, everything else as text.
std::string attention_json(const Config& used) {
  Config copy = used;
  JsonObject out("  ");
  for (const Key& key : keys_of(copy))
    if (key.shapes == Shapes::attention) {
      const bool plain = std::holds_alternative<bool*>(key.value) || std::holds_alternative<std::int64_t*>(key.value);
      out.add(key.last(), plain ? value_text(key) : json_text(plain_text(key)));
    }
  return out.json();
}

} // namespace

std::vector<std::string> attention_differences(const Config& trained, const Config& used) {
  return differences(trained, used, Shapes::attention, "trained with", "used");
}

std::vector<std::string> other_differences(const EvaluationRecord& record, const Config& trained, const Config& used) {
  std::vector<std::string> out;
  if (!record.trained_data_sha256.empty() && record.trained_data_sha256 != record.data_sha256)
    out.push_back(fmt::format("data: trained on {}, used {}, of another source", trained.data.path, used.data.path));
  if (trained.model.context != used.model.context)
    out.push_back(fmt::format("model.context: trained with {}, used {}", trained.model.context, used.model.context));
  if (trained.run.precision != used.run.precision)
    out.push_back(fmt::format("run.precision: trained with {}, used {}", trained.run.precision, used.run.precision));
  return out;
}

namespace {
/// The beginning of a digest. A data set may say anything there, and this becomes part of a file's name.
std::string plain_digest(const std::string& digest) {
  const std::string head = digest.substr(0, 8);
  return head.find_first_not_of("0123456789abcdef") == std::string::npos ? head : "unknown";
}
} // namespace

std::string record_name(const EvaluationRecord& record, const Config& trained, const Config& used) {
  std::string name = fmt::format("{}-m{}", record.split, used.evaluation.minimum_context);
  if (record.best)
    name += "-best";
  if (!attention_differences(trained, used).empty()) {
    name += fmt::format("-{}-l{}", used.attention.pattern, used.attention.stride);
    if (is_read(used, "attention.rounds"))
      name += fmt::format("-r{}", used.attention.rounds);
    if (is_read(used, "attention.score"))
      name += "-" + used.attention.score;
  }
  if (trained.model.context != used.model.context)
    name += fmt::format("-n{}", used.model.context);
  if (trained.run.precision != used.run.precision)
    name += "-" + used.run.precision;
  if (!record.trained_data_sha256.empty() && record.trained_data_sha256 != record.data_sha256)
    name += "-data" + plain_digest(record.data_sha256);
  if (used.evaluation.max_windows > 0)
    name += fmt::format("-first{}", used.evaluation.max_windows);
  return name + ".json";
}

std::string record_json(const EvaluationRecord& record, const Config& trained, const Config& used,
                        const Evaluation& result) {
  JsonObject out;
  out.add("format_version", "1")
      .add("time", json_text(record.time))
      .add("commit", json_text(version().commit_text()))
      .add("checkpoint", json_text(record.checkpoint))
      .add("best", record.best ? "true" : "false")
      .add("step", std::to_string(record.step))
      .add("data", json_text(used.data.path))
      .add("data_sha256", json_text(record.data_sha256))
      .add("split", json_text(record.split))
      .add("context", std::to_string(used.model.context))
      .add("minimum_context", std::to_string(used.evaluation.minimum_context))
      .add("max_windows", std::to_string(used.evaluation.max_windows))
      .add("attention", attention_json(used))
      .add("as_trained", other_differences(record, trained, used).empty() ? "true" : "false")
      .add("loss", json_number(result.loss));
  if (result.classes > 0)
    out.add("accuracy", json_number(result.accuracy))
        .add("examples", std::to_string(result.scored))
        .add("confusion", confusion_json(result));
  else
    out.add("bits", json_number(result.bits()))
        .add("accuracy", json_number(result.accuracy))
        .add("tokens", std::to_string(result.scored));
  return out.json() + "\n";
}

std::string by_position_csv(const Evaluation& result) {
  std::string out = "context,bits,count\n";
  for (std::size_t i = 0; i < result.loss_at.size(); ++i)
    if (result.tokens_at[i] > 0)
      out += fmt::format("{},{:.6f},{:.0f}\n", i, result.loss_at[i] / result.tokens_at[i] / std::numbers::ln2,
                         result.tokens_at[i]);
  return out;
}

std::string by_position_table(const Evaluation& result) {
  Table table("bits by context: tokens of the window before the scored one");
  for (std::size_t first = 0, last = 1; first < result.loss_at.size(); first = last, last = 2 * last) {
    double loss = 0, tokens = 0;
    const std::size_t end = std::min(last, result.loss_at.size());
    for (std::size_t i = first; i < end; ++i) {
      loss += result.loss_at[i];
      tokens += result.tokens_at[i];
    }
    if (tokens > 0)
      table.row(end - first > 1 ? fmt::format("{} .. {}", first, end - 1) : std::to_string(first),
                fmt::format("{:.4f} bits  over {} tokens", loss / tokens / std::numbers::ln2,
                            exact_count(static_cast<std::int64_t>(tokens))));
  }
  return table.text();
}

} // namespace weft
