#include "training/signals.hpp"
#include <csignal>

namespace weft {

namespace {
volatile std::sig_atomic_t caught = 0;
void remember(int signal) { caught = signal; }
} // namespace

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2})
    sigaction(signal, &action, nullptr);
}

int stop_signal() { return caught; }

std::string signal_text(int signal) {
  switch (signal) {
  case SIGTERM:
    return "SIGTERM";
  case SIGINT:
    return "SIGINT";
  case SIGUSR1:
    return "SIGUSR1";
  case SIGUSR2:
    return "SIGUSR2";
  default:
    return "signal " + std::to_string(signal);
  }
}

} // namespace weft
