#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path, int number) {
  const char* advice = "";
  if (number == ENOSPC || number == EDQUOT)
    advice = "; free some space or choose another folder";
  else if (number == EACCES || number == EPERM || number == EROFS)
    advice = "; choose a folder that you may write to";
  throw Error(exit_failure, fmt::format("cannot {} {}: {}{}", what, path, std::strerror(number), advice));
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  return path;
}

std::string parent_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string partial_name(const std::string& path) { return fmt::format("{}.partial-{}", path, getpid()); }

void make_folder(const std::string& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code)
    fail("create the folder", folder, code.value());
}

std::atomic<int> sync_error = 0;

} // namespace

void let_syncs_fail(int number) { sync_error = number; }

void sync_folder(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    fail("open the folder", folder, errno);
  const int result = fsync(descriptor);
  const int number = errno;
  close(descriptor);
  if (result != 0 && number != EINVAL && number != ENOTSUP)
    fail("sync the folder", folder, number);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  std::error_code code;
  // A device, a pipe, this program's own output: nothing that a file may take the place of.
  const bool own = path_.rfind("/dev/std", 0) == 0 || path_.rfind("/dev/fd/", 0) == 0 || path_.rfind("/proc/", 0) == 0;
  if (path_ == "-" || path_.rfind("/dev/std", 0) == 0)
    std::fflush(nullptr); // what was printed before comes first
  if (path_ == "-") {
    temporary_ = "the standard output";
    done_ = true;
    descriptor_ = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (descriptor_ < 0)
      fail("open", temporary_, errno);
    return;
  }
  if (own || (fs::exists(path_, code) && !fs::is_regular_file(path_, code) && !fs::is_directory(path_, code))) {
    temporary_ = path_;
    done_ = true;
    descriptor_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor_ < 0)
      fail("open", path_, errno);
    return;
  }
  if (fs::is_symlink(path_, code)) // the file that it names is replaced, and the link stays
    path_ = fs::weakly_canonical(path_).string();
  temporary_ = partial_name(path_);
  make_folder(parent_of(path_));
  // Created at once, so that a folder nobody may write to is known before the work and not after it.
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0)
    fail("create", temporary_, errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0)
    close(descriptor_);
  if (!done_)
    unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, at, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      fail("write", temporary_, errno);
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::sync() {
  if (fsync(descriptor_) != 0)
    fail("sync", temporary_, errno);
  // A library may have replaced the file under the temporary name instead of writing into it: sync that one as well.
  const int again = open(temporary_.c_str(), O_RDONLY | O_CLOEXEC);
  if (again < 0)
    fail("open again", temporary_, errno);
  const int synced = fsync(again), number = sync_error != 0 ? sync_error.load() : errno;
  close(again);
  if (synced != 0 || sync_error != 0)
    fail("sync", temporary_, number);
}

void AtomicFile::commit() {
  const bool in_place = done_;
  if (!in_place)
    sync();
  const int closed = close(descriptor_);
  descriptor_ = -1;
  if (closed != 0)
    fail("close", temporary_, errno);
  if (in_place)
    return;
  if (rename(temporary_.c_str(), path_.c_str()) != 0)
    fail("rename the finished file to", path_, errno);
  done_ = true;
  sync_folder(parent_of(path_));
}

AtomicFolder::AtomicFolder(std::string path) : path_(without_slash(std::move(path))), temporary_(partial_name(path_)) {
  make_folder(parent_of(path_));
  if (mkdir(temporary_.c_str(), 0777) != 0)
    fail("create the folder", temporary_, errno);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!done_)
    fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  sync_folder(temporary_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
      throw InputError(
          fmt::format("{} exists already; nothing was written. Remove it or choose another target", path_));
    fail("rename the finished folder to", path_, errno);
  }
  done_ = true;
  sync_folder(parent_of(path_));
}

void replace_file(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

std::string read_file(const std::string& path) { return read_head(path, std::numeric_limits<std::int64_t>::max()); }

std::string read_head(const std::string& path, std::int64_t most) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  std::string text;
  char block[65536];
  ssize_t got;
  const auto room = [&] {
    return static_cast<std::size_t>(
        std::min<std::int64_t>(sizeof block, most - static_cast<std::int64_t>(text.size())));
  };
  while ((got = read(descriptor, block, room())) > 0 || (got < 0 && errno == EINTR))
    if (got > 0)
      text.append(block, static_cast<std::size_t>(got));
  const int number = errno;
  close(descriptor);
  if (got < 0)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(number)));
  return text;
}

} // namespace weft
