// What `weft eval` leaves behind: a record per evaluation, and the curve of bits by context (docs/files.md).
#pragma once
#include "config/config.hpp"
#include "training/evaluation.hpp"
#include <string>
#include <vector>

namespace weft {

struct EvaluationRecord {
  std::string checkpoint, split, time;
  std::int64_t step = 0;
  bool best = false;                            ///< the checkpoint that was best on validation, asked for as such
  std::string data_sha256, trained_data_sha256; ///< of the sources of both data sets; the latter may be unknown: empty
};

/// Where the attention of `used` is not that of `trained`, key by key: "attention.pattern: trained with fixed, used
/// dense".
std::vector<std::string> attention_differences(const Config& trained, const Config& used);

/// What else of `used` is not as in training: data, model.context, run.precision.
std::vector<std::string> other_differences(const EvaluationRecord& record, const Config& trained, const Config& used);

/// `<split>-m<m>[-best][-<pattern>][-n<N>][-<precision>][-data<d>][-first<w>].json`: pattern, window, precision and
/// data (the beginning of its digest) where they are not those of training, w where only the first w windows were
/// scored.
std::string record_name(const EvaluationRecord& record, const Config& trained, const Config& used);
std::string record_json(const EvaluationRecord& record, const Config& trained, const Config& used,
                        const Evaluation& result);

/// "context,bits,count" and a line for every number of tokens before the scored one that occurred.
std::string by_position_csv(const Evaluation& result);
/// The same in ranges that double, for a person.
std::string by_position_table(const Evaluation& result);

} // namespace weft
