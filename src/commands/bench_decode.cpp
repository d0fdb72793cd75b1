#include "commands/bench_decode.hpp"
#include "config/config.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "kernels/common/memory.hpp"
#include "model/model.hpp"
#include "model/sampling/sampling.hpp"
#include <chrono>
#include <fmt/core.h>
#include <numeric>

namespace weft {

namespace {
constexpr std::int64_t head_width = 32;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Config decode_config(const std::string& pattern, std::int64_t N, std::int64_t width, const std::string& precision) {
  Config c;
  c.run.precision = precision;
  c.model.layers = 6;
  c.model.width = width;
  c.model.heads = width / head_width;
  c.model.context = N;
  c.attention.pattern = pattern;
  c.attention.stride = 128;
  c.attention.summary = 32;
  c.training.steps = 1;
  return c;
}
} // namespace

void bench_decode(Console& console, bool quick, std::int64_t samples, std::int64_t width, const std::string& precision,
                  const std::string& json) {
  if (samples < 1)
    throw InputError(fmt::format("--samples: got {}, expected at least 1", samples));
  if (width < head_width || width % head_width != 0)
    throw InputError(fmt::format("--width: got {}, expected a multiple of {}, the width of a head", width, head_width));
  const std::int64_t N = quick ? 2048 : 12288;
  console.line(fmt::format("\nsampling {} x {} bytes, L = 6, D = {}, H = {}, {}", samples, exact_count(N), width,
                           width / head_width, precision));
  console.line(fmt::format("{:<24} {:>14} {:>12} {:>12} {:>14} {:>10}", "attention", "keys per head", "time",
                           "tokens/s", "against dense", "cache"));
  std::string text;
  double dense_seconds = 0;
  struct Kind {
    const char *pattern, *combination, *name;
  };
  for (const Kind kind : {Kind{"dense", "merged", "dense"},
                          {"fixed", "merged", "fixed l=128 c=32"},
                          {"fixed", "interleaved", "the same, interleaved"},
                          {"strided", "merged", "strided l=128"}}) {
    Config config = decode_config(kind.pattern, N, width, precision);
    config.attention.combination = {kind.combination};
    const std::unique_ptr<Model> model = make_model(config);
    std::vector<float> values(static_cast<std::size_t>(model->parameters().extent()));
    initialise(values.data(), model->parameters(), 1);
    Buffer<float> weights(model->parameters().extent(), "weights");
    copy_to_device(weights.data(), values.data(), weights.bytes());
    const std::unique_ptr<Decoder> decoder = make_decoder(*model, config, weights.data(), samples, N);
    std::vector<std::uint32_t> numbers(static_cast<std::size_t>(samples));
    std::iota(numbers.begin(), numbers.end(), 0u);
    const std::vector<std::vector<std::uint16_t>> nothing(numbers.size());
    generate(*decoder, config.model.vocabulary, numbers, nothing, 16, {}); // to warm up
    double keys = 0;
    const double begin = now();
    generate(*decoder, config.model.vocabulary, numbers, nothing, N, {}, [&](std::int64_t row, std::uint16_t) {
      keys += row == 0 ? static_cast<double>(decoder->keys_seen()) : 0.0;
    });
    const double seconds = now() - begin;
    keys /= static_cast<double>(N * config.model.layers * config.model.heads);
    if (dense_seconds == 0)
      dense_seconds = seconds;
    const double rate = static_cast<double>(samples * N) / seconds;
    console.line(fmt::format("{:<24} {:>14.1f} {:>12} {:>12} {:>8.2f} x {:<3} {:>10}", kind.name, keys,
                             human_seconds(seconds), human_count(rate), dense_seconds / seconds, "",
                             human_bytes(static_cast<double>(decoder->cache_bytes()))));
    text += fmt::format(
        "{}  {{\"operation\": \"decode\", \"pattern\": \"{}\", \"precision\": \"{}\", \"N\": {}, "
        "\"samples\": {}, \"width\": {}, \"keys_per_head\": {}, \"seconds\": {}, \"tokens_per_second\": {}, "
        "\"against_dense\": {}}}",
        text.empty() ? "" : ",\n", kind.name, precision, N, samples, width, keys, seconds, rate,
        dense_seconds / seconds);
  }
  if (!json.empty())
    replace_file(json, "[\n" + text + "\n]\n");
}

} // namespace weft
