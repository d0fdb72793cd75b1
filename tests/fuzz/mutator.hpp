// Damage by a seeded generator: valid files in, invalid ones out, the same ones in every run.
#pragma once
#include "../io/scratch.hpp"
#include <algorithm>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace weft::test {

/// What the environment says, or `otherwise`.
inline int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// One to four changes in a row: bits flipped, ranges cut, doubled, zeroed or taken from another file, ends cut off,
/// numbers replaced by the extreme ones of 1, 2, 4 and 8 bytes in either byte order.
class Mutator {
 public:
  /// Another WEFT_FUZZ_SEED gives other changes.
  Mutator(std::vector<std::string> corpus, std::uint64_t seed)
      : corpus_(std::move(corpus)),
        random_(seed + 1000 * static_cast<std::uint64_t>(from_environment("WEFT_FUZZ_SEED", 0))) {}

  std::string next() {
    std::string text = corpus_[below(corpus_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes)
      change(text);
    return text;
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

 private:
  void change(std::string& text) {
    const std::size_t at = below(text.size() + 1), left = text.size() - at;
    const std::size_t length = std::min(left, below(2) == 0 ? 1 + below(8) : below(left + 1));
    switch (below(8)) {
    case 0:
    case 1: // flip a bit
      if (left > 0)
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
      break;
    case 2:
      text.resize(at);
      break;
    case 3:
      text.erase(at, length);
      break;
    case 4:
      text.insert(at, text.substr(at, length));
      break;
    case 5:
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), length, below(2) == 0 ? '\0' : '\xff');
      break;
    case 6: { // splice
      const std::string& other = corpus_[below(corpus_.size())];
      const std::size_t from = below(other.size() + 1);
      text.replace(at, length, other.substr(from, length + below(9)));
      break;
    }
    default:
      write_extreme(text, at);
    }
  }
  void write_extreme(std::string& text, std::size_t at) {
    static const std::uint64_t extremes[] = {0,          1,          0x7f,       0x80,       0xff,       0x7fff,
                                             0x8000,     0xffff,     0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
                                             1ull << 62, ~0ull >> 1, 1ull << 63, ~0ull,      ~0ull - 7};
    const std::uint64_t value = extremes[below(std::size(extremes))];
    const std::size_t bytes = std::size_t{1} << below(4);
    const bool big = below(2) == 0;
    for (std::size_t i = 0; i < bytes && at + i < text.size(); ++i)
      text[at + i] = static_cast<char>(value >> 8 * (big ? bytes - 1 - i : i));
  }

  std::vector<std::string> corpus_;
  std::mt19937_64 random_;
};

/// Cases of one test: `few` in the ordinary run, WEFT_FUZZ_ROUNDS in the long one.
inline int rounds(int few) { return from_environment("WEFT_FUZZ_ROUNDS", few); }

/// Bytes of memory this process has had at most.
inline std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{1024} * usage.ru_maxrss;
}

struct FuzzCount {
  int refused = 0, taken = 0; ///< by an error of ours; as if nothing were wrong
  std::int64_t bytes = 0;
};

/// Gives `read` the path of one damaged file after the other. Whatever is thrown must be a weft::Error of a status in
/// `statuses`, with a text; a case must end within ten seconds of processor time (CTest's timeout ends one that waits)
/// and all of them with 300 MB of memory more. What `read` itself expects is checked by it.
inline FuzzCount fuzz(Mutator& mutator, int cases, const std::string& path, const std::vector<int>& statuses,
                      const std::function<void(const std::string& path)>& read,
                      const std::function<void(std::string&)>& repair = {}) {
  FuzzCount count;
  const std::int64_t before = peak_memory();
  for (int i = 0; i < cases && !testing::Test::HasFailure(); ++i) {
    std::string text = mutator.next();
    if (repair)
      repair(text);
    put(path, text);
    count.bytes += static_cast<std::int64_t>(text.size());
    const std::clock_t begin = std::clock();
    try {
      read(path);
      ++count.taken;
    } catch (const Error& error) {
      ++count.refused;
      EXPECT_NE(std::find(statuses.begin(), statuses.end(), error.status), statuses.end())
          << "case " << i << ", status " << error.status << ": " << error.what();
      EXPECT_GT(std::string(error.what()).size(), 10u) << "case " << i;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "case " << i << " threw something else: " << error.what();
    }
    EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 10) << "case " << i;
    if (testing::Test::HasFailure()) {
      const std::string kept = (fs::temp_directory_path() / ("weft-fuzz-" + std::to_string(getpid()))).string();
      put(kept, text);
      ADD_FAILURE() << "case " << i << " is kept as " << kept;
    }
  }
  EXPECT_LT(peak_memory() - before, std::int64_t{300} << 20) << "memory grew without bound";
  std::printf("%d files, %.1f MB: %d refused, %d taken\n", count.refused + count.taken,
              static_cast<double>(count.bytes) * 1e-6, count.refused, count.taken);
  return count;
}

} // namespace weft::test
