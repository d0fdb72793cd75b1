#include "training/faults.hpp"
#include "io/atomic_file.hpp"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <sys/resource.h>
#include <unistd.h>

namespace weft {

bool strike(const Fault& fault, const Ranks& ranks, std::int64_t step) {
  using Kind = Fault::Kind;
  if (fault.kind == Kind::none || fault.step != step || fault.rank != ranks.rank())
    return false;
  switch (fault.kind) {
  case Kind::kill:
    kill(getpid(), SIGKILL);
    break;
  case Kind::stop:
    kill(getpid(), SIGSTOP);
    break;
  case Kind::hang:
    for (;;)
      sleep(1000);
  case Kind::spin:
    for (std::atomic<int> turns = 0;;)
      ++turns;
  case Kind::fail:
    throw std::runtime_error("debug.fault asked for this error");
  case Kind::write_error: {
    rlimit size = {};
    getrlimit(RLIMIT_FSIZE, &size);
    size.rlim_cur = 65536;
    setrlimit(RLIMIT_FSIZE, &size);
    break;
  }
  case Kind::enospc:
    let_syncs_fail(ENOSPC);
    break;
  case Kind::nan:
    return true;
  case Kind::none:
    break;
  }
  return false;
}

} // namespace weft
