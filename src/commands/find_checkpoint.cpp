#include "commands/find_checkpoint.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "training/run_folder.hpp"
#include <filesystem>

namespace weft {

std::string find_checkpoint(const std::string& what, bool best) {
  namespace fs = std::filesystem;
  if (fs::is_regular_file(what))
    return what;
  if (!fs::is_directory(what))
    throw InputError(what + " is neither a run folder nor a checkpoint file");
  const RunFolder folder(what);
  if (best) {
    if (!fs::exists(folder.best()))
      throw DataError(folder.best() + " is not there: the run has not been evaluated yet; leave out --best");
    return folder.best();
  }
  const NewestGood newest = newest_good(folder.checkpoints());
  if (newest.path.empty())
    throw DataError("no good checkpoint in " + folder.checkpoints() +
                    (newest.notes.empty() ? ": it holds none" : ": " + newest.notes.front()));
  return newest.path;
}

} // namespace weft
