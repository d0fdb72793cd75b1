#include "io/generate/copy.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/generate/draws.hpp"
#include <fmt/core.h>

namespace weft {
namespace {
constexpr std::uint32_t purpose = 0x10000002u; // of the random numbers: no other generator has it
} // namespace

Prepared generate_copy(const std::string& folder, const CopyRequest& request, Console* console) {
  const std::int64_t length = request.length, half = length / 2;
  if (length < 4 || length % 2 != 0 || length > INT32_MAX)
    throw InputError(fmt::format("--length {}: 0 w 0 w needs an even number, 4 at least", length));
  if (request.symbols < 1 || request.symbols > 65'534)
    throw InputError(fmt::format("--symbols {}: expected 1 to 65534", request.symbols));
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  ExampleSplits splits;
  splits.sizes = request.examples;
  splits.length = length;
  const std::string settings = fmt::format("weft generate copy: seed {}, length {}, symbols {}, {} rows", request.seed,
                                           length, request.symbols, request.same_rows ? "same" : "own");
  splits.attributes = {"copy", request.symbols + 1, sha256(settings.data(), settings.size()), 0, half + 1};
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    Draws draws(request.seed, request.same_rows ? 0u : static_cast<std::uint32_t>(split),
                static_cast<std::uint32_t>(row), purpose);
    for (std::int64_t i = 1; i < half; ++i)
      to.tokens[i] = to.tokens[half + i] =
          static_cast<std::uint16_t>(1 + draws.below(static_cast<std::uint32_t>(request.symbols)));
    *to.length = static_cast<std::int32_t>(length);
    *to.label = -1;
  };
  Prepared prepared = write_example_splits(built.temporary(), splits, request.shards, console);
  prepared.written = publish_data_set(built, folder);
  prepared.note =
      fmt::format("0 w 0 w of {} tokens, w of {} symbols from 1 to {}; scored are tokens {} to {}, chance is "
                  "{:.2f} %; {}",
                  length, half - 1, request.symbols, half + 1, length - 1, 100.0 / request.symbols,
                  request.same_rows ? "VALID AND TEST REPEAT THE FIRST ROWS OF TRAIN (--same-rows): their "
                                      "scores are not those of unseen data"
                                    : "train, valid and test are drawn apart");
  return prepared;
}

} // namespace weft
