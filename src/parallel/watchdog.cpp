#include "parallel/watchdog.hpp"
#include "io/console.hpp"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <unistd.h>
#include <utility>

namespace weft {

namespace {
/// Seconds without a new heartbeat after which a rank is called silent: every rank writes one a second, or 64 a second
/// all together.
double silence_of(int ranks) { return std::max(1.5, ranks / 64.0 + 0.5); }
using Clock = std::chrono::steady_clock;
constexpr double tick = 0.25; // seconds
constexpr const char* phase_names[] = {"starting", "training", "evaluating", "writing a checkpoint"};
constexpr std::size_t most_times = 101;

/// A zombie is gone, too: its launcher has not asked for it yet.
bool is_gone(pid_t process) {
  if (kill(process, 0) != 0)
    return errno == ESRCH;
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != text.npos && text.size() > name_end + 2 &&
         (text[name_end + 2] == 'Z' || text[name_end + 2] == 'X');
}
} // namespace

/// What a heartbeat file says.
struct Watchdog::Report {
  std::int64_t step = 0;
  int phase = 0;
  std::uint64_t meetings = 0, pulse = 0;
  int waiting = 0;
  double idle = 0, limit = 0;
  int process = 0;
  std::string host;
};

struct Watchdog::Peer {
  int rank = 0;
  bool known = false; ///< its file was read once
  Report report;
  double unchanged = 0; ///< seconds since the file was seen to change
  double idle() const { return report.idle + unchanged; }
};

Watchdog::Watchdog(const Ranks& ranks, std::string folder, double timeout, double expected_step)
    : ranks_(ranks), folder_(std::move(folder)), timeout_(timeout), expected_step_(expected_step) {
  write_heartbeat(0);
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

Watchdog::~Watchdog() {
  thread_.request_stop();
  thread_.join();
  unlink(path_of(ranks_.rank()).c_str());
}

void Watchdog::forget_heartbeats(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::create_directories(folder, ignored);
}

void Watchdog::beat(std::int64_t step, Phase phase) {
  step_ = step;
  phase_ = phase;
  ++beats_;
}

void Watchdog::step_took(double seconds) {
  const std::lock_guard lock(times_mutex_);
  if (times_.size() < most_times)
    times_.push_back(seconds);
  else
    times_[next_time_++ % most_times] = seconds;
}

double Watchdog::limit() const {
  if (timeout_ > 0) // a person who thinks of steps does not think of reading checkpoints
    return phase_ == Phase::starting ? std::max(timeout_, 60.0) : timeout_;
  std::vector<double> times;
  {
    const std::lock_guard lock(times_mutex_);
    times = times_;
  }
  double most = std::max(600.0, 20 * expected_step_);
  if (!times.empty()) {
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    most = std::max(120.0, 20 * *middle);
  }
  return phase_ == Phase::saving || phase_ == Phase::starting ? std::max(most, 600.0) : most;
}

std::string Watchdog::path_of(int rank) const { return fmt::format("{}/rank-{:05}", folder_, rank); }

void Watchdog::write_heartbeat(std::uint64_t pulse) const {
  const std::string path = path_of(ranks_.rank()), temporary = path + ".new";
  std::FILE* file = std::fopen(temporary.c_str(), "w");
  if (file == nullptr)
    return; // a full or lost disk is told by those who write what matters
  fmt::print(file, "step {} phase {} meetings {} waiting {} idle {:.2f} limit {:.2f} pulse {} process {} host {}\n",
             step_.load(), static_cast<int>(phase_.load()), ranks_.meetings(), static_cast<int>(ranks_.waiting()),
             idle_, limit(), pulse, getpid(), Ranks::host());
  const bool written = std::fflush(file) == 0;
  std::fclose(file);
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0)
    unlink(temporary.c_str());
}

void Watchdog::look_at_peers(std::vector<Peer>& peers) const {
  for (Peer& peer : peers) {
    std::ifstream file(path_of(peer.rank));
    Report now;
    std::string word;
    file >> word >> now.step >> word >> now.phase >> word >> now.meetings >> word >> now.waiting >> word >> now.idle >>
        word >> now.limit >> word >> now.pulse >> word >> now.process >> word >> now.host;
    if (!file || (peer.known && now.pulse == peer.report.pulse))
      continue;
    peer.report = now;
    peer.unchanged = 0;
    peer.known = true;
  }
}

/// A rank on this host that has not taken its file away and has no process any more: told, and true.
bool Watchdog::process_gone() const {
  for (const Ranks::Neighbour& neighbour : ranks_.neighbours()) {
    if (!is_gone(neighbour.process) || access(path_of(neighbour.rank).c_str(), F_OK) != 0)
      continue;
    print_error("", fmt::format("rank {} ({}, process {}) has died; rank {}, which tells it, is in step {}",
                                neighbour.rank, Ranks::host(), neighbour.process, ranks_.rank(), step_.load()));
    std::fflush(stderr);
    return true;
  }
  return false;
}

/// While a checkpoint is written, bytes that go out and time spent on digests are progress, too.
bool Watchdog::busy_saving() {
  if (phase_ != Phase::saving || ranks_.waiting())
    return false;
  std::ifstream file("/proc/self/io");
  std::string name;
  std::uint64_t value = 0, bytes = static_cast<std::uint64_t>(std::clock() / CLOCKS_PER_SEC);
  while (file >> name >> value)
    if (name == "wchar:" || name == "rchar:")
      bytes += value / 65536; // the heartbeats themselves do not count
  return std::exchange(written_bytes_, bytes) != bytes;
}

void Watchdog::watch(const std::stop_token& stop) {
  std::vector<Peer> peers(static_cast<std::size_t>(ranks_.size()));
  for (int r = 0; r < ranks_.size(); ++r)
    peers[static_cast<std::size_t>(r)].rank = r;
  const double interval = std::max(1.0, ranks_.size() / 64.0); // the job's files together: 64 a second at most
  std::uint64_t pulse = 0, progress = 0;
  double since_heartbeat = 0, since_look = 0;
  Clock::time_point last = Clock::now();
  std::mutex mutex;
  std::condition_variable_any wake;
  for (std::unique_lock lock(mutex); !stop.stop_requested();) {
    wake.wait_for(lock, stop, std::chrono::duration<double>(tick), [] { return false; });
    if (stop.stop_requested())
      return;
    const Clock::time_point now = Clock::now();
    // Not more than two ticks: if this thread did not run, the process was stopped, and perhaps the whole job.
    const double passed = std::min(2 * tick, std::chrono::duration<double>(now - last).count());
    last = now;
    const std::uint64_t seen = beats_ + ranks_.meetings();
    const bool moved = std::exchange(progress, seen) != seen || busy_saving();
    idle_ = moved ? 0 : idle_ + passed;
    for (Peer& peer : peers)
      peer.unchanged += passed;
    since_heartbeat += passed;
    since_look += passed;
    if (since_heartbeat >= interval) {
      write_heartbeat(++pulse);
      since_heartbeat = 0;
    }
    if (ranks_.size() > 1 && process_gone())
      _exit(1); // not through MPI: another thread may be inside it. The launcher ends the other ranks.
    const double most = limit();
    if (idle_ < std::min(most / 4, 30.0))
      continue;
    if (since_look >= std::min(interval, most / 8)) {
      look_at_peers(peers);
      since_look = 0;
    }
    double idle = idle_, allowed = most;
    for (const Peer& peer : peers)
      if (peer.known && peer.rank != ranks_.rank()) {
        idle = std::min(idle, peer.idle());
        if (peer.unchanged <= silence_of(ranks_.size())) // what a silent one was allowed when it last spoke is past
          allowed = std::max(allowed, peer.report.limit);
      }
    if (idle >= allowed)
      end_job(peers);
  }
}

void Watchdog::end_job(const std::vector<Peer>& peers) const {
  std::vector<Peer> all = peers;
  Peer& self = all[static_cast<std::size_t>(ranks_.rank())];
  self.known = true;
  self.unchanged = 0;
  self.report.step = step_;
  self.report.phase = static_cast<int>(phase_.load());
  self.report.meetings = ranks_.meetings();
  self.report.waiting = ranks_.waiting();
  self.report.idle = idle_;
  self.report.process = getpid();
  self.report.host = Ranks::host();
  const double silent = silence_of(ranks_.size());
  // Who is behind: ranks that give no sign any more, else those not yet at the meeting where the others wait.
  std::string behind;
  const auto place = [](const Peer& p) { return p.report.meetings * 2 + static_cast<std::uint64_t>(p.report.waiting); };
  std::uint64_t least = ~std::uint64_t{0};
  bool silence = false;
  for (const Peer& peer : all) {
    const bool dead = !peer.known || peer.unchanged > silent;
    silence = silence || dead;
    if (!dead)
      least = std::min(least, place(peer));
  }
  int speaker = -1;
  for (const Peer& peer : all) {
    const bool dead = !peer.known || peer.unchanged > silent;
    if (!dead && (silence || place(peer) > least)) {
      speaker = speaker < 0 ? peer.rank : speaker;
      continue;
    }
    const std::string who =
        peer.known ? fmt::format("{}, process {}", peer.report.host, peer.report.process) : "host unknown";
    const std::string what =
        dead ? "gives no sign of life: it died, is stopped, or its host is lost; last heard of in step {}, {}"
             : "is behind: it hangs in step {}, {}";
    behind += fmt::format("{}rank {} ({}) ", behind.empty() ? "" : "; ", peer.rank, who) +
              fmt::format(fmt::runtime(what), peer.report.step, phase_names[std::clamp(peer.report.phase, 0, 3)]);
  }
  // One rank speaks, one that is not behind if there is one; the others give it a moment.
  if (speaker < 0)
    speaker = 0;
  if (speaker != ranks_.rank())
    std::this_thread::sleep_for(std::chrono::seconds(2));
  print_error("", fmt::format("no rank has made progress for {:.0f} s (parallel.timeout); {}; told by rank {}", limit(),
                              behind, ranks_.rank()));
  std::fflush(stderr);
  _exit(1);
}

} // namespace weft
