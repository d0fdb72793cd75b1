// The arena's Image task: CIFAR-10 in grey, a picture as a row of pixels.
#pragma once
#include "io/raw/cifar10.hpp"
#include <array>
#include <cstdint>
#include <string>

namespace weft {

class Console;

struct GreyRequest {
  int size = 32;                          ///< pixels of a side: 32, 16 or 8
  std::array<std::int64_t, 3> examples{}; ///< take only the first so many of train, valid, test; 0: all
  int shards = 1;
  bool allow_partial = false;
};

/// The grey value that the arena's data has for a colour: in fp32, each operation rounded, (0.2989f * (r / 255) +
/// 0.5870f * (g / 255)) + 0.1140f * (b / 255), times 255.5, fraction cut off. White is 255, black 0.
std::uint8_t arena_grey(std::uint8_t red, std::uint8_t green, std::uint8_t blue);

/// size x size grey values by row from 32 x 32 x 3 bytes by row, column, channel. Below 32 each is the mean of a block
/// of grey values, halves rounded up.
void grey_picture(const std::uint8_t* colour, int size, std::uint8_t* grey);

/// Prepares `folder` from CIFAR-10 in any form prepare_cifar10 takes: examples of size^2 tokens, vocabulary 256 (the
/// grey value), 10 classes. Of the n training pictures in the order of PyTorch's random_split with seed 42, as in S4,
/// S5 and MEGA, all but n/10 are train (45,000), the others valid (5,000); the test batch is test (10,000). The arena's
/// own split has these sizes but follows the order of TensorFlow's copy, which is not in the files. InputError at
/// another size or more examples than there are; other errors as for prepare_cifar10.
Prepared prepare_image(const std::string& raw, const std::string& folder, const GreyRequest& request,
                       Console* console = nullptr, const KnownCifar10& known = {});

} // namespace weft
