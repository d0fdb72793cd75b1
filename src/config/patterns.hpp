// The one table of attention.pattern. What the input file takes and what a pattern reads, what a layer and head may be
// given, whether a query sees later keys, weft pattern, weft help and docs/attention.md: all follow from its rows.
// It lies here and not beside the models because the keys need its words, and models read keys.
#pragma once
#include "config/config.hpp"
#include "kernels/attention/pattern.hpp"
#include <optional>
#include <string>
#include <vector>

namespace weft {

/// What a query at position i sees, in words and as lists.
struct KeySet {
  std::string sees; ///< a condition on j
  /// For `length` positions and the settings of the input; `group`: the summary sub-block, 0 for the last of a block.
  Pattern (*build)(const Config& config, int length, int group) = nullptr;
  explicit operator bool() const { return build != nullptr; }
};

/// One set that a layer or head can be given.
struct PatternSet {
  std::string name;               ///< in attention.combination and in weft pattern
  std::vector<std::string> reads; ///< keys of [attention] that it depends on, without the section
  KeySet causal, both_ways;       ///< which of them serves follows from data.task; one alone serves every task
  bool grouped = false;           ///< heads have summary sub-blocks of their own
};

/// Attention that is no softmax over a set of keys: a layer of its own (model/layers/attention.hpp).
struct Operation {
  std::string does;               ///< its formula in a line
  std::vector<std::string> reads; ///< keys of [attention] that it depends on, without the section
  bool causal, both_ways;         ///< which tasks it has a form for
};

struct PatternRow {
  std::string name;
  std::vector<PatternSet> sets;                      ///< in the order in which layers or heads take turns
  std::optional<PatternSet> merged;                  ///< the union, where there is more than one
  std::optional<Operation> operation = std::nullopt; ///< instead of sets
};

const std::vector<PatternRow>& pattern_table();
std::vector<std::string> pattern_names();

/// The row of attention.pattern. InputError, with the names there are, for any other.
const PatternRow& pattern_row(const std::string& pattern);

/// Names of the patterns that are sets of keys, and not operations.
std::vector<std::string> key_set_patterns();

/// Keys of [attention], without the section, that some set of the row, or its operation, depends on.
std::vector<std::string> pattern_reads(const PatternRow& row);
/// Names of the patterns that read this key of [attention].
std::vector<std::string> patterns_reading(const std::string& key);
/// Names of the patterns that see later keys whatever the task.
std::vector<std::string> patterns_without_causal_form();

/// The set of this name of the input's pattern: one of its sets, its merged one, or dense. InputError for any other.
const PatternSet& pattern_set(const Config& config, const std::string& name);

/// The form of a set that serves the input's data.task.
const KeySet& form_of(const Config& config, const PatternSet& set);

/// Whether some layer of this input lets a query see keys that come later.
bool looks_ahead(const Config& config);

/// Whether Local attention runs as the Long Range Arena's released code has it (kernels/attention/released_sets.hpp),
/// in a layer of its own.
bool released_local(const Config& config);

/// Summary sub-blocks in a block: l div c with one per head, else 1.
std::int64_t summary_groups_of(const Config& config);

/// The table as Markdown, for docs/attention.md.
std::string pattern_markdown();

} // namespace weft
