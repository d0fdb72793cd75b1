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

/// Which queries a pattern is wanted for: those of layers with one projection each are all of them.
enum class QueryRows { all, without_global, global };

/// For which sequence, layer and head a set is built.
struct Seat {
  int length;              ///< slots of the micro-batch: its positions and what stands in front of them
  int whole;               ///< slots of the longest one
  int group = 0;           ///< the summary sub-block, 0 for the last of a block
  int layer = 0, head = 0; ///< of sets that differ by them
  QueryRows rows = QueryRows::all;
};

/// What a query at slot i sees, in words and as lists.
struct KeySet {
  std::string sees; ///< a condition on j
  Pattern (*build)(const Config& config, const Seat& seat) = nullptr;
  explicit operator bool() const { return build != nullptr; }
};

/// One set that a layer or head can be given.
struct PatternSet {
  std::string name;               ///< in attention.combination and in weft pattern
  std::vector<std::string> reads; ///< keys of [attention] that it depends on, without the section
  KeySet causal, both_ways;       ///< which of them serves follows from data.task; one alone serves every task
  bool grouped = false;           ///< heads have summary sub-blocks of their own
  KeySet released{};              ///< serves instead of both_ways with attention.form = "lra"
  bool random = false;            ///< every layer and head has its own
};

/// Attention that is no softmax over a set of keys: a layer of its own (model/layers/attention.hpp).
struct Operation {
  std::string does;               ///< its formula in a line
  std::vector<std::string> reads; ///< keys of [attention] that it depends on, without the section
  bool causal, both_ways;         ///< which tasks it has a form for
  /// The keys of every query in the attention engine, where it is the engine that attends.
  Pattern (*keys)(const Config& config, int length) = nullptr;
  bool has_weights = true; ///< single ones, that attention.dropout can drop
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
/// Names of the patterns with weights that attention.dropout can drop.
std::vector<std::string> patterns_with_weights();
/// Names of the patterns that see later keys whatever the task.
std::vector<std::string> patterns_without_causal_form();

/// The set of this name of the input's pattern: one of its sets, its merged one, or dense. InputError for any other.
const PatternSet& pattern_set(const Config& config, const std::string& name);

/// The form of a set that serves the input's data.task and attention.form.
const KeySet& form_of(const Config& config, const PatternSet& set);

/// Whether attention.form = "lra" has a meaning for this row: each of its sets has that form.
bool has_released_form(const PatternRow& row);

/// Slots in front of the tokens: 1 for a classifier that reads a CLS vector. Documents of a pair have none: their first
/// token serves.
int slots_in_front(const Config& config);

/// Whether the rows of global positions have projections of their own (longformer, in a task that sees both ways).
bool has_global_rows(const Config& config);

/// Whether layers of this input hold those projections: the released code holds them and uses them nowhere.
bool has_global_projections(const Config& config);

/// Whether a position sees none behind it: the task says so, or a classifier whose encoder is causal (model.code).
bool is_causal(const Config& config);

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
