#include "config/resolved.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include <fmt/format.h>

namespace weft {

std::string to_toml(const Config& config) {
  Config copy = config;
  std::string out, section;
  for (const Key& key : keys_of(copy)) {
    if (key.section() != section) {
      section = key.section();
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section);
    }
    out += fmt::format("{:<32} # {}{}\n", key.last() + " = " + value_text(key),
                       key.unit.empty() ? "" : "[" + key.unit + "] ", key.help);
  }
  return out;
}

std::vector<std::int64_t> position_tables(const Config& config) {
  if (!config.model.position_shape.empty())
    return config.model.position_shape;
  const std::int64_t l = config.attention.stride;
  return {(config.model.context + l - 1) / l, l};
}

std::vector<std::string> model_differences(const Config& saved, const Config& asked) {
  std::vector<std::string> out;
  const auto compare = [&](const char* key, const auto& a, const auto& b) {
    if (a != b)
      out.push_back(fmt::format("{}: saved {}, asked for {}", key, a, b));
  };
  compare("model.family", saved.model.family, asked.model.family);
  compare("model.layers", saved.model.layers, asked.model.layers);
  compare("model.width", saved.model.width, asked.model.width);
  compare("model.heads", saved.model.heads, asked.model.heads);
  compare("model.vocabulary", saved.model.vocabulary, asked.model.vocabulary);
  compare("model.half_size", saved.model.half_size, asked.model.half_size);
  const auto list = [](const Config& c) { return fmt::format("[{}]", joined(position_tables(c), ", ")); };
  compare("position tables (model.position_shape, or model.context and attention.stride)", list(saved), list(asked));
  return out;
}

} // namespace weft
