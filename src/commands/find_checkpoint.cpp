#include "commands/find_checkpoint.hpp"
#include "config/keys.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "training/run_folder.hpp"
#include <algorithm>
#include <filesystem>
#include <vector>

namespace weft {
namespace {

/// "a/x, a/y, ...": the folders in `folder` that hold checkpoints, at most ten.
std::string runs_in(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code))
    if (fs::is_directory(RunFolder(entry.path().string()).checkpoints(), code))
      names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  constexpr std::size_t most = 10;
  const bool more = names.size() > most;
  names.resize(std::min(names.size(), most));
  return joined(names, ", ") + (more ? ", ... (weft runs " + folder + " lists all)" : "");
}

} // namespace

std::string find_initial_weights(const Config& config) {
  namespace fs = std::filesystem;
  const RunFolder own(config);
  if (config.model.init_from.empty() || (!config.run.fresh && !newest_good(own.checkpoints()).path.empty()))
    return "";
  try {
    const std::string path = find_checkpoint(config.model.init_from, false);
    std::error_code ignored;
    const std::string file = fs::weakly_canonical(path, ignored), folder = fs::weakly_canonical(own.path, ignored) / "";
    if (file.rfind(folder, 0) == 0)
      throw InputError(path +
                       " belongs to the run itself, which run.fresh moves aside; give this run another run.name");
    return path;
  } catch (const InputError& error) {
    throw InputError(std::string("model.init_from: ") + error.what());
  } catch (const DataError& error) {
    throw DataError(std::string("model.init_from: ") + error.what());
  }
}

std::string find_checkpoint(const std::string& what, bool best) {
  namespace fs = std::filesystem;
  if (fs::is_regular_file(what))
    return what;
  if (!fs::is_directory(what))
    throw InputError(what + " is neither a run folder nor a checkpoint file");
  const RunFolder folder(what);
  if (!fs::exists(folder.checkpoints()))
    if (const std::string runs = runs_in(what); !runs.empty())
      throw DataError(what + " is a folder of runs, expected one of them: " + runs);
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
