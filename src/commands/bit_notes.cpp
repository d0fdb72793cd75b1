#include "commands/bit_notes.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <string>

namespace weft {

namespace {
/// ", device 3 NAME" becomes ", NAME": which of a node's equal devices a rank has changes no bit.
std::string without_number(std::string description) {
  const std::string before = ", device ";
  const std::size_t at = description.find(before);
  if (at == std::string::npos)
    return description;
  const std::size_t digits = at + before.size(), end = description.find_first_not_of("0123456789", digits);
  if (end != std::string::npos && end > digits && description[end] == ' ')
    description.replace(at, end + 1 - at, ", ");
  return description;
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
