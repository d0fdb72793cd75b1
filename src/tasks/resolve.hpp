// What an input file may leave to the data set.
#pragma once
#include "config/config.hpp"

namespace weft {

/// Fills model.classes where it is 0 and data.task has classes, from the data set's training split, so that the
/// resolved input says it. Throws DataError or InputError where the data set is not there, or has more classes than the
/// input file says.
void resolve_from_data(Config& config);

} // namespace weft
