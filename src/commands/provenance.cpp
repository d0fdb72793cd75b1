#include "commands/provenance.hpp"
#include "config/version.hpp"
#include "io/atomic_file.hpp"
#include "io/json.hpp"
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <string_view>

namespace weft {
namespace {

// The frame around the records: what append_provenance writes, and by which it knows its own file again.
constexpr std::string_view head = "{\n  \"format_version\": 1,\n  \"starts\": [\n    ", tail = "\n  ]\n}\n";

} // namespace

std::vector<std::pair<std::string, std::string>> slurm_environment() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const char* name : {"SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
                           "SLURM_JOB_PARTITION", "SLURM_JOB_NODELIST"})
    if (const char* value = std::getenv(name))
      all.emplace_back(name, value);
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
  out.add("device", json_text(s.device)).add("seed", std::to_string(s.seed));
  JsonObject slurm("      ");
  for (const auto& [name, value] : slurm_environment())
    slurm.add(name, json_text(value));
  out.add("slurm", slurm_environment().empty() ? "null" : slurm.json());
  out.add("config_sha256", json_text(s.config_sha256));
  out.add("data_path", json_text(s.data_path)).add("data_sha256", json_text(s.data_sha256));
  out.add("resumed_from_step", s.resumed_from_step < 0 ? "null" : std::to_string(s.resumed_from_step));
  out.add("checkpoint", s.checkpoint.empty() ? "null" : json_text(s.checkpoint));
  return out.json();
}

void append_provenance(const std::string& path, const Start& start) {
  std::string records;
  if (std::filesystem::exists(path)) {
    const std::string old = read_file(path);
    const std::string_view view = old;
    const bool ours = view.size() > head.size() + tail.size() && view.substr(0, head.size()) == head &&
                      view.substr(view.size() - tail.size()) == tail;
    if (ours)
      records = old.substr(head.size(), old.size() - head.size() - tail.size()) + ",\n    ";
    else
      std::filesystem::rename(path, path + ".damaged-" + start.started);
  }
  replace_file(path, fmt::format("{}{}{}{}", head, records, provenance_json(start), tail));
}

} // namespace weft
