#include "io/generate/pathfinder_set.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/generate/pathfinder.hpp"
#include "io/png.hpp"
#include "io/progress.hpp"
#include "io/raw/example_splits.hpp"
#include "io/raw/pathfinder.hpp"
#include "io/raw/random_split.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <numeric>
#include <optional>
#include <thread>

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t per_batch = 1000; // files in a folder
constexpr std::int64_t ahead = 256;      // pictures drawn at a time, by several threads

struct Drawn {
  int label = 0, margin = 0;
  std::vector<std::uint8_t> pixels;
};

/// The pictures of all splits, train first. Each is drawn by itself, so it does not matter which thread draws it.
class Pictures {
 public:
  Pictures(const PathfinderRules& rules, const PathfinderSetRequest& request)
      : rules_(rules), request_(request),
        all_(std::accumulate(request.examples.begin(), request.examples.end(), std::int64_t{0})) {}

  std::int64_t size() const { return all_; }
  /// Picture `number`; best asked for in ascending order.
  const Drawn& at(std::int64_t number) {
    if (number < first_ || number >= first_ + static_cast<std::int64_t>(drawn_.size()))
      fill(number);
    return drawn_[static_cast<std::size_t>(number - first_)];
  }

 private:
  Drawn draw(std::int64_t number) const {
    int split = 0;
    while (number >= request_.examples[static_cast<std::size_t>(split)])
      number -= request_.examples[static_cast<std::size_t>(split++)];
    Draws draws(request_.seed, static_cast<std::uint32_t>(split), static_cast<std::uint32_t>(number),
                purpose_pathfinder);
    const PathfinderScene scene = pathfinder_scene(rules_, draws);
    return {scene.label, scene.margin / pixel, pathfinder_picture(rules_, scene)};
  }

  void fill(std::int64_t first) {
    first_ = first;
    drawn_.resize(static_cast<std::size_t>(std::min(ahead, all_ - first)));
    const std::size_t threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, drawn_.size());
    std::vector<std::exception_ptr> failures(threads);
    std::vector<std::thread> working;
    for (std::size_t thread = 0; thread < threads; ++thread)
      working.emplace_back([this, thread, threads, &failures] {
        try {
          for (std::size_t i = thread; i < drawn_.size(); i += threads)
            drawn_[i] = draw(first_ + static_cast<std::int64_t>(i));
        } catch (...) {
          failures[thread] = std::current_exception();
        }
      });
    for (std::thread& one : working)
      one.join();
    for (const std::exception_ptr& failure : failures)
      if (failure)
        std::rethrow_exception(failure);
  }

  const PathfinderRules& rules_;
  const PathfinderSetRequest& request_;
  std::int64_t all_, first_ = 0;
  std::vector<Drawn> drawn_;
};

void check(const PathfinderSetRequest& request) {
  for (const std::int64_t count : request.examples)
    if (count < 1 || count > INT32_MAX / 4)
      throw InputError(fmt::format("--examples: a split of {} asked for, expected 1 to {}", count, INT32_MAX / 4));
}

/// The line of a metadata file: what the published generator records, field by field.
std::string line_of(const PathfinderRules& rules, std::int64_t batch, std::int64_t number, int label, int margin) {
  return fmt::format("imgs/{} sample_{}.png {} {} {:.1f} {} {} {} {:.1f} {} 1\n", batch, number, number, label,
                     rules.continuity / 10.0, rules.contour, rules.distractor, rules.length / pixel,
                     static_cast<double>(rules.thickness) / pixel, margin);
}

/// The tree below the folder: place p of all files holds the picture that random_split puts where it is in the splits.
void write_tree(const std::string& folder, const PathfinderRules& rules, const StagedRows& pictures,
                const std::vector<int>& margins, Console* console) {
  const std::int64_t all = pictures.size(), batches = (all + per_batch - 1) / per_batch;
  std::vector<std::string> lines(static_cast<std::size_t>(all));
  const std::vector<std::int64_t> places = torch_permutation(all, arena_split_seed);
  for (std::int64_t batch = 0; batch < batches; ++batch)
    fs::create_directories(fs::path(folder) / "imgs" / std::to_string(batch));
  fs::create_directories(fs::path(folder) / "metadata");
  Progress progress(console, "writing PNG files", all);
  for (std::int64_t number = 0; number < all; ++number) {
    StopGuard::check();
    const std::vector<std::uint8_t> picture = pictures.read(number);
    const std::int64_t place = places[static_cast<std::size_t>(number)], batch = place / per_batch;
    const std::string name = fmt::format("imgs/{}/sample_{}.png", batch, place % per_batch);
    write_png((fs::path(folder) / name).string(), rules.size, rules.size, 1, picture.data());
    lines[static_cast<std::size_t>(place)] =
        line_of(rules, batch, place % per_batch, pictures.label(number), margins[static_cast<std::size_t>(number)]);
    progress.at(number + 1);
  }
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    std::string text;
    for (std::int64_t place = batch * per_batch; place < std::min((batch + 1) * per_batch, all); ++place)
      text += lines[static_cast<std::size_t>(place)];
    replace_file((fs::path(folder) / "metadata" / fmt::format("{}.npy", batch)).string(), text);
  }
}

} // namespace

Prepared generate_pathfinder(const std::string& folder, const PathfinderSetRequest& request, Console* console) {
  check(request);
  const PathfinderRules rules = pathfinder_rules(request.size, request.contour);
  check_target(folder);
  Pictures pictures(rules, request);
  pictures.at(0); // an impossible contour is met here
  const std::string tree = (fs::path(request.png) / fmt::format("pathfinder{}", rules.size) /
                            fmt::format("curv_contour_length_{}", rules.contour))
                               .string();
  std::error_code code;
  if (!request.png.empty() && fs::exists(tree, code))
    throw InputError(fmt::format("{} exists; nothing was written. Remove it or choose another --png", tree));
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedRows staged(built.temporary());
  std::vector<int> margins;
  Digest source(Digest::Kind::sha256);
  Progress progress(console, "drawing", pictures.size());
  for (std::int64_t number = 0; number < pictures.size(); ++number) {
    const Drawn& drawn = pictures.at(number);
    const auto label = static_cast<std::uint8_t>(drawn.label);
    source.update(&label, 1);
    source.update(drawn.pixels.data(), drawn.pixels.size());
    staged.append(drawn.label, drawn.pixels);
    margins.push_back(drawn.margin);
    progress.at(number + 1);
  }
  ExampleSplits splits;
  splits.sizes = request.examples;
  splits.length = static_cast<std::int64_t>(rules.size) * rules.size;
  splits.attributes = {"pathfinder", 256, source.hex()};
  splits.attributes.classes = 2;
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    for (int earlier = 0; earlier < split; ++earlier)
      row += request.examples[static_cast<std::size_t>(earlier)];
    const std::vector<std::uint8_t> picture = staged.read(row);
    std::copy(picture.begin(), picture.end(), to.tokens);
    *to.length = static_cast<std::int32_t>(splits.length);
    *to.label = staged.label(row);
  };
  Prepared prepared = write_example_splits(built.temporary(), splits, request.shards, console);
  prepared.unit = "images";
  prepared.note = fmt::format("{} drawn pictures of {} x {} pixels, contours of {} strokes, seed {}", pictures.size(),
                              rules.size, rules.size, rules.contour, request.seed);
  std::optional<AtomicFolder> raw;
  if (!request.png.empty()) {
    raw.emplace(tree);
    write_tree(raw->temporary(), rules, staged, margins, console);
    const auto& e = request.examples;
    prepared.note += fmt::format(
        "\nraw form: weft prepare pathfinder --from {} --size {} --difficulty "
        "curv_contour_length_{}{} --to ...",
        request.png, rules.size, rules.contour,
        e == pathfinder_sizes(pictures.size()) ? std::string() : fmt::format(" --examples {},{},{}", e[0], e[1], e[2]));
  }
  staged.drop();
  prepared.written = publish_data_set(built, folder);
  if (raw)
    raw->commit();
  return prepared;
}

} // namespace weft
