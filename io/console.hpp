// How rank 0 talks to a person: a table of settings, a step line, plain lines; the same to a terminal, a file, run.log.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

namespace weft {

std::string human_bytes(double bytes);     ///< "1.50 GiB"
std::string human_seconds(double seconds); ///< "0.8 ms", "12.3 s", "4 min 05 s", "3 h 07 min", "2 d 03 h"
std::string human_count(double count);     ///< "1.23 k", "94.9 M", "1.37 E"
std::string exact_count(std::int64_t n);   ///< "94,949,888"

/// Two aligned columns under headings.
class Table {
 public:
  explicit Table(std::string title) : title_(std::move(title)) {}
  Table& heading(std::string text);
  Table& row(std::string name, std::string value);
  std::string text() const; ///< lines, each ending with a newline

 private:
  struct Row {
    std::string name, value;
    bool heading;
  };
  std::string title_;
  std::vector<Row> rows_;
};

/// What the step line shows. A value that is not known stays NaN and is printed as "-".
struct StepLine {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  std::int64_t step = 0, steps = 0; ///< done, all
  double loss = unknown;            ///< nats
  double bits = unknown;            ///< loss / ln 2
  double accuracy = unknown;        ///< 0 to 1; shown in the place of bits if known
  double gradient_norm = unknown;
  double learning_rate = unknown;
  double tokens_per_second = unknown;
  double loss_scale = unknown; ///< shown if known
  double gemm_share = unknown; ///< operations per second over the rate matrix products reach, 0 to 1
  double seconds_left = unknown;
  std::int64_t skipped = 0; ///< steps left out because of non-finite numbers; shown if not 0
};
std::string step_text(const StepLine& line);

/// Whether `out` is to have colours: a person's terminal that knows them, and no NO_COLOR (no-color.org).
bool in_colour(std::FILE* out);

/// The text with NUL bytes, which would end it, and escape characters, which would be orders to the terminal, written
/// as \x00 and \x1B; line breaks and tabs stay.
std::string printable(const std::string& text);

/// "weft: error WHERE: TEXT" on the standard error, its beginning red where that is in colour.
void print_error(const std::string& where, const std::string& text);

class Console {
 public:
  /// `speaks`: false on every rank but 0: then nothing is ever printed. `out` is stdout but in tests.
  explicit Console(bool speaks = true, std::FILE* out = stdout);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// From now on every line goes to this file too (appended, flushed by line). Throws Error if it cannot be opened.
  void log_to(const std::string& path);

  void line(const std::string& text); ///< one line (or several); ends a refreshed step line first
  void table(const Table& table) { line(table.text()); }
  /// What only some people want to read: to the log, and printed after show_details().
  void detail(const std::string& text);
  void show_details() { details_ = true; }
  void step(const StepLine& line); ///< refreshed in place on a terminal, a plain line otherwise and in the log
  /// How far a long piece of work is: refreshed in place on a terminal, a line at most every 30 seconds otherwise.
  void progress(const std::string& text);
  bool terminal() const { return terminal_; }

 private:
  void log(const std::string& text);
  void refresh(const std::string& text);
  void end_refreshed();
  std::FILE* out_ = nullptr;
  std::FILE* log_ = nullptr;
  bool speaks_, terminal_ = false, coloured_ = false, refreshed_ = false, details_ = false;
  std::chrono::steady_clock::time_point last_progress_ = std::chrono::steady_clock::now();
};

} // namespace weft
