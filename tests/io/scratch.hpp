// Helpers of the io tests: a folder that goes away, damage done to files on purpose, a caller that keeps the error.
#pragma once
#include "io/error.hpp"
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace weft::test {
namespace fs = std::filesystem;

/// A folder of its own below the system's temporary one.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "weft-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string str() const { return path_.string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

inline void put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

inline std::string get(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void flip(const std::string& path, std::size_t at) {
  std::string all = get(path);
  all.at(at) = static_cast<char>(all.at(at) ^ 0x55);
  put(path, all);
}

/// Bytes that do not repeat and look like text to nobody.
inline std::string noise(std::size_t bytes, std::uint64_t seed = 1) {
  std::string text(bytes, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (char& c : text) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    c = static_cast<char>(state >> 56);
  }
  return text;
}

/// The exit status and text of the weft::Error that `call` throws; status 0 where it throws none.
struct Outcome {
  int status = 0;
  std::string text;
};
template <class Call>
Outcome outcome(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.status, error.what()};
  }
  return {};
}

/// Any byte of a file may go bad: read() then meets it as damaged data, or expects that all is as it was; more than a
/// quarter must be met. next: from a byte's place to that of the next one to try.
template <class Next, class Read>
void expect_damage_is_met(const std::string& path, const Next& next, const Read& read) {
  const std::string whole = get(path);
  int met = 0, tried = 0;
  for (std::size_t at = 0; at < whole.size(); at = next(at), ++tried) {
    flip(path, at);
    const Outcome got = outcome([&] { read(at); });
    ASSERT_TRUE(got.status == 0 || got.status == exit_data) << at << " " << got.text;
    met += got.status == exit_data ? 1 : 0;
    put(path, whole);
  }
  EXPECT_GT(met, tried / 4);
}

/// Runs `prepare`, which makes "set" beside the raw file: a whole data set is left or nothing. Throws what was thrown.
template <class Prepare>
void prepares_or_leaves_nothing(const Scratch& scratch, const Prepare& prepare) {
  const Outcome got = outcome(prepare);
  EXPECT_EQ(fs::exists(scratch / "set"), got.status == 0) << got.text;
  EXPECT_EQ(scratch.entries(), got.status == 0 ? 2u : 1u) << got.text;
  fs::remove_all(scratch / "set");
  if (got.status != 0)
    throw Error(static_cast<ExitStatus>(got.status), got.text);
}

/// A file of the data that developers share, in WEFT_SHARED_DATA or ../shared/data; empty where it is not there.
inline std::string shared_file(const std::string& name) {
  const char *set = std::getenv("WEFT_SHARED_DATA"), *source = std::getenv("WEFT_SOURCE");
  for (const std::string& folder :
       {std::string(set == nullptr ? "" : set), std::string(source == nullptr ? "." : source) + "/../shared/data"})
    if (fs::exists(folder + "/" + name))
      return folder + "/" + name;
  return {};
}

#define EXPECT_FAILS(status_, part, ...)                                                                               \
  do {                                                                                                                 \
    const ::weft::test::Outcome got_ = ::weft::test::outcome([&] { __VA_ARGS__; });                                    \
    EXPECT_EQ(got_.status, status_) << got_.text;                                                                      \
    EXPECT_NE(got_.text.find(part), std::string::npos) << got_.text;                                                   \
  } while (false)

} // namespace weft::test
