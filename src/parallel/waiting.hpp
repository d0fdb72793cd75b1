// How a thread of a process waits for its others: it spins for a while, then it sleeps.
#pragma once
#include <string>

namespace weft {

/// Rounds of a spin where the user does not say; some tens of microseconds, as long as a small kernel. GCC's OpenMP
/// runtime would spin 300,000 rounds: on a core that another program wants as well, that is a time slice in which the
/// thread that is waited for may not run.
constexpr int waiting_spins = 2000;

/// Gives the OpenMP runtime this spin (GOMP_SPINCOUNT) unless the user has set OMP_WAIT_POLICY or GOMP_SPINCOUNT. The
/// runtime reads them when it is loaded, before main: so the program starts itself again, in its own place, with the
/// same command line (execve: process number, open files, limits and ignored signals stay). For the beginning of main:
/// nothing may have been started yet. Returns if there is nothing to do or the program cannot be started again.
void choose_waiting();

/// What holds for this process, in a few words for `weft --version`.
std::string waiting_text();

} // namespace weft
