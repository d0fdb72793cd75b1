#include "io/tensorboard.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <unistd.h>

namespace weft {
namespace {

// Protocol-buffer wire types: a field's key is (number << 3) | type.
enum : unsigned { wire_varint = 0, wire_double = 1, wire_bytes = 2, wire_float = 5 };

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7)
    bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string key(unsigned number, unsigned type) { return varint(number << 3 | type); }

template <class T>
std::string plain(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string bytes_field(unsigned number, const std::string& body) {
  return key(number, wire_bytes) + varint(body.size()) + body;
}

} // namespace

EventFile::EventFile(const std::string& folder, std::int64_t first_step) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  char host[256] = "host";
  gethostname(host, sizeof host - 1);
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  // Two in one process and second get names of their own by a count.
  for (int count = 0; file_ == nullptr && count < 1000; ++count) {
    path_ = (std::filesystem::path(folder) / fmt::format("events.out.tfevents.{}.{}.{}{}", now.count(), host, getpid(),
                                                         count == 0 ? "" : fmt::format(".{}", count)))
                .string();
    file_ = std::fopen(path_.c_str(), "wbx");
    if (file_ == nullptr && errno != EEXIST)
      break;
  }
  if (file_ == nullptr)
    throw Error(exit_failure, fmt::format("cannot create {}: {}", path_, std::strerror(errno)));
  add_event(0, bytes_field(3, "brain.Event:2")); // Event.file_version
  // Event.session_log { status: START } voids what older files say from this step on.
  add_event(first_step, bytes_field(7, key(1, wire_varint) + varint(1)));
  flush();
}

EventFile::~EventFile() {
  if (file_ != nullptr)
    std::fclose(file_);
}

void EventFile::add_scalar(const std::string& tag, std::int64_t step, double value) {
  // Event.summary { value { tag, simple_value } }
  const std::string entry = bytes_field(1, tag) + key(2, wire_float) + plain(static_cast<float>(value));
  add_event(step, bytes_field(5, bytes_field(1, entry)));
}

void EventFile::add_event(std::int64_t step, const std::string& body) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::string event =
      key(1, wire_double) + plain(now) + key(2, wire_varint) + varint(static_cast<std::uint64_t>(step)) + body;
  const std::string length = plain(static_cast<std::uint64_t>(event.size()));
  const std::string record = length + plain(masked_crc32c(length.data(), length.size())) + event +
                             plain(masked_crc32c(event.data(), event.size()));
  if (std::fwrite(record.data(), 1, record.size(), file_) != record.size())
    throw Error(exit_failure, fmt::format("cannot write {}: {}", path_, std::strerror(errno)));
}

void EventFile::flush() {
  if (std::fflush(file_) != 0)
    throw Error(exit_failure, fmt::format("cannot write {}: {}", path_, std::strerror(errno)));
}

} // namespace weft
