#include "config/families.hpp"
#include "config/keys.hpp"
#include "io/error.hpp"
#include <fmt/format.h>

namespace weft {
namespace {

template <class Row, class Choose>
std::vector<std::string> names_of(const std::vector<Row>& table, const Choose& choose) {
  std::vector<std::string> names;
  for (const Row& row : table)
    if (choose(row))
      names.push_back(row.name);
  return names;
}

template <class Row>
const Row& row_of(const std::vector<Row>& table, const char* key, const std::string& name) {
  for (const Row& row : table)
    if (row.name == name)
      return row;
  const std::vector<std::string> names = names_of(table, [](const Row&) { return true; });
  throw InputError(fmt::format("{}: got \"{}\", expected one of {}", key, name, joined(names, ", ")));
}

} // namespace

const std::vector<TaskRow>& task_table() {
  static const std::vector<TaskRow> table = {
      {"next_token", "predict every token from those before it", true, false},
      {"classify", "the class of a sequence", false, true},
      {"pairs", "the class of two sequences", false, true},
      {"copy", "predict the second half of a sequence, which repeats the first", true, false},
  };
  return table;
}

const std::vector<FamilyRow>& family_table() {
  static const std::vector<FamilyRow> table = {
      {"sparse_transformer", "Child et al. 2019 (arXiv:1904.10509)", {"next_token", "copy"}, {"grid"}},
      {"arena",
       "encoder of the Long Range Arena (arXiv:2011.04006)",
       {"classify", "pairs"},
       {"learned", "axial", "sinusoid", "none"}},
      {"reformer",
       "Kitaev et al. 2020 (arXiv:2001.04451)",
       {"next_token", "copy"},
       {"learned", "axial", "sinusoid", "none"}},
      {"mega", "Ma et al. 2023 (arXiv:2209.10655)", {"next_token", "classify", "pairs"}, {"none"}},
      {"bilstm", "bidirectional LSTM classifier (docs/bilstm.md)", {"classify", "pairs"}, {"none"}},
      {"lru", "linear recurrent units of Orvieto et al. 2023 (arXiv:2303.06349)", {"classify", "pairs"}, {"none"}},
      {"s4d", "diagonal state space models of Gu et al. 2022 (arXiv:2206.11893)", {"classify", "pairs"}, {"none"}},
  };
  return table;
}

std::vector<std::string> task_names() {
  return names_of(task_table(), [](const TaskRow&) { return true; });
}
std::vector<std::string> causal_tasks() {
  return names_of(task_table(), [](const TaskRow& row) { return row.causal; });
}
std::vector<std::string> class_tasks() {
  return names_of(task_table(), [](const TaskRow& row) { return row.classes; });
}
std::vector<std::string> family_names() {
  return names_of(family_table(), [](const FamilyRow&) { return true; });
}

bool slots_hold_their_token(const Config& config) {
  return config.data.task == "copy" && config.data.scoring == "reproduction";
}

const TaskRow& task_row(const std::string& name) { return row_of(task_table(), "data.task", name); }
const FamilyRow& family_row(const std::string& name) { return row_of(family_table(), "model.family", name); }

} // namespace weft
