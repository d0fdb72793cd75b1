// Loops on the calling thread alone. Work of microseconds, such as a row of a decoder, is slower on several threads
// where other programs have the processors: every loop waits for the thread that has none.
#pragma once
#include <atomic>

namespace weft {

namespace detail {
inline std::atomic<bool> runs_alone{false};
}

/// While it lives and `on` is set, for_each (kernels/common/kokkos.hpp) takes no other thread. Results are the same
/// bits.
class Alone {
 public:
  explicit Alone(bool on) : before_(detail::runs_alone.exchange(on)) {}
  ~Alone() { detail::runs_alone = before_; }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  bool before_;
};

} // namespace weft
