// Whether the steps of a decoder run on all threads or on one, whichever is faster now: on an idle machine several are,
// beside other programs one is. The choice is made by the clock and moves no bit of a result.
#pragma once

namespace weft {

class ThreadChoice {
 public:
  static constexpr int trial = 32;  ///< steps by which one way is measured: longer than a time slice of the system
  static constexpr int stay = 2048; ///< steps of the faster one, before both are measured again

  /// threads: that there are; of one there is nothing to choose.
  explicit ThreadChoice(int threads) : choose_(threads > 1) {}
  bool alone() const { return alone_; } ///< how the next step is to run
  void took(double seconds);            ///< what that step took

 private:
  bool choose_, alone_ = false;
  bool measuring_ = true, second_ = false; ///< second_: the other way of the two
  int left_ = trial + 1;                   ///< steps; the very first one, which takes memory, does not count
  double seconds_ = 0, first_seconds_ = 0;
};

} // namespace weft
