#pragma once
#include "commands/sample_request.hpp"
#include <string>

namespace weft {

/// Where things lie in a picture of many samples, in pixels of the file.
struct GridLayout {
  std::int64_t columns = 1, rows = 1;
  std::int64_t scale = 1;  ///< a pixel of a sample is scale x scale
  std::int64_t margin = 2; ///< between samples and around them, dark grey
  std::int64_t line = 0;   ///< height of the red line that is put in below the given rows; 0: none given
  std::int64_t width = 0, height = 0;
};

/// `columns`, `scale` 0: chosen. With several prompts a prompt has a row of its own unless columns are given.
GridLayout grid_layout(const SampleRequest& request, std::int64_t columns, std::int64_t scale);

/// Samples in the order of their numbers, left to right, then down; every byte of a sample is shown, since the line
/// that marks the given part lies between rows.
void write_grid(const std::string& path, const std::vector<std::vector<std::uint16_t>>& samples,
                const SampleRequest& request, const GridLayout& layout);

} // namespace weft
