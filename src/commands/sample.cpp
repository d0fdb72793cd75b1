#include "commands/sample.hpp"
#include "commands/find_checkpoint.hpp"
#include "commands/job.hpp"
#include "commands/sample_grid.hpp"
#include "commands/sample_request.hpp"
#include "commands/shared_options.hpp"
#include "config/parse.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/console.hpp"
#include "io/json.hpp"
#include "kernels/common/memory.hpp"
#include "model/model.hpp"
#include "training/state.hpp"
#include <CLI/CLI.hpp>
#include <chrono>
#include <fmt/core.h>
#include <unistd.h>

namespace weft {
namespace {

using Samples = std::vector<std::vector<std::uint16_t>>;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void write_text(const std::vector<std::uint16_t>& tokens) {
  const std::string text(tokens.begin(), tokens.end());
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// Samples of text one after the other, a line before each that says which it is; of one sample just its bytes.
class TextOut {
 public:
  TextOut(bool speaks, std::int64_t total) : speaks_(speaks), total_(total) {}
  bool streams() const { return speaks_ && total_ == 1; }
  void byte(std::uint16_t token) {
    std::fputc(token, stdout);
    std::fflush(stdout);
  }
  void sample(std::int64_t number, const std::vector<std::uint16_t>& tokens) {
    if (!speaks_ || total_ == 1)
      return;
    std::fprintf(stdout, "======== sample %lld of %lld ========\n", static_cast<long long>(number + 1),
                 static_cast<long long>(total_));
    write_text(tokens);
    std::fputc('\n', stdout);
    std::fflush(stdout);
  }
  ~TextOut() {
    if (speaks_ && total_ == 1 && isatty(STDOUT_FILENO))
      std::fputc('\n', stdout);
    std::fflush(stdout);
  }

 private:
  bool speaks_;
  std::int64_t total_;
};

/// Sample n is made by rank n mod ranks; the root gets all of them in the order of their numbers.
Samples gather_samples(const Samples& mine, const SampleRequest& request, const Ranks& ranks) {
  if (ranks.size() == 1)
    return mine;
  std::vector<double> flat;
  for (const auto& sample : mine)
    flat.insert(flat.end(), sample.begin(), sample.end());
  const std::vector<double> all = ranks.gather(flat);
  Samples out(static_cast<std::size_t>(request.total()));
  auto at = all.begin();
  for (int rank = 0; rank < ranks.size(); ++rank)
    for (std::int64_t n = rank; n < request.total(); n += ranks.size()) {
      out[static_cast<std::size_t>(n)].assign(at, at + request.length);
      at += request.length;
    }
  return out;
}

struct Figures {
  double seconds = 0, keys = 0; ///< of the slowest rank; keys that a sample's heads saw over all layers and tokens
  std::size_t cache_bytes = 0;
};

/// This rank's samples, in groups of at most --at-once.
Samples make_samples(const SampleOptions& options, const SampleRequest& request, const Config& config,
                     const Model& model, const float* weights, const Ranks& ranks, TextOut& text, Figures& figures) {
  std::vector<std::uint32_t> numbers;
  for (std::int64_t n = ranks.rank(); n < request.total(); n += ranks.size())
    numbers.push_back(static_cast<std::uint32_t>(n));
  Samples mine;
  if (numbers.empty())
    return mine;
  const auto group = std::min<std::size_t>(numbers.size(), static_cast<std::size_t>(options.at_once));
  const std::unique_ptr<Decoder> decoder =
      make_decoder(model, config, weights, static_cast<std::int64_t>(group), request.length);
  figures.cache_bytes = decoder->cache_bytes();
  const double begin = now();
  for (std::size_t first = 0; first < numbers.size(); first += group) {
    const std::vector<std::uint32_t> now_made(numbers.begin() + static_cast<std::ptrdiff_t>(first),
                                              numbers.begin() +
                                                  static_cast<std::ptrdiff_t>(std::min(numbers.size(), first + group)));
    Samples given;
    for (const std::uint32_t n : now_made)
      given.push_back(request.prompt_of(n));
    const bool stream = text.streams() && !request.size.is_picture();
    double keys = 0;
    const OnToken on_token = [&](std::int64_t row, std::uint16_t token) {
      if (row == 0)
        keys += static_cast<double>(decoder->keys_seen());
      if (stream)
        text.byte(token);
    };
    const Samples made =
        generate(*decoder, config.model.vocabulary, now_made, given, request.length, request.choosing, on_token);
    figures.keys = keys;
    mine.insert(mine.end(), made.begin(), made.end());
    if (ranks.size() == 1 && !request.size.is_picture())
      for (std::size_t n = 0; n < made.size(); ++n)
        text.sample(now_made[n], made[n]);
  }
  figures.seconds = now() - begin;
  return mine;
}

void tell_figures(const SampleOptions& options, const SampleRequest& request, const Config& config,
                  const std::string& path, const Figures& figures) {
  const double tokens = static_cast<double>(request.total() * request.length);
  const double keys = figures.keys / static_cast<double>(request.length * config.model.layers * config.model.heads);
  if (options.time)
    fmt::print(stderr, "{} x {} tokens in {}: {} tokens/s, {:.1f} keys per token and head, cache {} per rank\n",
               request.total(), exact_count(request.length), human_seconds(figures.seconds),
               human_count(tokens / figures.seconds), keys, human_bytes(static_cast<double>(figures.cache_bytes)));
  if (!options.json.empty())
    replace_file(options.json,
                 fmt::format("{{\"checkpoint\": {}, \"samples\": {}, \"length\": {}, \"given\": {}, \"seed\": {}, "
                             "\"seconds\": {}, \"tokens_per_second\": {}, \"keys_per_token_and_head\": {}}}\n",
                             json_text(path), request.total(), request.length, request.prompts[0].size(), options.seed,
                             figures.seconds, tokens / figures.seconds, keys));
}

int sample(const SampleOptions& options, const Ranks& ranks) {
  std::string path;
  LoadedConfig loaded;
  SampleRequest request;
  agree(ranks, [&] {
    path = find_checkpoint(options.what, options.best);
    loaded = load_config_text(CheckpointFile(path).text("config"), path, options.overrides, DataCheck::skipped);
    request = sample_request(options, loaded.config);
  });
  const Config& config = loaded.config;
  const StartedRuntime runtime = start_runtime(ranks, config.parallel.share_device, config.debug.isa);
  std::unique_ptr<Model> model;
  Buffer<float> weights;
  agree(ranks, [&] {
    model = make_model(config);
    weights = Buffer<float>(model->parameters().extent(), "weights");
    load_weights(path, weights, model->parameters(), config);
  });
  const bool picture = request.size.is_picture();
  Samples mine;
  Figures figures;
  TextOut text(ranks.root() && !picture, request.total());
  agree(ranks, [&] { mine = make_samples(options, request, config, *model, weights.data(), ranks, text, figures); });
  figures.seconds = ranks.maximum(figures.seconds);
  const Samples all = gather_samples(mine, request, ranks);
  if (!ranks.root())
    return exit_done;
  if (ranks.size() > 1 && !picture)
    for (std::size_t n = 0; n < all.size(); ++n)
      text.sample(static_cast<std::int64_t>(n), all[n]);
  if (picture)
    write_grid(options.png, all, request, grid_layout(request, options.columns, options.scale));
  if (!options.bytes.empty()) {
    AtomicFile file(options.bytes);
    for (const auto& one : all)
      file.write(std::string(one.begin(), one.end()));
    file.commit();
  }
  tell_figures(options, request, config, path, figures);
  if (picture)
    fmt::print(stderr, "{}: {} pictures of {} x {} pixels\n", options.png, all.size(), request.size.height,
               request.size.width);
  return exit_done;
}

} // namespace

void add_sample(CLI::App& app, std::function<int()>& action) {
  auto o = std::make_shared<SampleOptions>();
  CLI::App* command = app.add_subcommand("sample", "text or pictures from a run or a checkpoint");
  add_run_options(*command, o->what, o->overrides);
  command->add_flag("--best", o->best, "the checkpoint that was best on validation, not the newest");
  command->add_option("--samples", o->samples, "how many (of each prompt)");
  CLI::Option* prompt = command->add_option("--prompt", o->prompt, "text to continue");
  command->add_option("--prompt-file", o->prompt_file, "file whose bytes are to be continued")->type_name(file_word);
  command->add_option("--length", o->length, "bytes behind the prompt; else as many as the context holds")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30));
  command->add_option("--temperature", o->temperature, "1 as trained, below 1 safer, 0 the most probable byte always");
  command->add_option("--top-k", o->top_k, "only the k most probable bytes; 0: all");
  command->add_option("--top-p", o->top_p, "only the most probable bytes that together reach this probability");
  command->add_option("--seed", o->seed, "another seed, other samples");
  command->add_option("--at-once", o->at_once, "samples that a rank makes side by side; changes time and memory only");
  command->add_option("--image", o->image, "the bytes are pictures of HEIGHTxWIDTH, row, column, channel");
  CLI::Option* png = add_output(*command, "--png", o->png, "file for the grid of pictures");
  command->add_option("--columns", o->columns, "pictures side by side in the grid; 0: chosen")
      ->check(CLI::Range(0, 10000))
      ->needs(png);
  command->add_option("--scale", o->scale, "side of a pixel in the grid; 0: chosen")
      ->check(CLI::Range(0, 64))
      ->needs(png);
  command->add_option("--prompt-rows", o->prompt_rows, "top rows that are given");
  CLI::Option* example =
      command->add_option("--prompt-example", o->prompt_examples, "give rows of these examples (from 0): K or K,K,...")
          ->delimiter(',')
          ->allow_extra_args(false);
  command->add_option("--prompt-png", o->prompt_png, "give rows of this PNG file")->type_name(file_word);
  command->add_option("--split", o->split, "split of --prompt-example: train, valid or test; else evaluation.split")
      ->check(CLI::IsMember({"train", "valid", "test"}))
      ->needs(example);
  add_output(*command, "--bytes", o->bytes, "write the bytes of all samples to this file too, one behind the other");
  command->add_flag("--time", o->time, "tell time, tokens per second and keys per token on stderr");
  add_output(*command, "--json", o->json, "write these figures to this file");
  command->callback([o, prompt, &action] {
    o->has_prompt = prompt->count() > 0;
    action = [o] { return run_job([&](const Ranks& ranks) { return sample(*o, ranks); }); };
  });
}

} // namespace weft
