// What the tests of MEGA's classifiers and language models share.
#pragma once
#include "config/config.hpp"
#include "tests/model/directional.hpp"
#include <string>

namespace weft::testing {

/// A small MEGA from what tests vary.
inline void make_mega(Config& c, const std::string& pattern, const std::string& stream, const std::string& norm,
                      const std::string& function, std::int64_t value_width) {
  c.model.family = "mega";
  c.model.heads = 1;
  c.model.positions = "none";
  c.model.stream = stream;
  c.model.norm = norm;
  c.attention.pattern = pattern;
  c.attention.function = function;
  c.attention.shared_width = 12;
  c.attention.value_width = value_width;
  c.attention.states = 5;
}

/// Weights with which all of the block matters: scores that tell keys apart, gates off their middle.
template <class AnyFixture>
void stretch(AnyFixture& f) {
  for (const Parameter& p : f.model->parameters().all()) {
    const auto has = [&](const char* part) { return p.name.find(part) != std::string::npos; };
    const bool scores = has("relative") || has("rotary") || has("query") || has("key.");
    const bool maps = (has("block") && has("weight")) || has("embedding");
    for (std::int64_t i = 0; i < p.size; ++i)
      f.values[static_cast<std::size_t>(p.offset + i)] *= scores ? 20.0f : maps ? 5.0f : 1.0f;
  }
  f.use(f.values);
}

} // namespace weft::testing
