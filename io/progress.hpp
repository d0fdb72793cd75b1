// How far a long piece of work is and how long it will still take, told at most five times a second.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace weft {

class Console;

class Progress {
 public:
  /// `console`: null where nobody is to be told. `all`: how much there is to do; 0 where that is not known.
  Progress(Console* console, std::string what, std::int64_t all = 0);

  /// `done` of `all` are done: "drawing train: 12 % of 96,000, 1 min 05 s left", or without the share and the time.
  void at(std::int64_t done);
  /// What `at` would print after `seconds`; for tests.
  std::string text(std::int64_t done, double seconds) const;

 private:
  Console* console_;
  std::string what_;
  std::int64_t all_;
  std::chrono::steady_clock::time_point begin_, told_;
};

} // namespace weft
