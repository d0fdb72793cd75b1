// Axial positions (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451, section 4) as families read them from a config.
#pragma once
#include "config/resolved.hpp"
#include "model/layers/embedding.hpp"

namespace weft {

/// The tables of model.position_shape, side by side in a row of width D: model.position_widths, or equal parts.
inline void use_axial_positions(EmbeddingSetup& setup, const Config& c) {
  setup.position_tables = position_tables(c);
  setup.position_widths = c.model.position_widths;
  if (setup.position_widths.empty())
    setup.position_widths.assign(setup.position_tables.size(),
                                 c.model.width / static_cast<std::int64_t>(setup.position_tables.size()));
}

} // namespace weft
