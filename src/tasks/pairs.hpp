#pragma once
#include "tasks/labelled.hpp"

namespace weft {

/// The class of two documents: a row is two sequences of at most N tokens, padded, and one prediction. Both towers of a
/// model are one: the documents are sequences of the same micro-batch, all first ones before all second ones.
class Pairs final : public Labelled {
 public:
  Pairs(const std::string& folder, const std::string& split, std::int64_t length, KeyBits bits,
        std::int64_t classes = 0, const RowChoice& choice = {}, const BatchOrder& order = {})
      : Labelled(folder, split, length, 2, bits, classes, choice, order) {}
};

} // namespace weft
