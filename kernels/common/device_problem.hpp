// What keeps a CUDA build from computing on this machine, in words. Apart from CUDA, so that it is tested everywhere.
#pragma once
#include <string>

namespace weft {

struct DeviceState {
  int driver = 0;        ///< newest CUDA version that the driver serves, 1000 major + 10 minor; 0: no driver
  int runtime = 0;       ///< CUDA version that the program was built with, likewise
  int devices = 0;       ///< that this process sees
  bool code_runs = true; ///< the device can run the code that was compiled in
  std::string said;      ///< CUDA's own words for the first error; empty: none
  std::string name;      ///< of the device
  int capability_10 = 0; ///< 10 major + minor of its compute capability
};

/// One line: what was found, what is needed, what to do; empty where the device can be used.
std::string device_problem(const DeviceState& state);

} // namespace weft
