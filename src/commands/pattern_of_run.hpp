// What the queries of a row saw where that follows from the row and the weights: attention over hash buckets.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct Config;

struct PatternOptions {
  std::string input, csv, png;
  std::vector<std::string> overrides;
  std::int64_t layer = 0, head = 0;
  // Of a trained model:
  std::string split, buckets;
  std::int64_t row = 0, document = 0;
  bool best = false;
};

/// Whether a command's first argument is no input file but what a run left: its folder or a checkpoint.
bool is_trained(const std::string& what);

/// InputError for a layer or a head that the model has not.
void require_head(const PatternOptions& options, const Config& config);

/// Runs the forward pass of an evaluation on the row, and shows which keys the buckets that it kept let each query see.
int show_run(const PatternOptions& options);

} // namespace weft
