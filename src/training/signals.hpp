// Stop requests: the one place that deals with signals.
#pragma once
#include <csignal>
#include <string>
#include <thread>

namespace weft {

/// While it lives, SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and, unless it was ignored before (nohup), SIGHUP only leave a
/// note (`stop_signal`): the training loop finishes its step, agrees with the other ranks, writes a checkpoint and ends
/// with status 75. The first one is acknowledged at once on stderr, by rank 0. A SIGINT more than a second later ends
/// the process, for the person who presses Ctrl-C twice. All but SIGINT stay blocked after it has gone, until the
/// process ends. Output that nobody reads (SIGPIPE) ends nothing.
///
/// The signals are blocked in every thread and taken by a thread of their own; no handler ever runs. A handler would
/// be called on the stack of whatever thread it interrupts, and oneDNN's product for AVX2 points the stack register at
/// a block of the heap while it works: the frame of a handler lands in front of that block and destroys the heap.
/// So make it before MPI, OpenMP or anything else starts threads: they inherit the mask.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  std::jthread watch_;
};

/// The first signal that came, 0 for none.
int stop_signal();
std::string signal_text(int signal);

} // namespace weft
