// How long the parts of a step take, and when. Off unless somebody asks (weft bench); then the device is waited for at
// both ends of a region or span, which a training run never does.
#pragma once
#include <cstdint>
#include <vector>

namespace weft {

/// Seconds spent since the object was made or set to zero.
struct RegionSeconds {
  double products = 0;  ///< matrix products (gemm/gemm.hpp), conversions of their operands included
  double attention = 0; ///< what mixes rows between their maps, forward and backward
};

/// One thing that happened, for a trace.
struct Span {
  const char* name;    ///< a literal: "forward layer", "product", "bucket out", ...
  std::int64_t number; ///< of the layer or bucket; -1: there is only one
  double begin, end;   ///< seconds of a steady clock
};

/// From now on regions add to `seconds` and, unless it is null, everything that is traced is added to `spans`; both
/// must outlive them. A null `seconds` ends it. Not for several threads at once.
void measure_regions(RegionSeconds* seconds, std::vector<Span>* spans = nullptr);

/// Adds its own lifetime to a region, and to the spans as "product" or "attention"; costs one comparison while nothing
/// is measured.
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

/// Adds its own lifetime to the spans; costs one comparison while none are kept.
class TracedSpan {
 public:
  explicit TracedSpan(const char* name, std::int64_t number = -1);
  ~TracedSpan();
  TracedSpan(const TracedSpan&) = delete;
  TracedSpan& operator=(const TracedSpan&) = delete;

 private:
  const char* name_;
  std::int64_t number_;
  double begin_ = 0;
};

/// For what begins in one call and ends in another, beside the device's work: seconds now (0 while no spans are kept),
/// and the span from `begin` to now, which is returned; without effect where `begin` is 0.
double trace_clock();
double trace_since(double begin, const char* name, std::int64_t number);

} // namespace weft
