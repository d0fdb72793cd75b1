#include "commands/bit_notes.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <regex>
#include <set>

namespace weft {

namespace {
std::string without_number(const std::string& description) {
  static const std::regex number(", device [0-9]+ ");
  return std::regex_replace(description, number, ", ");
}

std::set<std::string> kinds(const std::string& joined) {
  std::set<std::string> all;
  for (std::size_t at = 0; at < joined.size();) {
    const std::size_t end = std::min(joined.find("; ", at), joined.size());
    all.insert(without_number(joined.substr(at, end - at)));
    at = end + 2;
  }
  return all;
}
} // namespace

std::vector<std::string> bit_notes(const std::vector<std::string>& now, const std::string& before) {
  std::vector<std::string> notes;
  const std::set<std::string> here = kinds(fmt::format("{}", fmt::join(now, "; "))), there = kinds(before);
  if (here.size() > 1)
    notes.push_back(fmt::format("the ranks do not compute alike: {}. The bits of the result may depend on which rank "
                                "is where; give all ranks the same threads, devices and debug.isa to have them repeat",
                                fmt::join(here, " | ")));
  if (!there.empty() && here != there)
    notes.push_back(fmt::format("the checkpoint comes from other kernels: {}; now: {}. The run goes on from the same "
                                "numbers, but its bits may not be those of a run that was never moved",
                                fmt::join(there, " | "), fmt::join(here, " | ")));
  return notes;
}

} // namespace weft
