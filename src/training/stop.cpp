#include "training/stop.hpp"
#include "training/signals.hpp"
#include <algorithm>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weft {

namespace {
using Clock = std::chrono::steady_clock;
const Clock::time_point program_start = Clock::now();

// One integer holds all that the ranks have to agree on, the strongest wish being the largest number.
enum : int { nothing = 0, checkpoint_file = 1, time_is_up = 2, stop_file = 3, signal_base = 4 };

bool exists(const std::string& path) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0;
}
} // namespace

StopRequests::StopRequests(const Ranks& ranks, std::string run_folder, double max_minutes)
    : ranks_(ranks), folder_(std::move(run_folder)),
      seconds_(max_minutes > 0 ? 60 * max_minutes : std::numeric_limits<double>::infinity()) {}

int StopRequests::look() {
  if (stop_signal() != 0)
    return signal_base + stop_signal();
  if (!ranks_.root())
    return nothing;
  const Clock::time_point now = Clock::now();
  if (now >= next_look_) {
    next_look_ = now + std::chrono::seconds(1);
    if (exists(folder_ + "/STOP"))
      return stop_file;
    const std::string file = folder_ + "/CHECKPOINT";
    // Removed before the checkpoint is taken: a second wish while it is written is a wish for another one.
    if (exists(file) && unlink(file.c_str()) == 0)
      return checkpoint_file;
  }
  return std::chrono::duration<double>(now - program_start).count() >= seconds_ ? time_is_up : nothing;
}

bool StopRequests::stop_asked() {
  const int wish = ranks_.maximum(look());
  checkpoint_ = checkpoint_ || wish == checkpoint_file;
  if (wish > checkpoint_file)
    stop_ = std::max(stop_, wish);
  return stop_ != nothing;
}

bool StopRequests::checkpoint_asked() { return std::exchange(checkpoint_, false); }

std::string StopRequests::reason() const {
  if (stop_ == time_is_up)
    return "run.max_minutes is over";
  if (stop_ == stop_file)
    return "file STOP in the run folder";
  return signal_text(stop_ - signal_base);
}

void StopRequests::fulfilled() {
  if (ranks_.root())
    unlink((folder_ + "/STOP").c_str());
}

} // namespace weft
