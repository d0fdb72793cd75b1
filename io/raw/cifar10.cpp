#include "io/raw/cifar10.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/raw/cifar10_source.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

Prepared prepare_cifar10(const std::string& raw, const std::string& folder, int shards, bool allow_partial,
                         const KnownCifar10& known) {
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedImages images(built.temporary(), cifar10_bytes);
  const Cifar10Source source = stage_cifar10(raw, images, allow_partial, known);
  ImageOrder order;
  order.test = source.test;
  const auto all = static_cast<std::int64_t>(source.training.size());
  const std::int64_t valid = source.complete ? known.valid_images : all / 25;
  if (valid < 1 || order.test.empty())
    throw DataError(fmt::format("{} holds {} training and {} test images; at least 25 and 1 are needed for three "
                                "splits",
                                raw, all, order.test.size()));

  std::vector<std::string> numbers;
  for (std::int64_t i = 0; i < all; ++i)
    numbers.push_back(std::to_string(i));
  std::vector<std::int64_t> places = scattered("weft cifar10 ", numbers);
  std::sort(places.begin(), places.end() - valid);
  std::sort(places.end() - valid, places.end());
  for (const std::int64_t place : places)
    order.train.push_back(source.training[static_cast<std::size_t>(place)]);
  order.valid.assign(order.train.end() - valid, order.train.end());
  order.train.resize(static_cast<std::size_t>(all - valid));

  Prepared prepared = write_image_splits(built, folder, images, order, shards, "cifar10", source.sha256);
  prepared.note = source.note;
  return prepared;
}

} // namespace weft
