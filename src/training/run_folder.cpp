#include "training/run_folder.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "io/folder_lock.hpp"
#include <chrono>
#include <filesystem>
#include <fmt/chrono.h>

namespace weft {

namespace fs = std::filesystem;

namespace {
bool holds_a_run(const std::string& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().filename() != FolderLock::file_name)
      return true;
  return false;
}
} // namespace

StartingPoint find_start(const Config& config) {
  const RunFolder folder(config);
  StartingPoint start;
  if (config.run.fresh && holds_a_run(folder.path)) {
    const std::string stamp = fmt::format("{:%Y%m%dT%H%M%S}", fmt::gmtime(std::time(nullptr)));
    std::string aside = folder.path + ".before-" + stamp;
    for (int n = 2; fs::exists(aside); ++n)
      aside = fmt::format("{}.before-{}-{}", folder.path, stamp, n);
    std::error_code failed;
    fs::rename(folder.path, aside, failed);
    if (failed)
      throw Error(exit_failure,
                  "run.fresh: " + folder.path + " could not be moved to " + aside + ": " + failed.message());
    start.notes.push_back("run.fresh: the old run was moved to " + aside);
    return start;
  }
  NewestGood newest = newest_good(folder.checkpoints());
  if (newest.path.empty() && !list_checkpoints(folder.checkpoints()).empty()) {
    std::string text = "no checkpoint in " + folder.checkpoints() + " is good:";
    for (const std::string& note : newest.notes)
      text += "\n  " + note;
    throw DataError(text +
                    "\nrestore one of them from a copy, or start over with run.fresh=true (this moves the folder "
                    "aside and deletes nothing)");
  }
  start.checkpoint = newest.path;
  start.notes = std::move(newest.notes);
  if (start.checkpoint.empty() && fs::exists(folder.metrics()))
    start.notes.push_back(folder.path + " has no checkpoint yet: starting at step 0");
  return start;
}

} // namespace weft
