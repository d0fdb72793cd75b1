// Bits that are promised not to depend on the number of threads: the same program again, with another number of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <unistd.h>
#include <vector>

namespace weft::test {

/// FNV-1a.
class Hash {
 public:
  void add(const void* data, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i)
      value_ = (value_ ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211u;
  }
  template <class... More>
  void add(const std::vector<double>& x, const More&... more) {
    add(x.data(), x.size() * sizeof(double));
    (add(more), ...);
  }
  std::string text() const {
    char out[32];
    std::snprintf(out, sizeof out, "hash %016llx", static_cast<unsigned long long>(value_));
    return out;
  }

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

/// Runs the disabled test `name` of this program in processes with these numbers of threads: each must print `want`.
inline void expect_from_threads(const std::string& name, const std::string& want,
                                std::initializer_list<int> thread_counts) {
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0)
    GTEST_SKIP() << "SKIPPED: no /proc/self/exe to start a second process from";
  self[length] = 0;
  for (const int threads : thread_counts) {
    const std::string command = "OMP_NUM_THREADS=" + std::to_string(threads) + " '" + self +
                                "' --gtest_also_run_disabled_tests --gtest_filter=" + name + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string output;
    char line[512];
    while (std::fgets(line, sizeof line, pipe))
      output += line;
    EXPECT_EQ(pclose(pipe), 0) << output;
    EXPECT_NE(output.find(want), std::string::npos) << threads << " threads: expected " << want << " in\n" << output;
  }
}

} // namespace weft::test
