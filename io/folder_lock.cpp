#include "io/folder_lock.hpp"
#include "io/error.hpp"
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {

namespace {
struct flock lock_of_the_whole() {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

// Open file description locks: an ordinary fcntl lock is lost when anything in the process closes the same file.
int try_lock(int descriptor) {
  struct flock whole = lock_of_the_whole();
  return fcntl(descriptor, F_OFD_SETLK, &whole) == 0 ? 0 : errno;
}

std::string line_of(int descriptor) {
  char text[512] = {};
  const ssize_t got = pread(descriptor, text, sizeof text - 1, 0);
  std::string line(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  line.erase(line.find_last_not_of(" \n") + 1);
  return line.empty() ? "another process" : line;
}

/// Whether `path` is still the file that is open: its folder may have been renamed before the lock was ours.
bool same_file(int descriptor, const std::string& path) {
  struct stat open_file {
  }, named{};
  return fstat(descriptor, &open_file) == 0 && stat(path.c_str(), &named) == 0 && open_file.st_ino == named.st_ino &&
         open_file.st_dev == named.st_dev;
}
} // namespace

FolderLock::FolderLock(const std::string& folder) {
  const std::string path = folder + "/" + file_name;
  do {
    if (descriptor_ >= 0)
      close(descriptor_);
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    if (code)
      throw Error(exit_failure, fmt::format("cannot create the run folder {}: {}; choose a run.directory that you may "
                                            "write to",
                                            folder, code.message()));
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0)
      throw Error(exit_failure, fmt::format("cannot open {}: {}; choose a run.directory that you may write to", path,
                                            std::strerror(errno)));
    const int number = try_lock(descriptor_);
    if (number == EAGAIN || number == EACCES) {
      const std::string who = line_of(descriptor_);
      close(descriptor_);
      throw Error(exit_failure, fmt::format("the run folder {} is in use by {}; wait for that run, stop it (it stops "
                                            "when a file {}/STOP is made), or choose another run.name",
                                            folder, who, folder));
    }
    held_ = number == 0;
  } while (held_ && !same_file(descriptor_, path));
  char host[256] = "unknown host";
  gethostname(host, sizeof host - 1);
  const std::string line =
      fmt::format("process {} on {}, started {:%Y-%m-%dT%H:%M:%SZ}\n", getpid(), host, fmt::gmtime(std::time(nullptr)));
  // For people only: a disk that is full must not stop a run that may find room later.
  if (ftruncate(descriptor_, 0) != 0 || pwrite(descriptor_, line.data(), line.size(), 0) < 0)
    return;
}

FolderLock::~FolderLock() { close(descriptor_); }

std::optional<std::string> FolderLock::holder(const std::string& folder) {
  const int descriptor = open((folder + "/" + file_name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return std::nullopt;
  struct flock whole = lock_of_the_whole();
  std::optional<std::string> who;
  if (fcntl(descriptor, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK)
    who = line_of(descriptor);
  close(descriptor);
  return who;
}

} // namespace weft
