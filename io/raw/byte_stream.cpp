#include "io/raw/byte_stream.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/raw/archive.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <string_view>
#include <unistd.h>

namespace weft {
namespace {

volatile std::sig_atomic_t stop_signal = 0;
void on_signal(int number) { stop_signal = number; }

/// Whether bytes look like the beginning of a gzip, bzip2, xz, zstd or zip file.
bool begins_packed(const std::uint8_t* data, std::size_t bytes) {
  using namespace std::string_view_literals;
  const std::string_view head(reinterpret_cast<const char*>(data), bytes);
  for (const std::string_view magic : {"\x1f\x8b\x08"sv, "BZh"sv, "\xfd\x37zXZ"sv, "\x28\xb5\x2f\xfd"sv, "PK\3\4"sv})
    if (head.substr(0, magic.size()) == magic)
      return true;
  return false;
}

} // namespace

StopGuard::StopGuard() {
  stop_signal = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
}

StopGuard::~StopGuard() {
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
}

void StopGuard::check() {
  if (stop_signal != 0)
    throw Error(exit_failure, fmt::format("stopped by signal {}; nothing was written", static_cast<int>(stop_signal)));
}

StagedBytes::StagedBytes(const std::string& folder)
    : path_((std::filesystem::path(folder) / "bytes").string()), sha256_of_(Digest::Kind::sha256),
      md5_of_(Digest::Kind::md5) {
  descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0)
    throw Error(exit_failure, fmt::format("cannot create {}: {}", path_, std::strerror(errno)));
}

StagedBytes::~StagedBytes() { drop(); }

void StagedBytes::drop() {
  if (descriptor_ < 0)
    return;
  close(descriptor_);
  unlink(path_.c_str());
  descriptor_ = -1;
}

void StagedBytes::append(const std::uint8_t* data, std::size_t bytes) {
  sha256_of_.update(data, bytes);
  md5_of_.update(data, bytes);
  size_ += static_cast<std::int64_t>(bytes);
  while (bytes > 0) {
    const ssize_t written = write(descriptor_, data, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      throw Error(exit_failure, fmt::format("cannot write {}: {}; unpacking needs room for the raw bytes twice", path_,
                                            std::strerror(errno)));
    data += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

const std::string& StagedBytes::sha256() {
  if (sha256_.empty())
    sha256_ = sha256_of_.hex();
  return sha256_;
}

const std::string& StagedBytes::md5() {
  if (md5_.empty())
    md5_ = md5_of_.hex();
  return md5_;
}

void StagedBytes::read(std::int64_t first, std::int64_t count, std::uint8_t* to) const {
  while (count > 0) {
    const ssize_t got = pread(descriptor_, to, static_cast<std::size_t>(count), first);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      throw Error(exit_failure,
                  fmt::format("cannot read {} back: {}", path_, got == 0 ? "it ends early" : std::strerror(errno)));
    to += got;
    first += got;
    count -= got;
  }
}

int stage(StagedBytes& bytes, const std::string& path, std::int64_t most, std::vector<std::string>* packed) {
  RawFile file(path);
  std::vector<std::uint8_t> block(1 << 18);
  int members = 0;
  for (; file.next(); ++members) {
    std::size_t got;
    const std::int64_t before = bytes.size();
    while ((got = file.read(block.data(), block.size())) > 0) {
      if (packed != nullptr && bytes.size() == before && begins_packed(block.data(), got))
        packed->push_back(file.name() == std::filesystem::path(path).filename() ? path : path + ": " + file.name());
      StopGuard::check();
      bytes.append(block.data(), got);
      if (bytes.size() > most)
        throw DataError(fmt::format("{} holds more than the {} bytes expected; it is another file", path, most));
    }
  }
  if (members == 0)
    throw DataError(fmt::format("the archive {} holds no file: it is empty, or nothing but zeros, which are an empty "
                                "tar archive; download it again",
                                path));
  return members;
}

Prepared write_byte_splits(AtomicFolder& folder, const std::string& target, StagedBytes& bytes, int shards,
                           const std::string& task) {
  const std::int64_t size = bytes.size();
  if (size < 20)
    throw DataError(
        fmt::format("there are {} bytes in all; at least 20 are needed for three splits of 90, 5 and 5 %", size));
  // floor(0.9 n) and floor(0.05 n) without an overflow at any n
  const std::int64_t train = size / 10 * 9 + size % 10 * 9 / 10, valid = size / 20;
  const DataSetAttributes attributes{task, 256, bytes.sha256()};
  Prepared prepared;
  const auto write = [&](const char* split, std::int64_t begin, std::int64_t count) {
    const auto provider = [&bytes, begin](std::int64_t first, std::int64_t length, std::uint8_t* to) {
      StopGuard::check();
      bytes.read(begin + first, length, to);
    };
    prepared.splits.push_back(write_stream_split(folder.temporary(), split, count, provider, shards, attributes));
  };
  write("train", 0, train);
  write("valid", train, valid);
  write("test", train + valid, size - train - valid);
  bytes.drop();
  prepared.written = publish_data_set(folder, target);
  return prepared;
}

} // namespace weft
