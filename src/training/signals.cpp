#include "training/signals.hpp"
#include <atomic>
#include <pthread.h>
#include <utility>

namespace weft {

namespace {
std::atomic<int> first_signal = 0;

void watch(const std::stop_token& stop, const sigset_t& wanted) {
  const timespec patience = {0, 50'000'000};
  bool interrupted = false;
  while (!stop.stop_requested()) {
    const int signal = sigtimedwait(&wanted, nullptr, &patience);
    if (signal < 0) // nothing came
      continue;
    if (signal == SIGINT && std::exchange(interrupted, true)) {
      pthread_sigmask(SIG_UNBLOCK, &wanted, nullptr);
      raise(SIGINT); // its default action: the end
    }
    int none = 0;
    first_signal.compare_exchange_strong(none, signal);
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
