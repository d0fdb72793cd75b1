// What a row of a batch holds and what of it is scored. Nobody else knows: the trainer, the evaluation and the bench
// take rows from a Task, the model gets them as a Batch (tasks/collect.hpp).
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

struct Config;

/// Of every row alike.
struct TaskShape {
  std::int64_t tokens = 0;      ///< N: of one sequence, padding included
  std::int64_t sequences = 1;   ///< 2 for pairs
  std::int64_t predictions = 0; ///< N where tokens are predicted, else 1
  std::int64_t scored = 0;      ///< of them, in training: the loss of a step is the mean over rows * scored
  std::int64_t classes = 0;     ///< that a prediction chooses from; 0: the tokens of the vocabulary
  bool own_targets = false;     ///< tokens are predicted, and the targets are not the tokens in their own slots
  bool padded = false;          ///< some position of some row may not be real: rows come with key bits

  bool predicts_tokens() const { return classes == 0; }
  bool has_targets() const { return !predicts_tokens() || own_targets; } ///< apart from the tokens
  std::int64_t row_tokens() const { return tokens * sequences; }
  std::int64_t words() const { return (tokens + 31) / 32; } ///< of key bits, per sequence
};

/// The places of one row in the host arrays of a micro-batch; entry 1 is a pair's second document. A null pointer is
/// not asked for. All is overwritten but `shares`, which hold 1 before.
struct Row {
  std::array<std::uint16_t*, 2> tokens{}; ///< N each
  std::array<std::uint32_t*, 2> seen{};   ///< TaskShape::words() each; not where TaskShape::padded is false
  std::uint16_t* targets = nullptr;       ///< predictions; not where the targets are the tokens: TaskShape::has_targets
  float* shares = nullptr;              ///< predictions; given in evaluation, and in training where not all are scored
  std::array<std::int64_t, 2> length{}; ///< filled: positions up to the padding, 1 to N
};

class Task {
 public:
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  virtual TaskShape shape() const = 0;

  /// Rows of one epoch, and row `index` of epoch `epoch` in the random order of `seed`. DataError where a token, a
  /// label or a length is out of its range.
  virtual std::int64_t per_epoch() const = 0;
  virtual void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const = 0;
  /// Rows of an evaluation, which scores all of the split once, and row `row` of it.
  virtual std::int64_t rows() const = 0;
  virtual void evaluation(std::int64_t row, Row& to) const = 0;

  virtual int vocabulary() const = 0;
  virtual std::string source_digest() const = 0;
  /// What the split holds, for a person: so many "tokens" or "examples".
  virtual std::int64_t size() const = 0;
  virtual std::string unit() const { return "examples"; }

  /// InputError where a model with `known` symbols (model.vocabulary) does not know all tokens of the data.
  void require_known(std::int64_t known) const;
  const std::string& folder() const { return folder_; }
  const std::string& split() const { return split_; }

 protected:
  Task(std::string folder, std::string split) : folder_(std::move(folder)), split_(std::move(split)) {}
  /// DataError where a token is not below the vocabulary.
  void require_sound(const std::uint16_t* tokens, std::int64_t count) const;

 private:
  std::string folder_, split_;
};

/// The task of `data.task` on a split of `data.path`, rows of model.context tokens. Throws DataError (damaged, missing
/// or empty), InputError (a data set that the task cannot use, or rows of another length).
std::unique_ptr<Task> open_task(const Config& config, const std::string& split);

/// The splits of a training run, each opened once.
struct Splits {
  std::unique_ptr<Task> train, valid, test; ///< the latter two only where the data set has them
};
/// Throws as open_task, and InputError where model.vocabulary is too small for a split.
Splits open_splits(const Config& config);

} // namespace weft
