// The batches of CIFAR-10 in every form they come in, before they are split.
#pragma once
#include "io/raw/cifar10.hpp"
#include "io/raw/image_splits.hpp"
#include <string>
#include <vector>

namespace weft {

constexpr std::int64_t cifar10_bytes = 3 * 32 * 32; ///< of a picture

/// What was found. Numbers are those of the staged pictures.
struct Cifar10Source {
  std::vector<std::int64_t> training, test; ///< training pictures in the order of the batches
  bool complete = false;
  std::string note;   ///< what is known about the source, for the person who asked
  std::string sha256; ///< of the training pictures, then those of test, each as label byte and 3072 bytes
};

/// Stages all pictures of the archive or folder `raw` by row, column, channel. Errors as for prepare_cifar10.
Cifar10Source stage_cifar10(const std::string& raw, StagedImages& images, bool allow_partial,
                            const KnownCifar10& known);

} // namespace weft
