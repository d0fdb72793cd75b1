#include "io/raw/archive.hpp"
#include "io/error.hpp"
#include "io/raw/gzip.hpp"
#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fmt/core.h>
#include <string_view>
#include <vector>

namespace weft {
namespace fs = std::filesystem;
using namespace std::string_view_literals;
namespace {

constexpr const char* advice = "download it again";

/// A name's ending says what the first bytes must be; otherwise a damaged archive would pass for plain bytes.
struct Ending {
  std::string_view ending, magic;
};
constexpr Ending endings[] = {{".gz", "\x1f\x8b"sv},
                              {".tgz", "\x1f\x8b"sv},
                              {".zip", "PK"sv},
                              {".bz2", "BZh"sv},
                              {".xz", "\xfd"
                                      "7zXZ"sv},
                              {".zst", "\x28\xb5\x2f\xfd"sv}};

std::string head_of(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  std::string head(8, '\0');
  head.resize(std::fread(head.data(), 1, head.size(), file));
  std::fclose(file);
  return head;
}

void check_ending(const std::string& path, std::string_view head) {
  for (const auto& [ending, magic] : endings)
    if (path.size() > ending.size() && path.compare(path.size() - ending.size(), ending.size(), ending) == 0 &&
        head.substr(0, magic.size()) != magic)
      throw DataError(fmt::format("{} is named like a {} file but does not begin like one; it is damaged or something "
                                  "else: {}",
                                  path, ending, advice));
}

/// A zip archive ends with a record "PK\5\6" and a comment of at most 65535 bytes; one cut short has lost it.
void check_zip_end(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  const auto size = static_cast<std::int64_t>(fs::file_size(path));
  std::string tail(static_cast<std::size_t>(std::min<std::int64_t>(size, 65536 + 22)), '\0');
  const bool read = fseeko(file, static_cast<off_t>(size - static_cast<std::int64_t>(tail.size())), SEEK_SET) == 0 &&
                    std::fread(tail.data(), 1, tail.size(), file) == tail.size();
  std::fclose(file);
  if (!read || tail.rfind("PK\5\6") == std::string::npos)
    throw DataError(
        fmt::format("the zip archive {} ({} bytes) is cut short: its end record is missing; {}", path, size, advice));
}

} // namespace

struct RawFile::State {
  std::string path;
  archive* reader = nullptr;
  std::unique_ptr<GzipSource> gzip;
  std::array<std::uint8_t, 65536> block;
  std::exception_ptr failure; // thrown again outside libarchive's C frames
  std::int64_t member_bytes = 0;

  ~State() { archive_read_free(reader); }

  static la_ssize_t on_read(archive*, void* user, const void** data) {
    auto* state = static_cast<State*>(user);
    try {
      *data = state->block.data();
      return static_cast<la_ssize_t>(state->gzip->read(state->block.data(), state->block.size()));
    } catch (...) {
      state->failure = std::current_exception();
      return -1;
    }
  }

  [[noreturn]] void fail() {
    if (failure)
      std::rethrow_exception(failure);
    const char* why = archive_error_string(reader);
    throw DataError(
        fmt::format("{} is damaged or cut short ({}); {}", path, why == nullptr ? "no reason given" : why, advice));
  }
};

RawFile::RawFile(const std::string& path) : path_(path), state_(std::make_unique<State>()) {
  std::error_code code;
  if (!fs::exists(path, code))
    throw DataError(fmt::format("there is no file {}", path));
  if (fs::is_directory(path, code))
    throw DataError(fmt::format("{} is a folder; name the files in it", path));
  if (!fs::is_regular_file(path, code)) // its head would be read twice
    throw InputError(fmt::format("{} is a pipe or a device, expected a file: an archive's kind is told from its "
                                 "beginning, which is then read again; write the bytes to a file first",
                                 path));
  const std::string head = head_of(path);
  if (head.empty())
    throw DataError(fmt::format("{} is empty; {}", path, advice));
  check_ending(path, head);
  state_->path = path;
  state_->reader = archive_read_new();
  archive* reader = state_->reader;
  archive_read_support_filter_bzip2(reader);
  archive_read_support_filter_xz(reader);
  archive_read_support_filter_zstd(reader);
  archive_read_support_format_tar(reader);
  archive_read_support_format_raw(reader);
  int result;
  if (head.compare(0, 2, "\x1f\x8b") == 0) {
    // libarchive's own gzip filter does not compare checksums.
    state_->gzip = std::make_unique<GzipSource>(path);
    archive_read_support_format_zip_streamable(reader);
    result = archive_read_open(reader, state_.get(), nullptr, State::on_read, nullptr);
  } else {
    if (head.compare(0, 4, "PK\3\4") == 0 || head.compare(0, 4, "PK\5\6") == 0)
      check_zip_end(path);
    archive_read_support_format_zip(reader);
    result = archive_read_open_filename(reader, path.c_str(), 65536);
  }
  if (result != ARCHIVE_OK)
    state_->fail();
}

RawFile::~RawFile() = default;

bool RawFile::next() {
  archive_entry* entry = nullptr;
  for (;;) {
    const int result = archive_read_next_header(state_->reader, &entry);
    if (result == ARCHIVE_EOF)
      break;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
      state_->fail();
    if (archive_format(state_->reader) == ARCHIVE_FORMAT_RAW) {
      name_ = fs::path(path_).filename().string();
      return true;
    }
    const char* name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
      continue;
    name_ = name == nullptr ? "(unnamed)" : name;
    return true;
  }
  // A tar archive may end before its compressed file does: the rest holds the checksum.
  if (state_->gzip)
    while (state_->gzip->read(state_->block.data(), state_->block.size()) > 0)
      continue;
  return false;
}

std::size_t RawFile::read(std::uint8_t* to, std::size_t bytes) {
  const la_ssize_t got = archive_read_data(state_->reader, to, bytes);
  if (got < 0)
    state_->fail(); // warnings too: a wrong CRC of a zip member is one
  return static_cast<std::size_t>(got);
}

} // namespace weft
