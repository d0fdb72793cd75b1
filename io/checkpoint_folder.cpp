// The folder of checkpoints: which there are, which is the newest good one, which may go.
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <map>
#include <sys/stat.h>
#include <tuple>

namespace weft {
namespace fs = std::filesystem;
namespace {

/// What tells that a file is still the one that was verified.
using Identity = std::tuple<dev_t, ino_t, off_t, time_t, long, time_t, long>;
std::map<std::string, Identity> known_good;

std::optional<Identity> identity(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0)
    return std::nullopt;
  return Identity{about.st_dev,          about.st_ino,         about.st_size,        about.st_mtim.tv_sec,
                  about.st_mtim.tv_nsec, about.st_ctim.tv_sec, about.st_ctim.tv_nsec};
}

/// Whether a file verifies. A good one is not read again while inode, size and times stay the same: prune() asks at
/// every checkpoint. Nothing is remembered of bad ones.
bool is_good(const std::string& path, std::string* why = nullptr) {
  const std::optional<Identity> now = identity(path);
  if (!now) {
    if (why != nullptr)
      *why = "there is no such file";
    return false;
  }
  const auto found = known_good.find(path);
  if (found != known_good.end() && found->second == *now)
    return true;
  try {
    verify_checkpoint(path);
  } catch (const DataError& error) {
    if (why != nullptr)
      *why = error.what();
    return false;
  }
  known_good[path] = *now;
  return true;
}

bool is_partial(const std::string& name) { return name.find(".partial-") != std::string::npos; }

} // namespace

std::string checkpoint_path(const std::string& folder, std::int64_t step) {
  return (fs::path(folder) / fmt::format("step-{:08}.h5", step)).string();
}

std::optional<std::int64_t> checkpoint_step(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  if (name.size() < 16 || name.rfind("step-", 0) != 0 || name.substr(name.size() - 3) != ".h5")
    return std::nullopt;
  const std::string digits = name.substr(5, name.size() - 8);
  if (digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoll(digits);
}

void commit_latest(const std::string& folder, std::int64_t step) {
  const std::string path = checkpoint_path(folder, step);
  if (!fs::exists(path))
    throw Error(exit_failure, fmt::format("{} cannot become the latest checkpoint: there is no such file", path));
  replace_file((fs::path(folder) / "latest").string(), fs::path(path).filename().string() + "\n");
}

std::vector<std::string> list_checkpoints(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (checkpoint_step(entry->path().string()))
      paths.push_back(entry->path().string());
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return *checkpoint_step(a) > *checkpoint_step(b); });
  return paths;
}

NewestGood newest_good(const std::string& folder) {
  NewestGood result;
  for (const std::string& path : list_checkpoints(folder)) {
    std::string why;
    if (is_good(path, &why)) {
      result.path = path;
      return result;
    }
    result.notes.push_back(why.find(path) != std::string::npos ? why : fmt::format("{}: {}", path, why));
  }
  return result;
}

void remember_good(const std::string& path) {
  if (const std::optional<Identity> now = identity(path))
    known_good[path] = *now;
}

std::vector<std::string> prune(const std::string& folder, std::int64_t keep, std::int64_t keep_every) {
  std::vector<std::string> removed;
  const std::vector<std::string> all = list_checkpoints(folder);
  const std::string latest_file = (fs::path(folder) / "latest").string();
  if (keep < 1 || !fs::exists(latest_file))
    return removed;
  const std::int64_t needed = std::max<std::int64_t>(keep, 2); // one to fall back to, always
  std::string latest = read_file(latest_file);
  latest.erase(latest.find_last_not_of(" \r\n") + 1);
  latest = (fs::path(folder) / fs::path(latest).filename()).string();
  if (!is_good(latest))
    return removed;
  std::int64_t good = 0;
  for (std::size_t i = 0; i < all.size() && static_cast<std::int64_t>(all.size()) > needed; ++i) {
    const bool for_ever = keep_every > 0 && *checkpoint_step(all[i]) % keep_every == 0;
    if (good < needed)
      good += is_good(all[i]) ? 1 : 0;
    else if (all[i] != latest && !for_ever)
      removed.push_back(all[i]);
  }
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (is_partial(entry->path().filename().string()))
      removed.push_back(entry->path().string());
  for (const std::string& path : removed)
    fs::remove(path, code);
  if (!removed.empty())
    sync_folder(folder);
  return removed;
}

} // namespace weft
