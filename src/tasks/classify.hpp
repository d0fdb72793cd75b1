#pragma once
#include "tasks/labelled.hpp"

namespace weft {

/// The class of a sequence: a row is one example of at most N tokens, padded, and one prediction.
class Classify final : public Labelled {
 public:
  Classify(const std::string& folder, const std::string& split, std::int64_t length, KeyBits bits,
           std::int64_t classes = 0, const RowChoice& choice = {}, const BatchOrder& order = {})
      : Labelled(folder, split, length, 1, bits, classes, choice, order) {}
};

} // namespace weft
