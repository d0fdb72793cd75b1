#include "io/metrics.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <numbers>

namespace weft {
namespace {

constexpr std::int64_t metrics_format_version = 1;
constexpr std::int64_t chunk = 8192; // rows

/// One column of doubles: its name, its unit and how to get it from a row. A null `member` is a derived column.
template <class Row>
struct Column {
  const char* name;
  const char* units;
  double Row::*member;
  double Row::*loss; ///< for derived columns: the nats to divide by ln 2
};

constexpr Column<StepRow> step_columns[] = {
    {"loss", "nats per token", &StepRow::loss, nullptr},
    {"bits", "bits per token", nullptr, &StepRow::loss},
    {"accuracy", "1", &StepRow::accuracy, nullptr},
    {"lr", "1", &StepRow::lr, nullptr},
    {"gradient_norm", "nats", &StepRow::gradient_norm, nullptr},
    {"seconds", "s", &StepRow::seconds, nullptr},
    {"tokens_per_second", "tokens/s", &StepRow::tokens_per_second, nullptr},
    {"energy_j", "J", &StepRow::energy_j, nullptr},
};
constexpr Column<EpochRow> epoch_columns[] = {
    {"epoch", "passes over the training split", &EpochRow::epoch, nullptr},
    {"train_loss", "nats per token", &EpochRow::train_loss, nullptr},
    {"train_bits", "bits per token", nullptr, &EpochRow::train_loss},
    {"valid_loss", "nats per token", &EpochRow::valid_loss, nullptr},
    {"valid_bits", "bits per token", nullptr, &EpochRow::valid_loss},
    {"valid_accuracy", "1", &EpochRow::valid_accuracy, nullptr},
    {"seconds", "s", &EpochRow::seconds, nullptr},
};

hdf5::Dataset write_column(hdf5::File& file, const std::string& name, const char* units, hdf5::Type type,
                           std::size_t rows, const void* values) {
  hdf5::Dataset column = file.create_dataset(name, type, {static_cast<std::int64_t>(rows)}, chunk);
  column.write(type, values);
  column.set_attribute("units", std::string(units));
  return column;
}

template <class Row>
void write_integers(hdf5::File& file, const std::string& name, const char* units, const std::vector<Row>& rows,
                    std::int64_t Row::*member) {
  std::vector<std::int64_t> values;
  for (const Row& row : rows)
    values.push_back(row.*member);
  write_column(file, name, units, hdf5::Type::i64, rows.size(), values.data());
}

template <class Row>
double value_of(const Row& row, const Column<Row>& column) {
  return column.member != nullptr ? row.*(column.member) : row.*(column.loss) / std::numbers::ln2;
}

template <class Row>
hdf5::Dataset write_reals(hdf5::File& file, const std::string& group, const std::vector<Row>& rows,
                          const Column<Row>& column) {
  std::vector<double> values;
  for (const Row& row : rows)
    values.push_back(value_of(row, column));
  return write_column(file, group + "/" + column.name, column.units, hdf5::Type::f64, rows.size(), values.data());
}

template <class Row, class Column>
void read_column(const hdf5::File& file, const std::string& name, hdf5::Type type, std::vector<Row>& rows,
                 Column Row::*member) {
  const hdf5::Dataset column = file.dataset(name);
  if (column.shape() != std::vector<std::int64_t>{static_cast<std::int64_t>(rows.size())})
    throw DataError(fmt::format("column {} of {} has not the {} rows of its neighbours; the file is damaged: move it "
                                "aside",
                                name, file.path(), rows.size()));
  std::vector<Column> values(rows.size());
  column.read(type, values.data());
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i].*member = values[i];
}

std::size_t rows_of(const hdf5::File& file, const std::string& name) {
  const hdf5::Dataset column = file.dataset(name);
  if (column.shape().size() != 1)
    throw DataError(fmt::format("{} of {} is not a column", name, file.path()));
  return static_cast<std::size_t>(column.shape()[0]);
}

void write_scalar(hdf5::File& file, const std::string& name, const char* units, double value) {
  hdf5::Dataset scalar = file.create_dataset(name, hdf5::Type::f64, {});
  scalar.write(hdf5::Type::f64, &value);
  scalar.set_attribute("units", std::string(units));
}

} // namespace

ColumnValues columns_of(const StepRow& row) {
  ColumnValues values{{"tokens", static_cast<double>(row.tokens)}};
  for (const auto& column : step_columns)
    values.emplace_back(column.name, value_of(row, column));
  return values;
}

ColumnValues columns_of(const EpochRow& row) {
  ColumnValues values;
  for (const auto& column : epoch_columns)
    values.emplace_back(column.name, value_of(row, column));
  return values;
}

void Metrics::add_step(const StepRow& row) {
  if (!steps_.empty() && row.step <= steps_.back().step)
    throw Error(exit_failure, fmt::format("metrics of step {} after those of step {}", row.step, steps_.back().step));
  steps_.push_back(row);
  test_loss_.reset(); // they were those of an earlier step
  test_accuracy_.reset();
}

void Metrics::add_epoch(const EpochRow& row) {
  if (!epochs_.empty() && row.step < epochs_.back().step)
    throw Error(exit_failure,
                fmt::format("an evaluation at step {} after one at step {}", row.step, epochs_.back().step));
  epochs_.push_back(row);
}

void Metrics::set_final(double test_loss, double test_accuracy) {
  test_loss_ = test_loss;
  test_accuracy_ = test_accuracy;
}

void Metrics::write(const std::string& path) const {
  AtomicFile target(path);
  hdf5::File file = hdf5::File::create(target.temporary());
  Attributes all = attributes_;
  all["format_version"] = metrics_format_version;
  file.set_attributes(all);
  write_integers(file, "steps/step", "optimiser steps", steps_, &StepRow::step);
  write_integers(file, "steps/tokens", "tokens", steps_, &StepRow::tokens);
  for (const auto& column : step_columns) {
    hdf5::Dataset written = write_reals(file, "steps", steps_, column);
    if (column.member == &StepRow::energy_j)
      written.set_attribute("source", energy_source_);
  }
  write_integers(file, "epochs/step", "optimiser steps", epochs_, &EpochRow::step);
  for (const auto& column : epoch_columns)
    write_reals(file, "epochs", epochs_, column);
  file.create_group("final");
  if (test_loss_) {
    write_scalar(file, "final/test_loss", "nats per token", *test_loss_);
    write_scalar(file, "final/test_bits", "bits per token", *test_loss_ / std::numbers::ln2);
    write_scalar(file, "final/test_accuracy", "1", *test_accuracy_);
  }
  file.close();
  target.commit();
}

Metrics Metrics::load(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  Metrics metrics;
  metrics.attributes_ = file.attributes();
  const auto version = metrics.attributes_.find("format_version");
  if (version == metrics.attributes_.end() || version->second != Attribute(metrics_format_version))
    throw DataError(fmt::format("{} is not of metrics format version {}; move it aside", path, metrics_format_version));
  metrics.attributes_.erase(version);
  metrics.steps_.resize(rows_of(file, "steps/step"));
  read_column(file, "steps/step", hdf5::Type::i64, metrics.steps_, &StepRow::step);
  read_column(file, "steps/tokens", hdf5::Type::i64, metrics.steps_, &StepRow::tokens);
  for (const auto& column : step_columns)
    if (column.member != nullptr)
      read_column(file, std::string("steps/") + column.name, hdf5::Type::f64, metrics.steps_, column.member);
  const Attributes energy = file.dataset("steps/energy_j").attributes();
  if (const auto source = energy.find("source"); source != energy.end())
    if (const auto* text = std::get_if<std::string>(&source->second))
      metrics.energy_source_ = *text;
  metrics.epochs_.resize(rows_of(file, "epochs/step"));
  read_column(file, "epochs/step", hdf5::Type::i64, metrics.epochs_, &EpochRow::step);
  for (const auto& column : epoch_columns)
    if (column.member != nullptr)
      read_column(file, std::string("epochs/") + column.name, hdf5::Type::f64, metrics.epochs_, column.member);
  if (file.has("final/test_loss") && file.has("final/test_accuracy")) {
    double loss = 0, accuracy = 0;
    file.dataset("final/test_loss").read(hdf5::Type::f64, &loss);
    file.dataset("final/test_accuracy").read(hdf5::Type::f64, &accuracy);
    metrics.set_final(loss, accuracy);
  }
  return metrics;
}

void Metrics::truncate_after(std::int64_t step, std::int64_t evaluated) {
  const auto first = std::find_if(steps_.begin(), steps_.end(), [step](const StepRow& row) { return row.step > step; });
  if (first != steps_.end()) {
    test_loss_.reset();
    test_accuracy_.reset();
  }
  steps_.erase(first, steps_.end());
  const std::int64_t last = std::min(step, evaluated);
  epochs_.erase(std::find_if(epochs_.begin(), epochs_.end(), [last](const EpochRow& row) { return row.step > last; }),
                epochs_.end());
}

} // namespace weft
