// provenance.json: where a run's numbers come from, one record per start.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weft {

/// What only the running program knows; version, commit, compiler and libraries are added from config/version.hpp.
struct Start {
  std::string started;              ///< utc_now() when the program began
  std::vector<std::string> command; ///< argv
  std::vector<std::string> hosts;   ///< one per rank, in rank order
  int ranks = 1, threads = 1;       ///< threads per rank
  std::string device;               ///< Runtime::description()
  std::int64_t seed = 0;
  std::string config_sha256;           ///< of the resolved input (to_toml)
  std::string data_path, data_sha256;  ///< attribute source_sha256 of the data set
  std::int64_t resumed_from_step = -1; ///< -1: started from new weights
  std::string checkpoint;              ///< the file it resumed from; empty: none
};

/// What the Slurm job says of itself: SLURM_JOB_ID, SLURM_RESTART_COUNT, ... as name and value, those that are set.
std::vector<std::pair<std::string, std::string>> slurm_environment();

/// "2026-01-31T12:00:00Z".
std::string utc_now();

/// One JSON object.
std::string provenance_json(const Start& start);

/// Adds the start to the JSON file {"format_version": 1, "starts": [...]}; makes the file if there is none. Written to
/// a temporary name, synced, renamed. A file of another form is moved aside (".damaged-" and the time), never
/// overwritten. Throws Error.
void append_provenance(const std::string& path, const Start& start);

} // namespace weft
