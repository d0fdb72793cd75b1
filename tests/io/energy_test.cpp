// Promise: joules are counted right through a counter's wrap-around, and what cannot be read is NaN, never zero.
#include "io/energy.hpp"
#include "scratch.hpp"
#include <cmath>

using namespace weft;
using namespace weft::test;

namespace {

/// A made-up /sys/class/powercap.
struct Powercap : Scratch {
  void zone(const std::string& folder, const std::string& name, std::int64_t energy, std::int64_t range) const {
    fs::create_directories(*this / folder);
    put(*this / (folder + "/name"), name + "\n");
    put(*this / (folder + "/max_energy_range_uj"), std::to_string(range) + "\n");
    counter(folder, energy);
  }
  void counter(const std::string& folder, std::int64_t energy) const {
    put(*this / (folder + "/energy_uj"), std::to_string(energy) + "\n");
  }
};

constexpr std::int64_t range = 262'143'328'850;

} // namespace

TEST(Powercap, joules_are_those_since_the_last_call) {
  Powercap sys;
  sys.zone("intel-rapl:0", "package-0", 1'000'000, range);
  PowercapMeter meter(sys.str());
  EXPECT_TRUE(meter.available());
  EXPECT_EQ(meter.description(), "powercap (package-0)");
  EXPECT_EQ(meter.joules(), 0.0) << "the counter stood still: measured, and nothing";
  sys.counter("intel-rapl:0", 3'500'000);
  EXPECT_DOUBLE_EQ(meter.joules(), 2.5);
  sys.counter("intel-rapl:0", 3'500'001);
  EXPECT_NEAR(meter.joules(), 1e-6, 1e-12);
}

TEST(Powercap, a_counter_that_wraps_around_goes_on) {
  Powercap sys;
  sys.zone("intel-rapl:0", "package-0", range - 2'000'000, range);
  PowercapMeter meter(sys.str());
  sys.counter("intel-rapl:0", 1'000'000);
  EXPECT_DOUBLE_EQ(meter.joules(), 3.0);
}

TEST(Powercap, packages_are_added_and_parts_of_them_and_twins_are_not_counted_twice) {
  Powercap sys;
  for (const char* folder : {"intel-rapl:0", "intel-rapl:1"})
    sys.zone(folder, folder, 0, range);
  sys.zone("intel-rapl:0:0", "core", 0, range);
  sys.zone("intel-rapl:0:1", "dram", 0, range);
  sys.zone("intel-rapl-mmio:0", "package-0", 0, range);
  sys.zone("intel-rapl:2", "psys", 0, range);
  sys.zone("dtpm", "dtpm", 0, range);
  PowercapMeter meter(sys.str());
  for (const char* folder : {"intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl-mmio:0",
                             "intel-rapl:2", "dtpm"})
    sys.counter(folder, 1'000'000);
  EXPECT_DOUBLE_EQ(meter.joules(), 2.0);
}

TEST(Powercap, a_counter_that_goes_away_ends_the_measurement_for_good) {
  Powercap sys;
  sys.zone("intel-rapl:0", "package-0", 0, range);
  sys.zone("intel-rapl:1", "package-1", 0, range);
  PowercapMeter meter(sys.str());
  sys.counter("intel-rapl:0", 1'000'000);
  fs::remove(sys / "intel-rapl:1/energy_uj");
  EXPECT_TRUE(std::isnan(meter.joules()));
  sys.counter("intel-rapl:1", 5'000'000);
  EXPECT_TRUE(std::isnan(meter.joules())) << "a gap is not bridged";
}

TEST(Powercap, what_is_no_counter_is_left_out) {
  Powercap sys;
  for (const char* text : {"", "no number", "-5", "99999999999999999999999999"}) {
    sys.zone("intel-rapl:0", "package-0", 0, range);
    put(sys / "intel-rapl:0/energy_uj", text);
    EXPECT_FALSE(PowercapMeter(sys.str()).available()) << text;
  }
  fs::remove(sys / "intel-rapl:0/energy_uj");
  EXPECT_FALSE(PowercapMeter(sys.str()).available());
}

TEST(Energy, nothing_readable_is_not_measured_and_never_zero) {
  Powercap sys;
  for (const std::string& root : {sys.str(), sys / "absent"}) {
    EnergyMeter meter(root, "libnvidia-ml-absent.so");
    EXPECT_FALSE(meter.available());
    EXPECT_EQ(meter.source(), "not measured");
    EXPECT_TRUE(std::isnan(meter.joules()));
  }
  EXPECT_FALSE(NvmlMeter({}, "libm.so.6").available()) << "a library that is not NVML";
  EXPECT_EQ(energy_text(std::nan(""), 400), "not measured");
}

TEST(Energy, is_told_in_kilowatt_hours_and_CO2) {
  EXPECT_EQ(energy_text(3.6e6, 0), "1 kWh");
  EXPECT_EQ(energy_text(3.6e6, 380), "1 kWh, 380 g CO2");
  EXPECT_EQ(energy_text(3.6e6 * 12.5, 400), "12.5 kWh, 5 kg CO2");
  EXPECT_EQ(energy_text(0, 400), "0 kWh, 0 g CO2") << "measured, and nothing";
}
