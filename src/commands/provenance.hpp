// provenance.json: where a run's numbers come from, one record per start, and how each start ended. The essentials are
// in every checkpoint too.
#pragma once
#include "io/hdf5.hpp"
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
  std::vector<std::string> devices; ///< Runtime::description() of every rank
  std::int64_t seed = 0;
  std::string config_sha256;           ///< of the resolved input (to_toml)
  std::string data_path, data_sha256;  ///< attribute source_sha256 of the data set
  std::int64_t resumed_from_step = -1; ///< -1: started from new weights
  std::string checkpoint;              ///< the file it resumed from; empty: none
  /// model.init_from of new weights: the checkpoint (empty: none), what of it, and the step that it was written at.
  struct {
    std::string checkpoint, parts;
    std::int64_t step = 0;
  } initial;
  /// The resolved input as "section.key = value", of the first start; of a later one only `changes`, in the words of
  /// setting_changes() against config.toml. Empty: as before.
  std::vector<std::string> config, changes;
  std::string why; ///< why_started()
};

/// How a start ended.
struct End {
  std::int64_t step = 0; ///< optimiser steps taken by then, over all starts
  int status = 0;        ///< exit status
  std::string why;       ///< "finished", "SIGTERM", the text of an error
};

/// What the Slurm job says of itself: SLURM_JOB_ID, SLURM_RESTART_COUNT, ... as name and value, those that are set.
std::vector<std::pair<std::string, std::string>> slurm_environment();

/// "2026-01-31T12:00:00Z".
std::string utc_now();

/// Why a start happens, from the end of the one before: "new", "after SIGTERM at step 120 (status 75)", or that the one
/// before left no end, as a killed process does. `path`: of provenance.json, which need not exist.
std::string why_started(const std::string& path);

/// How the last start ended: "finished at step 60 (status 0)"; empty where it left no end, or `path` tells nothing.
std::string how_ended(const std::string& path);

/// What every checkpoint says of the start that wrote it (docs/checkpoint.md).
Attributes checkpoint_attributes(const Start& start);

/// One JSON object.
std::string provenance_json(const Start& start);

/// Adds the start to the JSON file {"format_version": 1, "starts": [...]}; makes the file if there is none. Written to
/// a temporary name, synced, renamed. A file of another form is moved aside (".damaged-" and the time), never
/// overwritten. Throws Error.
void append_provenance(const std::string& path, const Start& start);

/// Enters the end of the last start. Nothing is done where the file is gone, of another form, or has that end already.
void end_provenance(const std::string& path, const End& end);

} // namespace weft
