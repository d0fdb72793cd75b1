#include "io/seal.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>
#include <memory>
#include <sstream>
#include <string_view>
#include <vector>

namespace weft {
namespace {

// The file ends "<text><length of text, 8 digits>WEFTSEAL", text being "<HDF5 bytes> <n> <offset> <size> ... <sha256>".
constexpr std::string_view mark = "WEFTSEAL";
constexpr std::size_t footer = 16;
// A global heap begins with a signature, version 1, three zeros and its size (HDF5 file format, section III.E).
constexpr std::string_view heap_signature{"GCOL\1\0\0\0", 8};
constexpr std::int64_t most_heap = 1 << 24;

struct Range {
  std::int64_t offset, size;
};
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::int64_t size_of(std::FILE* file) { return fseeko(file, 0, SEEK_END) == 0 ? ftello(file) : -1; }

std::string piece(std::FILE* file, std::int64_t offset, std::int64_t size) {
  std::string bytes(static_cast<std::size_t>(std::max<std::int64_t>(size, 0)), '\0');
  if (offset < 0 || fseeko(file, offset, SEEK_SET) != 0)
    return {};
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  return bytes;
}

/// Every place that looks like a heap; one among the numbers of an array would be covered in vain, no more.
std::vector<Range> find_heaps(std::FILE* file, std::int64_t end) {
  constexpr std::int64_t step = 1 << 20;
  std::vector<Range> heaps;
  for (std::int64_t at = 0; at < end; at += step) {
    // Blocks overlap by what a head needs, so that none is cut in two.
    const std::string block = piece(file, at, std::min<std::int64_t>(step + 15, end - at));
    for (std::size_t found = block.find(heap_signature);
         found != std::string::npos && found + 16 <= block.size() && found < static_cast<std::size_t>(step);
         found = block.find(heap_signature, found + 1)) {
      std::int64_t size;
      std::memcpy(&size, block.data() + found + 8, sizeof size);
      const std::int64_t offset = at + static_cast<std::int64_t>(found);
      heaps.push_back({offset, std::clamp<std::int64_t>(size, 16, std::min(most_heap, end - offset))});
    }
  }
  return heaps;
}

std::string digest_of(std::FILE* file, const std::string& text, const std::vector<Range>& heaps) {
  Digest digest(Digest::Kind::sha256);
  digest.update(text.data(), text.size());
  for (const Range& heap : heaps) {
    const std::string bytes = piece(file, heap.offset, heap.size);
    digest.update(bytes.data(), bytes.size());
  }
  return digest.hex();
}

} // namespace

void seal(const std::string& path) {
  File file(std::fopen(path.c_str(), "r+b"), std::fclose);
  if (!file)
    throw Error(exit_failure, fmt::format("cannot open {} to seal it: {}", path, std::strerror(errno)));
  const std::int64_t end = size_of(file.get());
  const std::vector<Range> heaps = find_heaps(file.get(), end);
  std::string text = fmt::format("{} {}", end, heaps.size());
  for (const Range& heap : heaps)
    text += fmt::format(" {} {}", heap.offset, heap.size);
  text += " ";
  text += digest_of(file.get(), text, heaps);
  text += fmt::format("{:08}{}", text.size(), mark);
  const bool written = fseeko(file.get(), end, SEEK_SET) == 0 &&
                       std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                       std::fflush(file.get()) == 0;
  if (!written)
    throw Error(exit_failure, fmt::format("cannot write the end of {}: {}", path, std::strerror(errno)));
}

bool check_seal(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  const std::int64_t size = size_of(file.get());
  const std::string head = piece(file.get(), 0, 48);
  // Only superblocks of versions 2 and 3 with 8-byte addresses; the library judges all others.
  if (head.size() < 48 || head.compare(0, 8, "\x89HDF\r\n\x1a\n") != 0 || head[8] < 2 || head[9] != 8)
    return false;
  std::int64_t end;
  std::memcpy(&end, head.data() + 28, sizeof end);
  if (size == end)
    return false; // another program's file, or one that another program has changed
  const std::string what = fmt::format("{} is damaged or cut short: ", path);
  if (size < end)
    throw DataError(fmt::format("{}it has {} bytes, expected {} at least", what, size, end));
  const std::string tail = piece(file.get(), size - static_cast<std::int64_t>(footer), footer);
  const auto number = [](const std::string& digits) {
    return digits.find_first_not_of("0123456789") == std::string::npos ? std::stoll(digits) : -1;
  };
  const std::int64_t length = tail.size() == footer && tail.substr(8) == mark ? number(tail.substr(0, 8)) : -1;
  if (length < 64 || end + length + static_cast<std::int64_t>(footer) != size)
    throw DataError(what + "its end is not the seal it was written with");
  const std::string text = piece(file.get(), end, length), claim = text.substr(0, text.size() - 64);
  std::istringstream words(claim);
  std::int64_t bytes = -1, count = -1;
  words >> bytes >> count;
  std::vector<Range> heaps;
  for (Range heap{}; static_cast<std::int64_t>(heaps.size()) < count && words >> heap.offset >> heap.size;)
    if (heap.size >= 0 && heap.size <= most_heap)
      heaps.push_back(heap);
    else
      break;
  if (bytes != end || static_cast<std::int64_t>(heaps.size()) != count ||
      digest_of(file.get(), claim, heaps) != text.substr(text.size() - 64))
    throw DataError(what + "its texts are not those it was sealed with");
  return true;
}

} // namespace weft
