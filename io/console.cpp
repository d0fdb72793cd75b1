#include "io/console.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace weft {
namespace {

/// "1.50 Gi" + unit: three significant digits and the step of 1000 or 1024 that leaves at least 1 before the point.
template <std::size_t n>
std::string scaled(double value, double step, const std::array<const char*, n>& prefixes) {
  if (!std::isfinite(value))
    return "-";
  std::size_t i = 0;
  // 999.5 would be printed as 1000: go on to the next prefix.
  while (i + 1 < n && std::abs(value) >= (step == 1000 ? 999.5 : step)) {
    value /= step;
    ++i;
  }
  const double size = std::abs(value);
  const bool whole = i == 0 && value == std::floor(value);
  const int decimals = whole || size >= 99.95 ? 0 : (size >= 9.995 ? 1 : 2);
  return fmt::format("{:.{}f}{}{}", value, decimals, *prefixes[i] != 0 ? " " : "", prefixes[i]);
}

/// Whether a person looks at `out`. Open MPI's mpirun gives its ranks a terminal of its own making and passes on what
/// they write there: then it is mpirun's output that counts.
bool on_terminal(std::FILE* out) {
  if (isatty(fileno(out)) != 1)
    return false;
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr)
    return true;
  std::error_code failed;
  const std::string theirs =
      std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", getppid(), fileno(out)), failed).string();
  return theirs.rfind("/dev/pts/", 0) == 0 || theirs.rfind("/dev/tty", 0) == 0;
}

/// Columns of a terminal; 0 if unknown.
std::size_t columns(std::FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string number_or_dash(const char* form, double x) {
  return std::isnan(x) ? "-" : fmt::format(fmt::runtime(form), x);
}

} // namespace

std::string human_bytes(double bytes) {
  return scaled<7>(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"});
}

std::string human_count(double count) { return scaled<7>(count, 1000, {"", "k", "M", "G", "T", "P", "E"}); }

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds))
    return "-";
  if (seconds < 0)
    return "-" + human_seconds(-seconds);
  if (seconds == 0)
    return "0 s";
  if (seconds < 0.9995e-3)
    return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 0.9995)
    return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 59.95)
    return fmt::format("{:.1f} s", seconds);
  const double minute = 60, hour = 3600, day = 86400;
  if (const double s = std::round(seconds); s < hour)
    return fmt::format("{:.0f} min {:02.0f} s", std::floor(s / minute), std::fmod(s, minute));
  if (const double s = std::round(seconds / minute) * minute; s < day)
    return fmt::format("{:.0f} h {:02.0f} min", std::floor(s / hour), std::fmod(s, hour) / minute);
  const double s = std::round(seconds / hour) * hour;
  return fmt::format("{:.0f} d {:02.0f} h", std::floor(s / day), std::fmod(s, day) / hour);
}

std::string exact_count(std::int64_t n) {
  std::string digits = std::to_string(n);
  const std::size_t first = n < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;)
    digits.insert(i -= 3, ",");
  return digits;
}

Table& Table::heading(std::string text) {
  rows_.push_back({std::move(text), "", true});
  return *this;
}

Table& Table::row(std::string name, std::string value) {
  rows_.push_back({std::move(name), std::move(value), false});
  return *this;
}

std::string Table::text() const {
  std::size_t width = 0;
  for (const Row& row : rows_)
    if (!row.heading)
      width = std::max(width, row.name.size());
  std::string out = title_.empty() ? "" : title_ + "\n";
  for (const Row& row : rows_)
    out += row.heading ? row.name + "\n" : fmt::format("  {:<{}}  {}\n", row.name, width, row.value);
  return out;
}

std::string step_text(const StepLine& s) {
  const std::size_t digits = std::to_string(s.steps).size();
  std::string out = fmt::format("step {:>{}}/{}", s.step, digits, s.steps);
  out += "  loss " + number_or_dash("{:.4f}", s.loss);
  if (std::isnan(s.accuracy))
    out += "  bits " + number_or_dash("{:.4f}", s.bits);
  else
    out += fmt::format("  accuracy {:.2f} %", 100 * s.accuracy);
  out += "  gradient " + number_or_dash("{:.3g}", s.gradient_norm);
  out += "  lr " + number_or_dash("{:.3g}", s.learning_rate);
  out += "  " + human_count(s.tokens_per_second) + " tokens/s";
  out += "  " + number_or_dash("{:.0f} %", 100 * s.gemm_share) + " of gemm rate";
  out += "  " + human_seconds(s.seconds_left) + " left";
  if (!std::isnan(s.loss_scale))
    out += fmt::format("  scale {:.0f}", s.loss_scale);
  if (s.skipped > 0)
    out += fmt::format("  {} skipped", s.skipped);
  return out;
}

bool in_colour(std::FILE* out) {
  const char *off = std::getenv("NO_COLOR"), *kind = std::getenv("TERM");
  return (off == nullptr || *off == 0) && kind != nullptr && std::strcmp(kind, "dumb") != 0 && on_terminal(out);
}

std::string printable(const std::string& text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      shown += fmt::format("\\x{:02X}", byte);
    else
      shown += c;
  }
  return shown;
}

void print_error(const std::string& where, const std::string& text) {
  const char *red = "", *plain = "";
  if (in_colour(stderr)) {
    red = "\x1b[1;31m";
    plain = "\x1b[0m";
  }
  fmt::print(stderr, "{}weft: error{}:{} {}\n", red, where, plain, printable(text));
}

Console::Console(bool speaks, std::FILE* out)
    : out_(out), speaks_(speaks), terminal_(speaks && on_terminal(out)), coloured_(speaks && in_colour(out)) {}

Console::~Console() {
  end_refreshed();
  if (log_ != nullptr)
    std::fclose(log_);
}

void Console::log_to(const std::string& path) {
  if (!speaks_)
    return;
  if (log_ != nullptr)
    std::fclose(log_);
  log_ = std::fopen(path.c_str(), "ae"); // appended: a resumed run goes on in the same log
  if (log_ == nullptr)
    throw Error(exit_failure, fmt::format("{}: cannot write the log: {}", path, std::strerror(errno)));
}

void Console::line(const std::string& text) {
  if (!speaks_)
    return;
  end_refreshed();
  const std::string ended = !text.empty() && text.back() == '\n' ? text : text + "\n";
  if (coloured_ && text.rfind("note: ", 0) == 0) // the log has it without
    fmt::print(out_, "\x1b[33mnote:\x1b[0m{}", ended.substr(5));
  else
    std::fputs(ended.c_str(), out_);
  std::fflush(out_);
  log(ended);
}

void Console::detail(const std::string& text) {
  if (details_)
    line(text);
  else if (speaks_)
    log(!text.empty() && text.back() == '\n' ? text : text + "\n");
}

void Console::step(const StepLine& step) {
  if (!speaks_)
    return;
  const std::string text = step_text(step);
  if (terminal_)
    refresh(text);
  else
    std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
  log(text + "\n");
}

void Console::refresh(const std::string& text) {
  // A line longer than the terminal would wrap, and \r would return to its second half only.
  const std::size_t room = columns(out_);
  const std::string shown = room > 0 ? text.substr(0, room - 1) : text;
  std::fprintf(out_, "\r%s\x1b[K", shown.c_str());
  refreshed_ = true;
}

void Console::progress(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_progress_).count();
  if (!speaks_ || since < (terminal_ ? 0.2 : 30.0))
    return;
  last_progress_ = now;
  if (terminal_)
    refresh(text);
  else
    std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
}

void Console::log(const std::string& text) {
  if (log_ == nullptr)
    return;
  std::fputs(text.c_str(), log_);
  std::fflush(log_); // nothing is lost when the job dies
}

void Console::end_refreshed() {
  if (refreshed_)
    std::fputs("\n", out_);
  refreshed_ = false;
}

} // namespace weft
