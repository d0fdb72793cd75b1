#pragma once

namespace weft {

/// What a kernel does with the numbers that its result's memory holds.
enum class Into { overwrite, add };

} // namespace weft
