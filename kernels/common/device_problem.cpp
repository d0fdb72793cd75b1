#include "kernels/common/device_problem.hpp"

namespace weft {

namespace {
std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }
} // namespace

std::string device_problem(const DeviceState& s) {
  const std::string start = "this is the CUDA build of weft and ";
  if (s.driver == 0)
    return start + "no NVIDIA driver was found; install the driver, or use the cpu build";
  if (s.driver / 1000 < s.runtime / 1000)
    return start + "the NVIDIA driver is too old: it serves CUDA " + version(s.driver) + ", expected " +
           version(s.runtime / 1000 * 1000) + " or later; update the driver, or build weft with CUDA " +
           version(s.driver) + " or earlier";
  if (!s.said.empty() && s.devices == 0)
    return start + "no usable GPU was found (" + s.said +
           "); ask the scheduler for a GPU, look at CUDA_VISIBLE_DEVICES, or use the cpu build";
  if (s.devices == 0)
    return start + "the driver shows no GPU; ask the scheduler for one, look at CUDA_VISIBLE_DEVICES, or use the cpu "
                   "build";
  if (!s.code_runs)
    return start + "it holds no code for the " + s.name + " (sm_" + std::to_string(s.capability_10) +
           "); build Kokkos and weft for that architecture, or use the cpu build";
  return "";
}

} // namespace weft
