// Small data sets for the tests of tasks.
#pragma once
#include "io/shards.hpp"
#include <filesystem>
#include <functional>
#include <string>
#include <unistd.h>

namespace weft::test {

/// What row r holds: fills tokens of a document and returns its true length. document: 0, or 1 for the second of a
/// pair.
using Fill = std::function<std::int32_t(std::int64_t r, int document, std::uint16_t* tokens)>;

/// Labelled examples; a folder of its own that goes with it.
class LabelledFolder {
 public:
  LabelledFolder() {
    static int number = 0;
    path = std::filesystem::temp_directory_path() /
           ("weft-labelled-" + std::to_string(getpid()) + "-" + std::to_string(number++));
    std::filesystem::create_directories(path);
  }
  ~LabelledFolder() { std::filesystem::remove_all(path); }
  LabelledFolder(const LabelledFolder&) = delete;
  LabelledFolder& operator=(const LabelledFolder&) = delete;

  LabelledFolder& split(const std::string& name, std::int64_t rows, std::int64_t width, bool pairs, const Fill& fill,
                        const std::function<std::int32_t(std::int64_t)>& label, int vocabulary = 256) {
    const auto provider = [&](std::int64_t first, std::int64_t count, ExampleRows& to) {
      for (std::int64_t r = 0; r < count; ++r) {
        const auto at = static_cast<std::size_t>(r);
        to.label[at] = label(first + r);
        to.length[at] = fill(first + r, 0, to.tokens.data() + r * width);
        if (pairs)
          to.length2[at] = fill(first + r, 1, to.tokens2.data() + r * width);
      }
    };
    write_examples_split(path, name, rows, width, pairs, provider, 2, {"test", vocabulary, ""});
    return *this;
  }
  std::string path;
};

} // namespace weft::test
