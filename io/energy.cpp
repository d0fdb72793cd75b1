#include "io/energy.hpp"
#include <algorithm>
#include <cmath>
#include <dlfcn.h>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <limits>
#include <optional>

namespace weft {
namespace {

namespace fs = std::filesystem;
constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = -1;
  if (!(file >> value) || value < 0)
    return std::nullopt;
  return value;
}

/// "intel-rapl:0" (AMD's processors have the same name), not "intel-rapl" and not "intel-rapl:0:1". The memory-mapped
/// twin "intel-rapl-mmio:0" counts the package a second time.
bool outermost_zone(const std::string& name) {
  return name.rfind("intel-rapl:", 0) == 0 && std::count(name.begin(), name.end(), ':') == 1;
}

} // namespace

PowercapMeter::PowercapMeter(const std::string& root) {
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(root, failed), end; !failed && entry != end; entry.increment(failed))
    if (outermost_zone(entry->path().filename().string()))
      names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string folder = root + "/" + name;
    const auto now = number_in(folder + "/energy_uj"), range = number_in(folder + "/max_energy_range_uj");
    std::string label;
    std::ifstream(folder + "/name") >> label;
    // "psys" is the whole board, the packages in it.
    if (now && range && *range > 0 && label != "psys")
      zones_.push_back({folder, label.empty() ? name : label, *now, *range});
  }
}

std::string PowercapMeter::description() const {
  std::string names;
  for (const Zone& zone : zones_)
    names += (names.empty() ? "" : ", ") + zone.name;
  return names.empty() ? "" : "powercap (" + names + ")";
}

double PowercapMeter::joules() {
  double sum = 0;
  for (Zone& zone : zones_) {
    const auto now = number_in(zone.path + "/energy_uj");
    if (!now) {
      lost_ = true;
      continue;
    }
    const std::int64_t went = *now - zone.last;
    sum += static_cast<double>(went >= 0 ? went : went + zone.range) * 1e-6;
    zone.last = *now;
  }
  return zones_.empty() || lost_ || sum < 0 ? nothing : sum;
}

// NVML's C interface, of which this is all that is used (its header comes with the CUDA toolkit only).
struct NvmlMeter::State {
  using Device = void*;
  struct Gpu {
    Device device;
    unsigned long long last; // millijoules
  };
  void* library = nullptr;
  int (*shutdown)() = nullptr;
  int (*energy)(Device, unsigned long long*) = nullptr;
  std::vector<Gpu> gpus;
  std::string name;
  bool lost = false;

  template <class Function>
  bool find(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    return function != nullptr;
  }
};

NvmlMeter::NvmlMeter(const std::vector<unsigned>& devices, const std::string& library)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.library = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (s.library == nullptr)
    return;
  int (*init)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, State::Device*) = nullptr;
  int (*name)(State::Device, char*, unsigned) = nullptr;
  if (!s.find(init, "nvmlInit_v2") || !s.find(count, "nvmlDeviceGetCount_v2") ||
      !s.find(handle, "nvmlDeviceGetHandleByIndex_v2") || !s.find(name, "nvmlDeviceGetName") ||
      !s.find(s.energy, "nvmlDeviceGetTotalEnergyConsumption") || init() != 0)
    return;
  s.find(s.shutdown, "nvmlShutdown");
  std::vector<unsigned> wanted = devices;
  unsigned number = 0;
  if (wanted.empty() && count(&number) == 0)
    for (unsigned i = 0; i < number; ++i)
      wanted.push_back(i);
  for (const unsigned i : wanted) {
    State::Gpu gpu{};
    char text[96] = "";
    if (handle(i, &gpu.device) != 0 || s.energy(gpu.device, &gpu.last) != 0) {
      s.gpus.clear(); // a part is not the whole
      return;
    }
    name(gpu.device, text, sizeof text);
    s.name = text;
    s.gpus.push_back(gpu);
  }
}

NvmlMeter::~NvmlMeter() {
  if (state_->shutdown != nullptr)
    state_->shutdown();
  if (state_->library != nullptr)
    dlclose(state_->library);
}

bool NvmlMeter::available() const { return !state_->gpus.empty(); }

std::string NvmlMeter::description() const {
  return available() ? fmt::format("NVML ({} x {})", state_->gpus.size(), state_->name) : "";
}

double NvmlMeter::joules() {
  double sum = 0;
  for (State::Gpu& gpu : state_->gpus) {
    unsigned long long now = 0;
    if (state_->energy(gpu.device, &now) != 0 || now < gpu.last) { // lost, or the driver was loaded again
      state_->lost = true;
      continue;
    }
    sum += static_cast<double>(now - gpu.last) * 1e-3;
    gpu.last = now;
  }
  return state_->gpus.empty() || state_->lost ? nothing : sum;
}

EnergyMeter::EnergyMeter(const std::string& powercap_root, const std::string& nvml_library)
    : powercap_(powercap_root), nvml_({}, nvml_library) {}

std::string EnergyMeter::source() const {
  const std::string cpu = powercap_.description(), gpu = nvml_.description();
  if (cpu.empty() && gpu.empty())
    return "not measured";
  return cpu + (cpu.empty() || gpu.empty() ? "" : " + ") + gpu;
}

double EnergyMeter::joules() {
  if (!available())
    return nothing;
  return (powercap_.available() ? powercap_.joules() : 0.0) + (nvml_.available() ? nvml_.joules() : 0.0);
}

std::string energy_text(double joules, double grid_g_per_kwh) {
  if (!std::isfinite(joules))
    return "not measured";
  const double kwh = joules / 3.6e6;
  std::string text = fmt::format("{:.4g} kWh", kwh);
  if (grid_g_per_kwh > 0) {
    const double grams = kwh * grid_g_per_kwh;
    text += grams < 1000 ? fmt::format(", {:.4g} g CO2", grams) : fmt::format(", {:.4g} kg CO2", grams / 1000);
  }
  return text;
}

} // namespace weft
