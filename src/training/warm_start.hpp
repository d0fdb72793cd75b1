// Initial weights from another run (model.init_from): checked against the model before anything is written.
#pragma once
#include "config/config.hpp"
#include "kernels/common/memory.hpp"
#include "model/parameters.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct WarmStart {
  std::string checkpoint;                ///< the file; empty: weights are drawn as ever
  std::string parts;                     ///< model.init_parts
  std::int64_t step = 0;                 ///< that it was written at
  std::int64_t numbers = 0;              ///< in the tensors loaded
  std::vector<std::string> loaded, kept; ///< tensors of the model: from the file, and as initialised
  std::vector<std::string> unused;       ///< tensors of the file
  std::vector<std::string> differences;  ///< keys in which the two models differ and the tensors do not show it

  std::string text() const; ///< one line for a person
};

/// Whether a tensor belongs to what predicts: a matrix of logits, a classifier, its pooling.
bool is_head(const std::string& name);

/// What of the checkpoint the model is to begin with. InputError with all tensors whose shapes differ (got, expected)
/// or that are missing; with init_parts = "all" also where the file holds more than the model. DataError where the
/// file is damaged.
WarmStart plan_warm_start(const std::string& checkpoint, const ParameterList& parameters, const Config& config);

/// Overwrites the tensors `loaded`. DataError where the file is damaged or a number of it is not finite.
void load_warm_start(const WarmStart& start, Buffer<float>& weights, const ParameterList& parameters);

} // namespace weft
