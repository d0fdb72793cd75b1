// What the words of data.task and model.family stand for, as far as an input file must know: one row each.
#pragma once
#include "config/config.hpp"
#include <string>
#include <vector>

namespace weft {

struct TaskRow {
  std::string name, help;
  bool causal;  ///< a position may not see what comes later: it is to be predicted
  bool classes; ///< a row has a label, one of a few classes, and the model ends in a classifier
};
const std::vector<TaskRow>& task_table();

struct FamilyRow {
  std::string name, help;
  std::vector<std::string> tasks;     ///< words of data.task that it can do
  std::vector<std::string> positions; ///< words of model.positions that it has
};
const std::vector<FamilyRow>& family_table();

std::vector<std::string> task_names();
std::vector<std::string> causal_tasks(); ///< names of the tasks that are
std::vector<std::string> class_tasks();  ///< names of the tasks that end in a classifier
std::vector<std::string> family_names();

/// Whether slot i of a row holds token i and predicts the next one, with targets of its own; else it predicts token i.
bool slots_hold_their_token(const Config& config);

/// Rows by name. InputError, with the names there are, for any other.
const TaskRow& task_row(const std::string& name);
const FamilyRow& family_row(const std::string& name);

} // namespace weft
