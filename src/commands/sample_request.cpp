#include "commands/sample_request.hpp"
#include "commands/evaluation_config.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/png.hpp"
#include "tasks/next_token.hpp"
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>

namespace weft {
namespace {

void require(bool holds, const std::string& text) {
  if (!holds)
    throw InputError(text);
}

void check_numbers(const SampleOptions& o, const Config& config) {
  require(o.samples >= 1 && o.samples <= 1'000'000,
          fmt::format("--samples: got {}, expected 1 to 1,000,000", o.samples));
  require(o.temperature >= 0 && std::isfinite(o.temperature),
          fmt::format("--temperature: got {}, expected a number >= 0 (1 as trained, 0 the most probable token always)",
                      o.temperature));
  require(o.top_k >= 0 && o.top_k <= config.model.vocabulary,
          fmt::format("--top-k: got {}, expected 0 (off) to model.vocabulary = {}", o.top_k, config.model.vocabulary));
  require(o.top_p > 0 && o.top_p <= 1, fmt::format("--top-p: got {}, expected a number in (0, 1]", o.top_p));
  require(o.seed >= 0, fmt::format("--seed: got {}, expected an integer >= 0", o.seed));
  require(o.at_once >= 1, fmt::format("--at-once: got {}, expected at least 1", o.at_once));
  require(o.columns >= 0, fmt::format("--columns: got {}, expected at least 1, or 0 to choose", o.columns));
  require(o.scale >= 0 && o.scale <= 64, fmt::format("--scale: got {}, expected 1 to 64, or 0 to choose", o.scale));
}

/// From --image HxW, or from three position coordinates [h, w, 3].
PictureSize picture_size(const SampleOptions& o, const Config& config) {
  PictureSize size;
  if (!o.image.empty()) {
    char* end = nullptr;
    size.height = std::strtoll(o.image.c_str(), &end, 10);
    const bool cross = *end == 'x';
    size.width = cross ? std::strtoll(end + 1, &end, 10) : 0;
    constexpr std::int64_t most = 16384;
    require(cross && *end == 0 && size.height >= 1 && size.width >= 1 && size.height <= most && size.width <= most,
            fmt::format("--image: got \"{}\", expected HEIGHTxWIDTH, such as 32x32", o.image));
  } else if (config.model.position_shape.size() == 3 && config.model.position_shape[2] == 3) {
    size = {config.model.position_shape[0], config.model.position_shape[1]};
  }
  require(
      !size.is_picture() || size.bytes() <= config.model.context,
      fmt::format("got pictures of {} x {} pixels, {} bytes, expected at most model.context = {} bytes; give the size "
                  "the model was trained on with --image HxW",
                  size.height, size.width, size.bytes(), config.model.context));
  return size;
}

void check_kind(const SampleOptions& o, const PictureSize& size) {
  if (size.is_picture()) {
    require(!o.png.empty(), "this model makes pictures: say where to, with --png FILE");
    require(o.length < 0, "--length: got it for pictures, which have one length; leave it out");
    require(!o.has_prompt && o.prompt_file.empty(),
            "got a text prompt for a model of pictures, expected --prompt-rows R with --prompt-example K or "
            "--prompt-png FILE");
    const bool source = !o.prompt_examples.empty() || !o.prompt_png.empty();
    require(o.prompt_examples.empty() || o.prompt_png.empty(),
            "got --prompt-example and --prompt-png, expected one of them");
    require(!source || o.prompt_rows >= 0,
            "got a picture to begin with, expected --prompt-rows R, the rows to give, too");
    require(source || o.prompt_rows < 0,
            "--prompt-rows: got rows of no picture, expected --prompt-example K or --prompt-png FILE with it");
    require(o.prompt_rows < size.height, fmt::format("--prompt-rows: got {}, expected 0 to {}: a picture has {} rows",
                                                     o.prompt_rows, size.height - 1, size.height));
    return;
  }
  require(o.png.empty() && o.prompt_rows < 0 && o.prompt_examples.empty() && o.prompt_png.empty(),
          "got an option for pictures, but this model has no three position coordinates [height, width, 3]; say "
          "--image HxW if its bytes are pictures, or leave --png and --prompt-rows, -example, -png out");
  require(!o.has_prompt || o.prompt_file.empty(), "got --prompt and --prompt-file, expected one of them");
}

std::vector<std::uint16_t> checked_tokens(std::vector<std::uint16_t> tokens, const Config& config, const char* what) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    require(tokens[i] < config.model.vocabulary,
            fmt::format("{}: got the byte {} at offset {}, expected bytes below model.vocabulary = {}", what, tokens[i],
                        i, config.model.vocabulary));
  return tokens;
}

std::vector<std::uint16_t> text_prompt(const SampleOptions& o, const Config& config) {
  std::string text = o.prompt;
  if (!o.prompt_file.empty()) {
    require(std::filesystem::exists(o.prompt_file) && !std::filesystem::is_directory(o.prompt_file),
            fmt::format("--prompt-file: got {}, where there is no file", o.prompt_file));
    text = read_head(o.prompt_file, config.model.context + 1);
    require(
        static_cast<std::int64_t>(text.size()) <= config.model.context,
        fmt::format("--prompt-file: got {} of more than {} bytes, expected at most model.context = {}; give the last "
                    "bytes of it, such as with tail -c",
                    o.prompt_file, config.model.context, config.model.context));
  }
  std::vector<std::uint16_t> tokens;
  for (const char c : text)
    tokens.push_back(static_cast<unsigned char>(c));
  return checked_tokens(std::move(tokens), config, o.prompt_file.empty() ? "--prompt" : o.prompt_file.c_str());
}

std::vector<std::uint16_t> rows_of_png(const SampleOptions& o, const PictureSize& size) {
  require(std::filesystem::is_regular_file(o.prompt_png),
          fmt::format("--prompt-png: got {}, where there is no file", o.prompt_png));
  const Image picture = read_png(o.prompt_png);
  require(picture.width == size.width && picture.height >= o.prompt_rows,
          fmt::format("--prompt-png: got {} of {} x {} pixels (height x width), expected a width of {} and at least {} "
                      "rows",
                      o.prompt_png, picture.height, picture.width, size.width, o.prompt_rows));
  return {picture.rgb.begin(), picture.rgb.begin() + o.prompt_rows * size.width * 3};
}

std::vector<std::vector<std::uint16_t>> rows_of_examples(const SampleOptions& o, const Config& config,
                                                         const PictureSize& size) {
  const std::string split = o.split.empty() ? config.evaluation.split : o.split;
  require_split(config.data.path, split);
  const NextToken task(config.data.path, split, config.model.context);
  std::vector<std::vector<std::uint16_t>> all;
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(config.model.context));
  for (const std::int64_t example : o.prompt_examples) {
    require(example >= 0 && example < task.rows(),
            fmt::format("--prompt-example: got {}, expected 0 to {}: the examples of the {} split of {}", example,
                        task.rows() - 1, split, config.data.path));
    Row row;
    row.tokens[0] = tokens.data();
    task.evaluation(example, row);
    all.emplace_back(tokens.begin(), tokens.begin() + o.prompt_rows * size.width * 3);
  }
  return all;
}

} // namespace

SampleRequest sample_request(const SampleOptions& o, const Config& config) {
  check_numbers(o, config);
  SampleRequest request;
  request.choosing = {o.temperature, o.top_k, o.top_p, static_cast<std::uint64_t>(o.seed)};
  request.samples = o.samples;
  request.size = picture_size(o, config);
  check_kind(o, request.size);
  if (request.size.is_picture()) {
    request.length = request.size.bytes();
    request.given_rows = std::max<std::int64_t>(0, o.prompt_rows);
    if (!o.prompt_examples.empty())
      request.prompts = rows_of_examples(o, config, request.size);
    else if (!o.prompt_png.empty())
      request.prompts = {rows_of_png(o, request.size)};
    else
      request.prompts = {{}};
    for (std::vector<std::uint16_t>& prompt : request.prompts)
      prompt = checked_tokens(std::move(prompt), config, "the given picture");
    return request;
  }
  request.prompts = {text_prompt(o, config)};
  const std::int64_t given = static_cast<std::int64_t>(request.prompts[0].size()), room = config.model.context - given;
  require(room >= 1,
          fmt::format("got a prompt of {} bytes, expected at most {}: prompt and answer share model.context = "
                      "{} positions",
                      given, config.model.context - 1, config.model.context));
  require(
      o.length == -1 || (o.length >= 1 && o.length <= room),
      fmt::format("--length: got {} behind a prompt of {} bytes, expected 1 to {}: the model knows model.context = {} "
                  "positions, and there are no more to be had",
                  o.length, given, room, config.model.context));
  request.length = given + (o.length < 0 ? room : o.length);
  return request;
}

} // namespace weft
