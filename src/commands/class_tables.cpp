#include "commands/class_tables.hpp"
#include "io/console.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {
constexpr std::int64_t widest_matrix = 20;

std::int64_t count_of(const Evaluation& r, std::int64_t is, std::int64_t taken_for) {
  return r.confusion[static_cast<std::size_t>(is * r.classes + taken_for)];
}

double percent(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

std::string matrix_text(const Evaluation& r) {
  const std::int64_t largest = *std::max_element(r.confusion.begin(), r.confusion.end());
  const std::size_t width = std::max(std::to_string(largest).size(), std::to_string(r.classes - 1).size());
  std::string out = "confusion: a row per class, a column per chosen class\n  class ";
  for (std::int64_t p = 0; p < r.classes; ++p)
    out += fmt::format(" {:>{}}", p, width);
  for (std::int64_t t = 0; t < r.classes; ++t) {
    out += fmt::format("\n  {:>5} ", t);
    for (std::int64_t p = 0; p < r.classes; ++p)
      out += fmt::format(" {:>{}}", count_of(r, t, p), width);
  }
  return out + "\n";
}
} // namespace

std::string class_table(const Evaluation& r) {
  Table table("classes: share of the examples, share of the choices, found");
  for (std::int64_t c = 0; c < r.classes; ++c) {
    std::int64_t examples = 0, chosen = 0;
    for (std::int64_t other = 0; other < r.classes; ++other) {
      examples += count_of(r, c, other);
      chosen += count_of(r, other, c);
    }
    table.row(std::to_string(c), fmt::format("{:5.1f} %  {:5.1f} %  {:5.1f} %", percent(examples, r.scored),
                                             percent(chosen, r.scored), percent(count_of(r, c, c), examples)));
  }
  return table.text() + (r.classes <= widest_matrix ? matrix_text(r) : "");
}

std::string confusion_json(const Evaluation& r) {
  std::string out = "[";
  for (std::int64_t t = 0; t < r.classes; ++t) {
    out += t > 0 ? ", [" : "[";
    for (std::int64_t p = 0; p < r.classes; ++p)
      out += fmt::format("{}{}", p > 0 ? ", " : "", count_of(r, t, p));
    out += "]";
  }
  return out + "]";
}

std::string by_length_csv(const Evaluation& result) {
  std::string out = "length,accuracy,count\n";
  for (const Evaluation::OfLength& of : result.by_length)
    out += fmt::format("{},{:.6f},{}\n", of.length, percent(of.hits, of.count) / 100, of.count);
  return out;
}

std::string by_length_table(const Evaluation& result) {
  Table table("accuracy by true length");
  auto of = result.by_length.begin();
  for (std::int64_t first = 1; of != result.by_length.end(); first *= 2) {
    std::int64_t count = 0, hits = 0;
    for (; of != result.by_length.end() && of->length < 2 * first; ++of) {
      count += of->count;
      hits += of->hits;
    }
    if (count > 0)
      table.row(first > 1 ? fmt::format("{} .. {}", first, 2 * first - 1) : "1",
                fmt::format("{:.2f} %  of {} examples", percent(hits, count), exact_count(count)));
  }
  return table.text();
}

} // namespace weft
