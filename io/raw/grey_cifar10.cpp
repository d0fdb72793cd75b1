#include "io/raw/grey_cifar10.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/raw/cifar10_source.hpp"
#include "io/raw/example_splits.hpp"
#include "io/raw/random_split.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {
namespace {

/// weight * (value / 255) for every value. Products that are stored are rounded to fp32, whatever the compiler fuses.
constexpr std::array<float, 256> products(float weight) {
  std::array<float, 256> table{};
  for (std::size_t value = 0; value < 256; ++value)
    table[value] = weight * (static_cast<float>(value) / 255.0f);
  return table;
}
constexpr std::array<float, 256> red_part = products(0.2989f), green_part = products(0.5870f),
                                 blue_part = products(0.1140f);

/// The first `wanted` rows; 0: all.
void limit(std::vector<std::int64_t>& rows, std::int64_t wanted, const char* split) {
  const auto all = static_cast<std::int64_t>(rows.size());
  if (wanted < 0 || wanted > all)
    throw InputError(fmt::format("--examples: {} of {} asked for, but there are {}; give fewer", wanted, split, all));
  if (wanted > 0)
    rows.resize(static_cast<std::size_t>(wanted));
}

} // namespace

std::uint8_t arena_grey(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  const float sum = red_part[red] + green_part[green] + blue_part[blue];
  return static_cast<std::uint8_t>(sum * 255.5f);
}

void grey_picture(const std::uint8_t* colour, int size, std::uint8_t* grey) {
  const int block = 32 / size, half = block * block / 2;
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      int sum = 0;
      for (int j = 0; j < block; ++j)
        for (int i = 0; i < block; ++i) {
          const std::uint8_t* at = colour + 3 * ((y * block + j) * 32 + x * block + i);
          sum += arena_grey(at[0], at[1], at[2]);
        }
      grey[y * size + x] = static_cast<std::uint8_t>((sum + half) / (block * block));
    }
}

Prepared prepare_image(const std::string& raw, const std::string& folder, const GreyRequest& request, Console* console,
                       const KnownCifar10& known) {
  const int size = request.size;
  if (size != 32 && size != 16 && size != 8)
    throw InputError(fmt::format("--size {}: expected 32 (the pictures as they are), 16 or 8", size));
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedImages images(built.temporary(), cifar10_bytes);
  const Cifar10Source source = stage_cifar10(raw, images, request.allow_partial, known);
  const auto all = static_cast<std::int64_t>(source.training.size()), valid = all / 10;
  if (valid < 1 || source.test.empty())
    throw DataError(
        fmt::format("{} holds {} training and {} test images; at least 10 and 1 are needed for three splits", raw, all,
                    source.test.size()));
  RowOrder order;
  for (const std::int64_t place : torch_permutation(all, arena_split_seed))
    order[order[0].size() < static_cast<std::size_t>(all - valid) ? 0 : 1].push_back(
        source.training[static_cast<std::size_t>(place)]);
  order[2] = source.test;
  ExampleSplits splits;
  for (std::size_t split = 0; split < 3; ++split) {
    limit(order[split], request.examples[split], split_names[split]);
    splits.sizes[split] = static_cast<std::int64_t>(order[split].size());
  }
  splits.length = static_cast<std::int64_t>(size) * size;
  splits.attributes = {"image", 256, source.sha256};
  splits.attributes.classes = 10;
  std::vector<std::uint8_t> colour(cifar10_bytes), grey(static_cast<std::size_t>(splits.length));
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    *to.label = images.read(order[static_cast<std::size_t>(split)][static_cast<std::size_t>(row)], colour.data());
    grey_picture(colour.data(), size, grey.data());
    *to.length = static_cast<std::int32_t>(splits.length);
    std::copy(grey.begin(), grey.end(), to.tokens);
  };
  Prepared prepared = write_example_splits(built.temporary(), splits, request.shards, console);
  images.drop();
  prepared.unit = "images";
  prepared.written = publish_data_set(built, folder);
  prepared.note = fmt::format("{}; grey, {} x {} pixels", source.note, size, size);
  return prepared;
}

} // namespace weft
