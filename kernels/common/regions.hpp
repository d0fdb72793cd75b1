// How long the two costly kinds of work take within a step. Off unless somebody asks (weft bench); then the device is
// waited for at both ends of a region, which a training run never does.
#pragma once

namespace weft {

/// Seconds spent since the object was made or set to zero.
struct RegionSeconds {
  double products = 0;  ///< matrix products (gemm/gemm.hpp), conversions of their operands included
  double attention = 0; ///< attention.hpp, forward and backward
};

/// From now on regions add to `seconds`, which must outlive them; null ends it. Not for several threads at once.
void measure_regions(RegionSeconds* seconds);

/// Adds its own lifetime to a region; costs one comparison while nothing is measured.
class TimedRegion {
 public:
  explicit TimedRegion(double RegionSeconds::*region);
  ~TimedRegion();
  TimedRegion(const TimedRegion&) = delete;
  TimedRegion& operator=(const TimedRegion&) = delete;

 private:
  double* to_ = nullptr;
  double begin_ = 0;
};

} // namespace weft
