// Faults on purpose (debug.fault): what the tests of dying and hanging ranks and failing disks ask a run to do.
#pragma once
#include <cstdint>
#include <string>

namespace weft {

struct Fault {
  enum class Kind {
    none,
    kill,        ///< the process gets SIGKILL
    stop,        ///< the process gets SIGSTOP: alive, but nothing in it runs
    hang,        ///< the training thread sleeps for ever
    spin,        ///< the training thread computes for ever
    fail,        ///< "throw": an error on this rank alone
    nan,         ///< one element of the rank's gradient is not a number
    write_error, ///< files cannot grow beyond 64 KiB
    enospc       ///< syncing a file says that the disk is full
  };
  Kind kind = Kind::none;
  std::int64_t rank = 0, step = 0; ///< from the beginning of this step (the first is 1) on this rank
};

/// Reads "KIND:rank=R:step=S"; rank may be left out and is 0 then. Empty text: no fault. InputError, with the forms
/// there are, for any other text.
Fault parse_fault(const std::string& text);

} // namespace weft
