#include "commands/evaluation_config.hpp"
#include "config/keys.hpp"
#include "config/resolved.hpp"
#include "io/error.hpp"
#include "io/shards.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>

namespace weft {

LoadedConfig evaluation_config(const std::string& text, const std::string& path, std::vector<std::string> overrides) {
  const bool shape_given = std::any_of(overrides.begin(), overrides.end(), [](const std::string& one) {
    return one.rfind("model.position_shape", 0) == 0;
  });
  if (!shape_given)
    overrides.push_back(
        fmt::format("model.position_shape=[{}]", joined(position_tables(from_toml_text(text, path)), ", ")));
  return load_config_text(text, path, overrides, DataCheck::skipped);
}

void require_split(const std::string& folder, const std::string& split) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(folder, ignored))
    throw DataError(fmt::format("there is no data set {}{}; give its folder with data.path=DIR", folder,
                                fs::path(folder).is_absolute()
                                    ? ""
                                    : " in " + fs::current_path(ignored).string() + ", from where the path is read"));
  if (!fs::is_directory(folder, ignored))
    throw DataError(
        fmt::format("data.path = {} is a file, expected the folder of a data set; weft prepare makes one", folder));
  if (!has_split(folder, split))
    throw DataError("no split \"" + split + "\" in " + folder +
                    "; give --split train, valid or test, or another folder with data.path=DIR");
}

} // namespace weft
