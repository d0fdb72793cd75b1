#include "config/fault.hpp"
#include "io/error.hpp"
#include <fmt/format.h>
#include <sstream>
#include <utility>

namespace weft {

namespace {
using Kind = Fault::Kind;
constexpr std::pair<const char*, Kind> kinds[] = {{"kill", Kind::kill},
                                                  {"stop", Kind::stop},
                                                  {"hang", Kind::hang},
                                                  {"spin", Kind::spin},
                                                  {"throw", Kind::fail},
                                                  {"nan", Kind::nan},
                                                  {"write_error", Kind::write_error},
                                                  {"enospc", Kind::enospc}};

[[noreturn]] void refuse(const std::string& text) {
  std::string names;
  for (const auto& [name, kind] : kinds)
    names += (names.empty() ? "" : ", ") + std::string(name);
  throw InputError(fmt::format("got \"{}\", expected KIND:rank=R:step=S with KIND one of {}, R from 0 (0 if left out) "
                               "and S from 1, such as \"kill:rank=1:step=7\"",
                               text, names));
}
} // namespace

Fault parse_fault(const std::string& text) {
  Fault fault;
  if (text.empty())
    return fault;
  std::istringstream words(text);
  std::string word;
  std::getline(words, word, ':');
  for (const auto& [name, kind] : kinds)
    if (word == name)
      fault.kind = kind;
  bool ranked = false;
  while (std::getline(words, word, ':')) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals), digits = equals == word.npos ? "" : word.substr(equals + 1);
    if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != digits.npos)
      refuse(text);
    if (name == "rank" && !std::exchange(ranked, true))
      fault.rank = std::stoll(digits);
    else if (name == "step" && fault.step == 0)
      fault.step = std::stoll(digits);
    else
      refuse(text);
  }
  if (fault.kind == Kind::none || fault.step == 0 || text.back() == ':')
    refuse(text);
  return fault;
}

} // namespace weft
