// The folder runs/<name>/ of a run (docs/files.md) and what a start finds there.
#pragma once
#include "config/config.hpp"
#include <string>
#include <vector>

namespace weft {

struct RunFolder {
  std::string path; ///< <run.directory>/<run.name>

  explicit RunFolder(const Config& config) : path(config.run.directory + "/" + config.run.name) {}
  explicit RunFolder(std::string folder) : path(std::move(folder)) {}
  std::string checkpoints() const { return path + "/checkpoints"; }
  std::string best() const { return checkpoints() + "/best.h5"; }
  std::string metrics() const { return path + "/metrics.h5"; }
  std::string config() const { return path + "/config.toml"; }
  std::string log() const { return path + "/run.log"; }
  std::string idle_restarts() const { return path + "/idle_restarts"; }
  std::string provenance() const { return path + "/provenance.json"; }
  std::string evaluations() const { return path + "/evaluations"; }
  std::string heartbeats() const { return path + "/heartbeat"; } ///< while it runs; parallel/watchdog.hpp
  std::string tensorboard() const { return path + "/tb"; }
};

/// What to start from. Called on one rank; the others get the result by broadcast.
struct StartingPoint {
  std::string checkpoint;         ///< empty: new weights
  std::vector<std::string> notes; ///< what a person should know
};

/// Finds the newest good checkpoint. With run.fresh an existing folder is moved aside (never deleted) and the start is
/// a new one. The caller holds the folder's lock (io/folder_lock.hpp); a folder with nothing but the lock is no run.
/// Throws DataError (status 4) where checkpoints exist and none of them is good.
StartingPoint find_start(const Config& config);

} // namespace weft
