#include "io/progress.hpp"
#include "io/console.hpp"
#include <fmt/core.h>

namespace weft {

Progress::Progress(Console* console, std::string what, std::int64_t all)
    : console_(console), what_(std::move(what)), all_(all), begin_(std::chrono::steady_clock::now()), told_(begin_) {}

std::string Progress::text(std::int64_t done, double seconds) const {
  if (all_ <= 0 || done <= 0)
    return fmt::format("{}: {}", what_, exact_count(done));
  return fmt::format("{}: {} % of {}, {} left", what_, 100 * done / all_, exact_count(all_),
                     human_seconds(seconds * static_cast<double>(all_ - done) / static_cast<double>(done)));
}

void Progress::at(std::int64_t done) {
  if (console_ == nullptr)
    return;
  const auto now = std::chrono::steady_clock::now();
  if (now - told_ < std::chrono::milliseconds(200))
    return;
  told_ = now;
  console_->progress(text(done, std::chrono::duration<double>(now - begin_).count()));
}

} // namespace weft
