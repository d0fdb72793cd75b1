#include "kernels/common/regions.hpp"
#include "kernels/common/memory.hpp"
#include <chrono>

namespace weft {

namespace {
RegionSeconds* measured = nullptr;

double now() {
  fence();
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
} // namespace

void measure_regions(RegionSeconds* seconds) { measured = seconds; }

TimedRegion::TimedRegion(double RegionSeconds::*region) {
  if (measured == nullptr)
    return;
  to_ = &(measured->*region);
  begin_ = now();
}

TimedRegion::~TimedRegion() {
  if (to_ != nullptr)
    *to_ += now() - begin_;
}

} // namespace weft
