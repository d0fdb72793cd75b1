// Energy of one host: NVIDIA's GPUs through NVML, processors through the kernel's powercap counters. Neither is needed
// to build or to run: what cannot be read is "not measured", never zero.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weft {

/// Joules counted by the powercap zones of a machine, as `energy_uj` files below a sysfs folder. Zones that are part of
/// another one ("intel-rapl:0:1": cores, memory within the package) are left out: the package has counted them.
class PowercapMeter {
 public:
  /// Opens the zones below `root` that can be read now; the kernel lets only root read them on most machines.
  explicit PowercapMeter(const std::string& root = "/sys/class/powercap");
  bool available() const { return !zones_.empty(); }
  /// "powercap (package-0, package-1)"; empty where nothing can be read.
  std::string description() const;
  /// Joules since the last call (or the constructor), NaN where nothing can be read. A counter that has wrapped around
  /// is put right by its max_energy_range_uj, once: call more often than it can go round (minutes). A zone that cannot
  /// be read any more makes this and every later answer NaN, since a part is not the whole.
  double joules();

 private:
  struct Zone {
    std::string path, name;
    std::int64_t last, range; ///< microjoules
  };
  std::vector<Zone> zones_;
  bool lost_ = false;
};

/// Joules drawn by GPUs, by NVML's total energy counter (Volta and newer). The library is looked up at run time.
class NvmlMeter {
 public:
  /// `devices`: numbers as NVML counts them; empty: all of the machine.
  explicit NvmlMeter(const std::vector<unsigned>& devices = {}, const std::string& library = "libnvidia-ml.so.1");
  ~NvmlMeter();
  NvmlMeter(const NvmlMeter&) = delete;
  NvmlMeter& operator=(const NvmlMeter&) = delete;
  bool available() const;
  std::string description() const; ///< "NVML (2 x NVIDIA A100-SXM4-80GB)"; empty where nothing can be read
  double joules();                 ///< as PowercapMeter::joules

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All that this host can measure of itself. One rank of a host asks: the counters are the host's, not a rank's.
class EnergyMeter {
 public:
  explicit EnergyMeter(const std::string& powercap_root = "/sys/class/powercap",
                       const std::string& nvml_library = "libnvidia-ml.so.1");
  /// Where the joules come from, "powercap (package-0) + NVML (1 x NVIDIA H100)", or "not measured".
  std::string source() const;
  bool available() const { return powercap_.available() || nvml_.available(); }
  /// Joules since the last call; NaN where nothing is measured, or where a counter was lost.
  double joules();

 private:
  PowercapMeter powercap_;
  NvmlMeter nvml_;
};

/// "0.0123 kWh", with a grid above 0 (grams of CO2 per kWh) also "0.0123 kWh, 4.92 g CO2" or kilograms from 1000 g on;
/// NaN: "not measured".
std::string energy_text(double joules, double grid_g_per_kwh);

} // namespace weft
