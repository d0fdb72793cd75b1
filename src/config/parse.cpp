#include "config/parse.hpp"
#include "config/loader.hpp"
#include "config/validate.hpp"
#include <cerrno>
#include <cstring>
#include <fmt/format.h>

namespace weft {

LoadedConfig load_config_text(const std::string& text, const std::string& name,
                              const std::vector<std::string>& overrides, DataCheck data) {
  LoadedConfig loaded;
  loaded.file = name;
  Problems problems;
  Loader loader(loaded, problems);
  const bool toml = loader.file(text, name);
  for (const std::string& argument : overrides)
    loader.override_with(argument);
  loader.end_of_layer();
  if (toml) {
    validate(loaded, data, problems);
    loader.check_read();
  }
  problems.throw_if_any();
  return loaded;
}

Config from_toml_text(const std::string& text, const std::string& name) {
  LoadedConfig loaded;
  loaded.file = name;
  Problems problems;
  Loader(loaded, problems).file(text, name);
  problems.throw_if_any();
  return loaded.config;
}

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides, DataCheck data) {
  std::string text;
  if (!read_input(path, text))
    throw InputError(fmt::format("{}: cannot read the input file: {}", path, std::strerror(errno)));
  return load_config_text(text, path, overrides, data);
}

} // namespace weft
