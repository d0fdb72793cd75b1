// What an evaluation of classes tells (docs/evaluation.md).
#pragma once
#include "training/evaluation.hpp"
#include <string>

namespace weft {

/// For a person: of every class its share of the examples, of the predictions, and how many of its examples were
/// found; then the confusion matrix, a row per class, where there are at most 20 classes.
std::string class_table(const Evaluation& result);

/// [[...], ...] a row per class, a column per chosen class.
std::string confusion_json(const Evaluation& result);

/// "length,accuracy,count" and a line for every true length that occurred.
std::string by_length_csv(const Evaluation& result);
/// The same in ranges that double, for a person.
std::string by_length_table(const Evaluation& result);

} // namespace weft
