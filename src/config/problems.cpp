#include "config/problems.hpp"
#include "config/keys.hpp"
#include "io/console.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>

namespace weft {
namespace {

std::string line_of(const Origin& where, const std::string& key, const std::string& text) {
  return printable(where.text() + ": " + (key.empty() ? "" : key + ": ") + text);
}

} // namespace

void Problems::add(const Origin& where, const std::string& key, const std::string& text) {
  list_.push_back({where, line_of(where, key, text), false});
  keys_.insert(key);
}

void Problems::add_missing_data(const Origin& where, const std::string& key, const std::string& text) {
  list_.push_back({where, line_of(where, key, text), true});
  keys_.insert(key);
}

std::vector<std::string> Problems::lines() const {
  std::vector<Problem> sorted = list_;
  // Line 0 is the command line, or the file as a whole for a default: behind the lines of the files.
  std::vector<std::string> files;
  for (const Problem& problem : list_)
    files.push_back(problem.where.file);
  const auto rank = [&](const Problem& p) {
    const bool line = p.where.line > 0;
    const auto file = std::find(files.begin(), files.end(), p.where.file) - files.begin();
    return std::pair(line ? file : std::numeric_limits<std::ptrdiff_t>::max(), p.where.line);
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Problem& a, const Problem& b) { return rank(a) < rank(b); });
  std::vector<std::string> out;
  for (const Problem& problem : sorted)
    out.push_back(problem.line);
  return out;
}

void Problems::throw_if_any() const {
  if (list_.empty())
    return;
  const std::string text = list_.size() == 1 ? lines().front()
                                             : fmt::format("{} problems in the input; nothing was started\n  {}",
                                                           list_.size(), joined(lines(), "\n  "));
  if (std::all_of(list_.begin(), list_.end(), [](const Problem& p) { return p.data; }))
    throw MissingDataError(text);
  throw InputError(text);
}

} // namespace weft
