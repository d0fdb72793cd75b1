#include "model/sampling/thread_choice.hpp"

namespace weft {

void ThreadChoice::took(double seconds) {
  if (!choose_)
    return;
  if (left_ <= trial)
    seconds_ += seconds;
  if (--left_ > 0)
    return;
  if (!measuring_) { // the way that was taken is measured first
    measuring_ = true;
    second_ = false;
    left_ = trial;
  } else if (!second_) {
    first_seconds_ = seconds_;
    alone_ = !alone_;
    second_ = true;
    left_ = trial;
  } else {
    if (first_seconds_ <= seconds_)
      alone_ = !alone_;
    measuring_ = false;
    left_ = stay;
  }
  seconds_ = 0;
}

} // namespace weft
