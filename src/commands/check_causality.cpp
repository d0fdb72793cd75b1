#include "commands/check_causality.hpp"
#include "commands/job.hpp"
#include "commands/shared_options.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/png.hpp"
#include "kernels/common/memory.hpp"
#include "training/causality.hpp"
#include <chrono>
#include <fmt/format.h>

namespace weft {

namespace {
constexpr std::int64_t longest = 2048;

void write_targets(const std::string& path, const Causality& seen) {
  std::string out = "position,leaks,first_slot\n";
  for (std::int64_t j = 0; j < seen.length; ++j)
    out += fmt::format("{},{},{}\n", j, seen.leaks(j) ? 1 : 0, seen.first_slot(j));
  replace_file(path, out);
}

/// White: not seen. Blue: seen as it may be. Red: seen by the slot that predicts it, or by one before.
void draw(const std::string& path, const Causality& seen) {
  const std::int64_t N = seen.length, zoom = std::max<std::int64_t>(1, 768 / N), size = N * zoom;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(3 * size * size), 255);
  for (std::int64_t y = 0; y < size; ++y)
    for (std::int64_t x = 0; x < size; ++x) {
      const std::int64_t slot = y / zoom, byte = x / zoom;
      std::uint8_t* pixel = &pixels[static_cast<std::size_t>(3 * (y * size + x))];
      if (!seen.sees(slot, byte))
        continue;
      const bool may = byte < slot;
      pixel[0] = may ? 70 : 215;
      pixel[1] = may ? 110 : 45;
      pixel[2] = may ? 180 : 40;
    }
  write_png(path, size, size, 3, pixels.data());
}

std::string first_ones(const Causality& seen) {
  std::string out;
  int told = 0;
  for (std::int64_t j = 0; j < seen.length && told < 12; ++j)
    if (seen.leaks(j)) {
      out += fmt::format("{}{}", told > 0 ? " " : "", j);
      ++told;
    }
  return told > 0 ? out + (seen.leaking() > told ? " ..." : "") : "none";
}
} // namespace

int check_causality(const Config& asked, const std::string& csv, const std::string& png) {
  if (asked.model.context > longest)
    throw InputError(fmt::format("check --causality runs the model once per position: got model.context = {}, expected "
                                 "at most {}; add model.context=256 to the command",
                                 asked.model.context, longest));
  Config config = asked;
  config.run.precision = "fp32"; // the finest bits
  config.training.batch = config.training.micro_batch = 1;
  use_isa(config.debug.isa, "debug.isa");
  const Runtime runtime;
  Console console(true, talk({csv}));
  const std::unique_ptr<Model> model = make_model(config);
  model->allocate();
  const auto begin = std::chrono::steady_clock::now();
  const Causality seen = audit_causality(*model, config, [&](double done) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    console.progress(
        fmt::format("causality: {:.0f} %, {} left", 100 * done, human_seconds(took.count() * (1 - done) / done)));
  });
  if (!csv.empty())
    write_targets(csv, seen);
  if (!png.empty())
    draw(png, seen);
  if (config.attention.pattern == "lsh")
    console.line(
        "with lsh no slot reads a later byte, but all bytes move the order of the sorted lists and the ends of "
        "their chunks, and so which earlier bytes a slot meets (docs/attention.md); attention.buckets=[1] "
        "leaves that out");
  const std::int64_t N = seen.length;
  Table table("what each slot sees (slot i predicts byte i)");
  table.row("targets", exact_count(N));
  table.row("seen by the slot that predicts them", exact_count(seen.leaking()));
  table.row("  the first of these", first_ones(seen));
  table.row("seen by an earlier slot", exact_count(seen.early()));
  std::int64_t most = 0;
  for (std::int64_t j = 0; j < N; ++j)
    most = std::max(most, j - std::min(seen.first_slot(j), j));
  table.row("  farthest look ahead", fmt::format("{} bytes past the target", most));
  console.table(table);
  if (seen.causal()) {
    console.line(fmt::format("no leak: none of {} targets is seen before it is predicted", N));
    return exit_done;
  }
  console.line(fmt::format("LEAK: {} of {} targets are visible to the slot that predicts them ({:.0f} %)",
                           seen.leaking(), N, 100 * static_cast<double>(seen.leaking()) / static_cast<double>(N)));
  return exit_failure;
}

} // namespace weft
