#include "commands/provenance.hpp"
#include "config/version.hpp"
#include "io/atomic_file.hpp"
#include "io/json.hpp"
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <string_view>

namespace weft {
namespace {

// The frame around the records: what append_provenance writes, and by which it knows its own file again.
constexpr std::string_view head = "{\n  \"format_version\": 1,\n  \"starts\": [\n    ", tail = "\n  ]\n}\n";
// How a record ends whose start has not ended yet.
constexpr std::string_view ended = "\"ended\": ", not_ended = "null\n    }";

/// The records between head and tail, or nothing where the file is of another form.
std::optional<std::string> records_of(const std::string& path) {
  const std::string text = read_file(path);
  const std::string_view view = text;
  if (view.size() <= head.size() + tail.size() || view.substr(0, head.size()) != head ||
      view.substr(view.size() - tail.size()) != tail)
    return std::nullopt;
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

/// The text of a JSON string that begins behind `name` after `from`.
std::string text_after(const std::string& json, std::string_view name, std::size_t from) {
  std::string text;
  std::size_t at = json.find(name, from);
  if (at == std::string::npos)
    return text;
  for (at += name.size(); at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\' && json.compare(at, 4, "\\u00") == 0 &&
        at + 5 < json.size()) { // json_text's control characters
      text += static_cast<char>(std::strtol(json.substr(at + 2, 4).c_str(), nullptr, 16));
      at += 5;
      continue;
    }
    at += json[at] == '\\' && at + 1 < json.size() ? 1 : 0;
    text += json[at];
  }
  return text;
}

/// How the last of the records ended; empty where it has not.
std::string end_of(const std::string& records) {
  const std::size_t last = records.rfind(ended);
  if (last == std::string::npos || records.compare(last + ended.size(), 4, "null") == 0)
    return "";
  return text_after(records, "\"text\": \"", last);
}

} // namespace

std::vector<std::pair<std::string, std::string>> slurm_environment() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const char* name : {"SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
                           "SLURM_JOB_PARTITION", "SLURM_JOB_NODELIST"})
    if (const char* value = std::getenv(name))
      all.emplace_back(name, value);
  return all;
}

std::string why_started(const std::string& path) {
  if (!std::filesystem::exists(path))
    return "new";
  const std::optional<std::string> records = records_of(path);
  if (!records)
    return "after a start whose record is damaged";
  const std::string end = end_of(*records);
  if (end.empty())
    return "after a start that left no end: it was killed, it crashed, or its node was lost";
  return "after " + end;
}

std::string how_ended(const std::string& path) {
  if (!std::filesystem::is_regular_file(path))
    return "";
  const std::optional<std::string> records = records_of(path);
  return records ? end_of(*records) : "";
}

Attributes checkpoint_attributes(const Start& s) {
  const Version& v = version();
  Attributes all{{"version", v.version},
                 {"build_type", v.build_type},
                 {"compiler", v.compiler},
                 {"flags", v.flags},
                 {"build_options", v.options},
                 {"hosts", fmt::format("{}", fmt::join(s.hosts, " "))},
                 {"threads", std::int64_t{s.threads}},
                 {"devices", fmt::format("{}", fmt::join(s.devices, "; "))},
                 {"seed", s.seed},
                 {"data_path", s.data_path},
                 {"data_sha256", s.data_sha256},
                 {"started", s.started},
                 {"start_reason", s.why},
                 {"resumed_from_step", s.resumed_from_step}};
  std::string libraries;
  for (const auto& [name, number] : v.libraries)
    libraries += (libraries.empty() ? "" : "; ") + name + " " + number;
  all["libraries"] = libraries;
  for (const auto& [name, value] : slurm_environment()) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    all[lower] = value;
  }
  return all;
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string provenance_json(const Start& s) {
  const Version& v = version();
  JsonObject libraries("      ");
  for (const auto& [name, number] : v.libraries)
    libraries.add(name, json_text(number));
  JsonObject out("    ");
  out.add("started", json_text(s.started)).add("command", json_list(s.command));
  out.add("version", json_text(v.version)).add("commit", json_text(v.commit)).add("dirty", v.dirty ? "true" : "false");
  out.add("build_type", json_text(v.build_type))
      .add("compiler", json_text(v.compiler))
      .add("flags", json_text(v.flags));
  out.add("options", json_text(v.options)).add("libraries", libraries.json());
  out.add("hosts", json_list(s.hosts)).add("ranks", std::to_string(s.ranks)).add("threads", std::to_string(s.threads));
  out.add("devices", json_list(s.devices)).add("seed", std::to_string(s.seed));
  JsonObject slurm("      ");
  for (const auto& [name, value] : slurm_environment())
    slurm.add(name, json_text(value));
  out.add("slurm", slurm_environment().empty() ? "null" : slurm.json());
  out.add("config_sha256", json_text(s.config_sha256));
  out.add("config", s.config.empty() ? "null" : json_lines(s.config, "      "));
  out.add("changes", s.changes.empty() ? "null" : json_lines(s.changes, "      "));
  out.add("data_path", json_text(s.data_path)).add("data_sha256", json_text(s.data_sha256));
  out.add("resumed_from_step", s.resumed_from_step < 0 ? "null" : std::to_string(s.resumed_from_step));
  out.add("checkpoint", s.checkpoint.empty() ? "null" : json_text(s.checkpoint));
  JsonObject initial("      ");
  initial.add("checkpoint", json_text(s.initial.checkpoint)).add("step", std::to_string(s.initial.step));
  initial.add("parts", json_text(s.initial.parts));
  out.add("init_from", s.initial.checkpoint.empty() ? "null" : initial.json());
  out.add("why", json_text(s.why));
  out.add("ended", "null"); // the last one: end_provenance() knows it there
  return out.json();
}

void append_provenance(const std::string& path, const Start& start) {
  std::string records;
  if (std::filesystem::exists(path)) {
    if (const std::optional<std::string> old = records_of(path))
      records = *old + ",\n    ";
    else
      std::filesystem::rename(path, path + ".damaged-" + start.started);
  }
  replace_file(path, fmt::format("{}{}{}{}", head, records, provenance_json(start), tail));
}

void end_provenance(const std::string& path, const End& end) {
  if (!std::filesystem::exists(path))
    return;
  std::optional<std::string> records = records_of(path);
  const std::string open = fmt::format("{}{}", ended, not_ended);
  if (!records || records->size() < open.size() || records->substr(records->size() - open.size()) != open)
    return;
  JsonObject out("      ");
  out.add("time", json_text(utc_now())).add("step", std::to_string(end.step));
  out.add("status", std::to_string(end.status)).add("why", json_text(end.why));
  out.add("text", json_text(fmt::format("{} at step {} (status {})", end.why, end.step, end.status)));
  records->resize(records->size() - not_ended.size());
  replace_file(path, fmt::format("{}{}{}\n    }}{}", head, *records, out.json(), tail));
}

} // namespace weft
