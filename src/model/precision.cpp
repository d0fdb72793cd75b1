#include "model/precision.hpp"
#include "io/error.hpp"
#include <fmt/core.h>

namespace weft {

void require_precision(const std::string& precision, const Runtime::Device& device) {
  if (precision == "bf16" && device.capability_10 > 0 && device.capability_10 < 80)
    throw InputError(fmt::format("got run.precision = \"bf16\", and the {} (sm_{}) multiplies no bf16, which begins "
                                 "with sm_80; take run.precision = \"fp16\" or \"fp32\"",
                                 device.name, device.capability_10));
}

} // namespace weft
