// When a run stops or saves on request. All ranks come to the same answer at the same moment.
#pragma once
#include "parallel/ranks.hpp"
#include <chrono>
#include <string>

namespace weft {

/// Requests come as signals to any rank (training/signals.hpp), as files STOP and CHECKPOINT in the run folder, and
/// from run.max_minutes. Only rank 0 looks for files and at the clock, which is a steady one and counts from the
/// start of the program; it looks for each file at most once a second.
class StopRequests {
 public:
  /// max_minutes: 0 for no limit.
  StopRequests(const Ranks& ranks, std::string run_folder, double max_minutes);

  /// Whether to stop now. All ranks call it together and get the same answer; costs one sum of an integer over ranks.
  /// Once true it stays true.
  bool stop_asked();
  /// Whether a checkpoint was asked for since the last call of this function, as stop_asked() has found.
  bool checkpoint_asked();
  /// "SIGTERM", "file STOP", ...: who asked to stop.
  std::string reason() const;
  /// The request is fulfilled: removes the file STOP, which would stop the next start, too.
  void fulfilled();

 private:
  int look();
  const Ranks& ranks_;
  std::string folder_;
  double seconds_;
  std::chrono::steady_clock::time_point next_look_{};
  int stop_ = 0; ///< what asked; see stop.cpp
  bool checkpoint_ = false;
};

} // namespace weft
