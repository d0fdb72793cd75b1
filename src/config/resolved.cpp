#include "config/resolved.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/patterns.hpp"
#include "config/readers.hpp"
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
  if (!is_read(config, "model.position_shape"))
    return {};
  if (!config.model.position_shape.empty())
    return config.model.position_shape;
  if (config.model.positions == "axial" && is_read(config, "model.positions")) { // 2^ceil and 2^floor of half the bits
    int bits = 0;
    while ((std::int64_t{1} << bits) < config.model.context)
      ++bits;
    return {std::int64_t{1} << (bits + 1) / 2, std::int64_t{1} << bits / 2};
  }
  const std::int64_t l = config.attention.stride;
  return {(config.model.context + l - 1) / l, l};
}

std::vector<std::string> differences(const Config& one, const Config& other, Shapes shapes, const char* of_one,
                                     const char* of_other) {
  Config a = one, b = other;
  const Readers left(a), right(b);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < left.keys().size(); ++i) {
    const Key &x = left.keys()[i], &y = right.keys()[i];
    if (x.shapes == shapes && plain_text(x) != plain_text(y) && (left.read(x.name) || right.read(x.name)))
      out.push_back(fmt::format("{}: {} {}, {} {}", x.name, of_one, plain_text(x), of_other, plain_text(y)));
  }
  return out;
}

std::vector<std::string> model_differences(const Config& saved, const Config& asked) {
  std::vector<std::string> out = differences(saved, asked, Shapes::parameters, "saved", "asked for");
  // What the parameters have is not the key but what it stands for, the context and the stride where it is empty.
  std::erase_if(out, [](const std::string& line) { return line.rfind("model.position_shape:", 0) == 0; });
  const std::vector<std::int64_t> a = position_tables(saved), b = position_tables(asked);
  if (a != b)
    out.push_back(fmt::format("position tables (model.position_shape, or model.context and attention.stride): saved "
                              "[{}], asked for [{}]",
                              joined(a, ", "), joined(b, ", ")));
  if (saved.model.positions == "learned" && is_read(saved, "model.positions") &&
      saved.model.context != asked.model.context)
    out.push_back(fmt::format("model.context (a learned vector for every position): saved {}, asked for {}",
                              saved.model.context, asked.model.context));
  const auto projections = [](const Config& c) { return has_global_projections(c) ? "there" : "not there"; };
  if (has_global_projections(saved) != has_global_projections(asked))
    out.push_back(fmt::format("projections of global positions (attention.pattern, attention.form and "
                              "attention.global): saved {}, asked for {}",
                              projections(saved), projections(asked)));
  return out;
}

} // namespace weft
