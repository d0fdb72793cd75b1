// metrics.h5: what a run measured, one row per optimiser step and one per evaluation (docs/files.md).
#pragma once
#include "io/hdf5.hpp"
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

/// One optimiser step. The column `bits` = loss / ln 2 is derived.
struct StepRow {
  std::int64_t step = 0;   ///< counted from 1
  std::int64_t tokens = 0; ///< trained on so far, this step included
  double loss = not_measured;
  double accuracy = not_measured; ///< share of the step's tokens predicted right
  double lr = not_measured;
  double gradient_norm = not_measured; ///< before clipping
  double seconds = not_measured;       ///< wall time of this step
  double tokens_per_second = not_measured;
  double energy_j = not_measured;
};

/// One evaluation on the validation split. `train_bits`, `valid_bits` are derived.
struct EpochRow {
  double epoch = 0; ///< passes over the training split so far; a fraction between epoch ends
  std::int64_t step = 0;
  double train_loss = not_measured; ///< mean of the steps since the last row
  double valid_loss = not_measured;
  double valid_accuracy = not_measured;
  double seconds = not_measured; ///< wall time of the evaluation
};

/// The columns of a row as metrics.h5 has them, in its order, but `step`: name and value, NaN where not measured.
using ColumnValues = std::vector<std::pair<const char*, double>>;
ColumnValues columns_of(const StepRow& row);
ColumnValues columns_of(const EpochRow& row);

/// All rows, in memory, on one rank; write() replaces the whole file so that a reader never meets half of it.
class Metrics {
 public:
  void add_step(const StepRow& row);   ///< row.step must be above the last one's; drops final values
  void add_epoch(const EpochRow& row); ///< row.step must not be below the last one's
  void set_final(double test_loss, double test_accuracy);
  /// How energy was measured; until it is called the column says "not measured".
  void set_energy_source(const std::string& source) { energy_source_ = source; }
  /// An attribute of the file: name of the run, commit, seed, ...
  void set_attribute(const std::string& name, const Attribute& value) { attributes_[name] = value; }

  const std::vector<StepRow>& steps() const { return steps_; }
  const std::vector<EpochRow>& epochs() const { return epochs_; }
  bool has_final() const { return test_loss_.has_value(); }
  double test_loss() const { return test_loss_.value_or(not_measured); }
  double test_accuracy() const { return test_accuracy_.value_or(not_measured); }
  const Attributes& attributes() const { return attributes_; }

  /// Atomically replaces `path`.
  void write(const std::string& path) const;
  /// Throws DataError where the file is damaged or its columns do not fit each other.
  static Metrics load(const std::string& path);
  /// Drops rows of steps above `step`, so that a resumed run has no step twice; the final values with them. Drops
  /// evaluations of steps above `evaluated`: the checkpoint does not know of them, they will be done again.
  void truncate_after(std::int64_t step, std::int64_t evaluated);
  void truncate_after(std::int64_t step) { truncate_after(step, step); }

 private:
  std::vector<StepRow> steps_;
  std::vector<EpochRow> epochs_;
  std::optional<double> test_loss_, test_accuracy_;
  std::string energy_source_ = "not measured";
  Attributes attributes_;
};

} // namespace weft
