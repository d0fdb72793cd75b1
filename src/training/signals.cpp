#include "training/signals.hpp"
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <pthread.h>
#include <unistd.h>

namespace weft {

namespace {
std::atomic<int> first_signal = 0;

/// One rank of a job speaks, at once: a step may take minutes.
void acknowledge(int signal) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name); rank != nullptr && std::atoi(rank) != 0)
      return;
  const std::string text = "weft: " + signal_text(signal) + ": finishing this step, then a checkpoint" +
                           (signal == SIGINT ? "; Ctrl-C once more ends now, without one\n" : "\n");
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

void watch(const std::stop_token& stop, const sigset_t& wanted) {
  const timespec patience = {0, 50'000'000};
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> interrupted;
  while (!stop.stop_requested()) {
    const int signal = sigtimedwait(&wanted, nullptr, &patience);
    if (signal < 0) // nothing came
      continue;
    // mpirun passes on the signal that the terminal gives to every process: within a second it is one decision.
    if (signal == SIGINT && interrupted && Clock::now() - *interrupted > std::chrono::seconds(1)) {
      pthread_sigmask(SIG_UNBLOCK, &wanted, nullptr);
      raise(SIGINT); // its default action: the end
    }
    if (signal == SIGINT && !interrupted)
      interrupted = Clock::now();
    int none = 0;
    if (first_signal.compare_exchange_strong(none, signal))
      acknowledge(signal);
  }
}
} // namespace

StopSignals::StopSignals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2})
    sigaddset(&wanted, signal);
  if (struct sigaction hangup{}; sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
    sigaddset(&wanted, SIGHUP);  // the terminal is closed; nohup has it ignored
  std::signal(SIGXFSZ, SIG_IGN); // a file that must not grow is a write that fails, and is told as one
  std::signal(SIGPIPE, SIG_IGN); // nobody reads what the run prints; run.log and the checkpoints are what counts
  first_signal = 0;
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  watch_ = std::jthread([wanted](const std::stop_token& stop) { watch(stop, wanted); });
}

StopSignals::~StopSignals() {
  watch_.request_stop();
  watch_.join();
  // How the process ends is decided: a scheduler that repeats its request must not turn status 75 into a death. Only
  // Ctrl-C counts again.
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
}

int stop_signal() { return first_signal; }

std::string signal_text(int signal) {
  switch (signal) {
  case SIGTERM:
    return "SIGTERM";
  case SIGINT:
    return "SIGINT";
  case SIGHUP:
    return "SIGHUP";
  case SIGUSR1:
    return "SIGUSR1";
  case SIGUSR2:
    return "SIGUSR2";
  default:
    return "signal " + std::to_string(signal);
  }
}

} // namespace weft
