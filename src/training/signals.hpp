#pragma once
#include <string>

namespace weft {

/// From now on SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 only set a flag: the training loop finishes its step, agrees with
/// the other ranks, writes a checkpoint and ends with status 75.
void catch_stop_signals();
/// The signal that came, 0 for none.
int stop_signal();
std::string signal_text(int signal);

} // namespace weft
