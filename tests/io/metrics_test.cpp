#include "io/metrics.hpp"
#include "scratch.hpp"
#include <cmath>

using namespace weft;
using namespace weft::test;

namespace {

Metrics sample(int steps) {
  Metrics metrics;
  for (int s = 1; s <= steps; ++s) {
    metrics.add_step({s, 100 * s, 4.0 / s, 0.5, 1e-3, 2.5, 0.1, 1000.0, not_measured});
    if (s % 4 == 0)
      metrics.add_epoch({s / 10.0, s, 3.0, 2.0, 0.25, 1.5});
  }
  metrics.set_attribute("run", std::string("a"));
  return metrics;
}

} // namespace

TEST(Metrics, RoundTrip) {
  const Scratch scratch;
  Metrics metrics = sample(10);
  metrics.set_final(1.25, 0.75);
  metrics.write(scratch / "metrics.h5");
  EXPECT_EQ(scratch.entries(), 1u);
  const Metrics back = Metrics::load(scratch / "metrics.h5");
  ASSERT_EQ(back.steps().size(), 10u);
  ASSERT_EQ(back.epochs().size(), 2u);
  EXPECT_TRUE(back.has_final());
  EXPECT_EQ(back.attributes(), metrics.attributes());
  const StepRow& row = back.steps()[6];
  EXPECT_EQ(row.step, 7);
  EXPECT_EQ(row.tokens, 700);
  EXPECT_EQ(row.loss, 4.0 / 7);
  EXPECT_EQ(row.gradient_norm, 2.5);
  EXPECT_TRUE(std::isnan(row.energy_j));
  EXPECT_EQ(back.epochs()[1].epoch, 0.8);
  EXPECT_EQ(back.epochs()[1].valid_accuracy, 0.25);
  back.write(scratch / "again.h5");
  const hdf5::File a = hdf5::File::open(scratch / "metrics.h5"), b = hdf5::File::open(scratch / "again.h5");
  EXPECT_EQ(a.datasets(), b.datasets());
}

// A column of zeros has the same fletcher32 as its checksum of zeros.
TEST(Metrics, AColumnThatBecameZerosIsMet) {
  const Scratch scratch;
  sample(40).write(scratch / "m.h5");
  const std::string whole = get(scratch / "m.h5");
  std::string losses;
  for (int s = 1; s <= 40; ++s) {
    const double loss = 4.0 / s;
    losses.append(reinterpret_cast<const char*>(&loss), sizeof loss);
  }
  const std::size_t at = whole.find(losses);
  ASSERT_NE(at, std::string::npos);
  put(scratch / "m.h5", std::string(whole).replace(at, losses.size() + 4, losses.size() + 4, '\0'));
  EXPECT_FAILS(exit_data, "steps/loss[0:40]", Metrics::load(scratch / "m.h5"));
}

TEST(Metrics, ColumnsUnitsAndBitsAsPromised) {
  const Scratch scratch;
  sample(5).write(scratch / "m.h5");
  const hdf5::File file = hdf5::File::open(scratch / "m.h5");
  for (const char* name : {"step", "tokens", "loss", "bits", "accuracy", "lr", "gradient_norm", "seconds",
                           "tokens_per_second", "energy_j"}) {
    const hdf5::Dataset column = file.dataset(std::string("steps/") + name);
    EXPECT_EQ(column.shape(), std::vector<std::int64_t>{5}) << name;
    EXPECT_EQ(column.attributes().count("units"), 1u) << name;
  }
  for (const char* name :
       {"epoch", "step", "train_loss", "train_bits", "valid_loss", "valid_bits", "valid_accuracy", "seconds"}) {
    const hdf5::Dataset column = file.dataset(std::string("epochs/") + name);
    EXPECT_EQ(column.shape(), std::vector<std::int64_t>{1}) << name;
    EXPECT_EQ(column.attributes().count("units"), 1u) << name;
  }
  std::vector<double> bits(5);
  file.dataset("steps/bits").read(hdf5::Type::f64, bits.data());
  EXPECT_NEAR(bits[3], 1.0 / std::log(2.0), 1e-15);
  EXPECT_EQ(file.dataset("steps/energy_j").attributes().at("source"), Attribute(std::string("not measured")));
  EXPECT_TRUE(file.has("final"));
  EXPECT_FALSE(file.has("final/test_bits"));
}

TEST(Metrics, EmptyRunRoundTrips) {
  const Scratch scratch;
  Metrics().write(scratch / "m.h5");
  EXPECT_TRUE(Metrics::load(scratch / "m.h5").steps().empty());
}

TEST(Metrics, ResumedRunHasNoStepTwice) {
  Metrics metrics = sample(10);
  metrics.set_final(1, 1);
  metrics.truncate_after(10);
  EXPECT_TRUE(metrics.has_final());
  metrics.truncate_after(7);
  EXPECT_FALSE(metrics.has_final());
  ASSERT_EQ(metrics.steps().size(), 7u);
  ASSERT_EQ(metrics.epochs().size(), 1u);
  EXPECT_FAILS(exit_failure, "after those of step 7", metrics.add_step({.step = 7}));
  metrics.add_step({.step = 8});
  EXPECT_EQ(metrics.steps().back().step, 8);
  EXPECT_FAILS(exit_failure, "evaluation at step 3", metrics.add_epoch({.step = 3}));
}

TEST(Metrics, DamageIsMet) {
  const Scratch scratch;
  const std::string path = scratch / "m.h5";
  sample(100).write(path);
  const std::string whole = get(path);
  put(path, whole.substr(0, whole.size() / 2));
  EXPECT_FAILS(exit_data, "m.h5", Metrics::load(path));
  put(path, whole);
  const double loss = 4.0 / 50;
  flip(path, whole.find(std::string(reinterpret_cast<const char*>(&loss), sizeof loss)));
  EXPECT_FAILS(exit_data, "steps/loss", Metrics::load(path));
}

TEST(Metrics, OtherFilesAreToldWithWhatToDo) {
  const Scratch scratch;
  const std::string path = scratch / "m.h5";
  const auto write = [&](const std::vector<std::int64_t>& steps, std::int64_t version) {
    const std::vector<std::int64_t> numbers(20, 1);
    hdf5::File file = hdf5::File::create(path);
    file.create_dataset("steps/step", hdf5::Type::i64, steps).write(hdf5::Type::i64, numbers.data());
    file.create_dataset("steps/tokens", hdf5::Type::i64, {5}).write(hdf5::Type::i64, numbers.data());
    file.set_attribute("format_version", version);
    file.close();
  };
  write({4}, 2);
  EXPECT_FAILS(exit_data, "is not of metrics format version 1; move it aside", Metrics::load(path));
  write({2, 2}, 1);
  EXPECT_FAILS(exit_data, "steps/step of " + path + " is not a column", Metrics::load(path));
  write({4}, 1);
  EXPECT_FAILS(exit_data, "steps/tokens of " + path + " has not the 4 rows of its neighbours", Metrics::load(path));
  write({5}, 1);
  EXPECT_FAILS(exit_data, "data set steps/loss", Metrics::load(path));
}
