#include "commands/evaluation_config.hpp"
#include "config/keys.hpp"
#include "config/resolved.hpp"
#include <algorithm>
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

} // namespace weft
