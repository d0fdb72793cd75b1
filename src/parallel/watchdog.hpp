// Ends a job in which a rank died or hangs, and says which one.
#pragma once
#include "parallel/ranks.hpp"
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft {

/// A thread in every rank that watches the training thread, its own and, through small files, the others'. Each rank
/// keeps `<folder>/rank-00003` up to date, about once a second (less often above 64 ranks), and removes it at a clean
/// end. The job ends with status 1 and one message with rank, host and step where
/// - no rank has made progress for `timeout` seconds: the rank that has come to the fewest meetings (Ranks::meetings)
///   is the one that the others wait for; a rank whose file is no longer refreshed is called dead or stopped;
/// - the process of a rank on the same host is gone.
/// Time is counted in beats of the thread itself, on a steady clock: neither a changed clock nor a job that was
/// suspended as a whole counts as standing still.
class Watchdog {
 public:
  enum class Phase : int { starting, training, evaluating, saving };

  /// `folder` must exist on all hosts and hold no files of an earlier start (forget_heartbeats).
  /// timeout: seconds (60 at least before the first step); 0: the larger of 120 and 20 times the median step, 600 at
  /// least while a checkpoint is written, and before a step is done the larger of 600 and 20 times `expected_step`
  /// (seconds).
  Watchdog(const Ranks& ranks, std::string folder, double timeout, double expected_step);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Makes the folder and removes what an earlier start has left in it. On one rank, before any Watchdog is made.
  static void forget_heartbeats(const std::string& folder);

  /// The training thread has made progress: it works on this step (the first is 1).
  void beat(std::int64_t step, Phase phase);
  void beat() { ++beats_; }
  /// A step is done; its time sets the timeout by default.
  void step_took(double seconds);

  /// While it lives the training thread is in this phase.
  class During {
   public:
    During(Watchdog& dog, Phase phase) : dog_(dog), before_(dog.phase_.exchange(phase)) { dog.beat(); }
    ~During() {
      dog_.phase_ = before_;
      dog_.beat();
    }
    During(const During&) = delete;
    During& operator=(const During&) = delete;

   private:
    Watchdog& dog_;
    Phase before_;
  };

 private:
  struct Peer;
  struct Report;
  void watch(const std::stop_token& stop);
  void write_heartbeat(std::uint64_t pulse) const;
  void look_at_peers(std::vector<Peer>& peers) const;
  bool process_gone() const;
  void end_job(const std::vector<Peer>& peers) const;
  bool busy_saving();
  double limit() const;
  std::string path_of(int rank) const;

  const Ranks& ranks_;
  std::string folder_;
  double timeout_, expected_step_;
  std::atomic<std::int64_t> step_ = 0;
  std::atomic<Phase> phase_ = Phase::starting;
  std::atomic<std::uint64_t> beats_ = 0;
  mutable std::mutex times_mutex_;
  std::vector<double> times_; ///< of the last steps, in a ring
  std::size_t next_time_ = 0;
  double idle_ = 0;                 ///< seconds since the training thread's last progress
  std::uint64_t written_bytes_ = 0; ///< by this process, as last seen
  std::jthread thread_;
};

} // namespace weft
