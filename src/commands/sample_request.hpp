// What `weft sample` was asked for: the options as typed, and what they mean for one model.
#pragma once
#include "config/config.hpp"
#include "model/sampling/sampling.hpp"
#include <string>
#include <vector>

namespace weft {

struct SampleOptions {
  std::string what, prompt, prompt_file, png, image, prompt_png, split, bytes, json;
  std::vector<std::string> overrides;
  std::vector<std::int64_t> prompt_examples;
  std::int64_t samples = 1, length = -1, top_k = 0, seed = 0, prompt_rows = -1, at_once = 8, columns = 0, scale = 0;
  double temperature = 1, top_p = 1;
  bool best = false, time = false, has_prompt = false;
};

/// Height and width of the pictures; bytes are ordered row, column, channel (red, green, blue). 0: text.
struct PictureSize {
  std::int64_t height = 0, width = 0;
  bool is_picture() const { return height > 0; }
  std::int64_t bytes() const { return height * width * 3; }
};

struct SampleRequest {
  Choosing choosing;
  PictureSize size;
  std::vector<std::vector<std::uint16_t>> prompts; ///< one per prompt; one empty prompt without any
  std::int64_t samples = 1;                        ///< of every prompt: number n continues prompt n / samples
  std::int64_t length = 0;                         ///< tokens of a sample, given ones included
  std::int64_t given_rows = 0;

  std::int64_t total() const { return samples * static_cast<std::int64_t>(prompts.size()); }
  const std::vector<std::uint16_t>& prompt_of(std::int64_t number) const {
    return prompts[static_cast<std::size_t>(number / samples)];
  }
};

/// Checks every option against the model and reads the given parts. Throws InputError that says what was got, what was
/// expected and what to do; DataError where the data set of --prompt-example is missing or damaged.
SampleRequest sample_request(const SampleOptions& options, const Config& config);

} // namespace weft
