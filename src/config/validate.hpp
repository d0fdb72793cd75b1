// Rules that tie several keys together.
#pragma once
#include "config/parse.hpp"
#include "config/problems.hpp"

namespace weft {

/// Adds every broken rule to `problems`. A rule is left out if one of its keys is already named there, so that one
/// mistake makes one message. load_config calls it; call it again only after changing a Config by hand.
void validate(const LoadedConfig& loaded, DataCheck data, Problems& problems);

/// The same, throwing what was found (InputError or MissingDataError).
void validate(const LoadedConfig& loaded, DataCheck data = DataCheck::required);

/// Whether x may be a factor on the loss: a power of two between the ends in config.hpp.
bool is_loss_scale(double x);

} // namespace weft
