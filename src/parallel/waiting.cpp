#include "parallel/waiting.hpp"
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <unistd.h>
#include <vector>

namespace weft {
namespace {

constexpr const char *policy = "OMP_WAIT_POLICY", *spins = "GOMP_SPINCOUNT";

/// The file that this process runs; empty if unknown. By its name and not as /proc/self/exe: the process would be
/// called "exe" in every list.
std::string own_program() {
  std::string path(4096, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length > 0 && static_cast<std::size_t>(length) < path.size() ? static_cast<std::size_t>(length) : 0);
  return path;
}

/// The words with which the kernel started it: main's, and before them the dynamic loader's if it was called by name.
std::vector<std::string> own_words() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> words;
  for (std::size_t at = 0, end; at < text.size() && (end = text.find('\0', at)) != std::string::npos; at = end + 1)
    words.push_back(text.substr(at, end - at));
  return words;
}

} // namespace

void choose_waiting() {
  if (std::getenv(policy) != nullptr || std::getenv(spins) != nullptr)
    return; // by the user, or by this function before the program was started again
  const std::string program = own_program();
  std::vector<std::string> words = own_words();
  if (program.empty() || words.empty() || setenv(spins, std::to_string(waiting_spins).c_str(), 1) != 0)
    return;
  std::vector<char*> pointers;
  for (std::string& word : words)
    pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execv(program.c_str(), pointers.data());
  unsetenv(spins); // it did not come into force
}

std::string waiting_text() {
  if (const char* value = std::getenv(spins))
    return fmt::format("a thread spins {} rounds, then sleeps ({})", value, spins);
  if (const char* value = std::getenv(policy))
    return fmt::format("{} ({})", value, policy);
  return "as the OpenMP runtime has it";
}

} // namespace weft
