#include "kernels/common/regions.hpp"
#include "kernels/common/memory.hpp"
#include <chrono>

namespace weft {

namespace {
RegionSeconds* measured = nullptr;
std::vector<Span>* kept = nullptr;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double now() {
  fence();
  return seconds_now();
}
} // namespace

void measure_regions(RegionSeconds* seconds, std::vector<Span>* spans) {
  measured = seconds;
  kept = seconds != nullptr ? spans : nullptr;
}

TimedRegion::TimedRegion(double RegionSeconds::*region) {
  if (measured == nullptr)
    return;
  to_ = &(measured->*region);
  begin_ = now();
}

TimedRegion::~TimedRegion() {
  if (to_ == nullptr)
    return;
  const double end = now();
  *to_ += end - begin_;
  if (kept != nullptr)
    kept->push_back({to_ == &measured->products ? "product" : "attention", -1, begin_, end});
}

TracedSpan::TracedSpan(const char* name, std::int64_t number) : name_(name), number_(number) {
  if (kept != nullptr)
    begin_ = now();
}

TracedSpan::~TracedSpan() {
  if (begin_ > 0 && kept != nullptr)
    kept->push_back({name_, number_, begin_, now()});
}

double trace_clock() { return kept != nullptr ? seconds_now() : 0; }

double trace_since(double begin, const char* name, std::int64_t number) {
  const double end = trace_clock();
  if (begin > 0 && end > 0)
    kept->push_back({name, number, begin, end});
  return end;
}

} // namespace weft
