#include "io/raw/image_splits.hpp"
#include "io/atomic_file.hpp"
#include <algorithm>
#include <numeric>

namespace weft {
namespace {
constexpr std::uint8_t no_label = 255;
}

void StagedImages::append(int label, const std::uint8_t* pixels) {
  StopGuard::check();
  record_.resize(static_cast<std::size_t>(bytes_ + 1));
  record_[0] = label < 0 ? no_label : static_cast<std::uint8_t>(label);
  std::copy_n(pixels, bytes_, record_.begin() + 1);
  staged_.append(record_.data(), record_.size());
}

int StagedImages::read(std::int64_t index, std::uint8_t* pixels) const {
  record_.resize(static_cast<std::size_t>(bytes_ + 1));
  staged_.read(index * (bytes_ + 1), bytes_ + 1, record_.data());
  std::copy_n(record_.begin() + 1, bytes_, pixels);
  return record_[0] == no_label ? -1 : record_[0];
}

std::string StagedImages::sha256(const std::vector<std::int64_t>& order) const {
  Digest digest(Digest::Kind::sha256);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(bytes_));
  for (const std::int64_t index : order) {
    StopGuard::check();
    read(index, pixels.data());
    digest.update(record_.data(), record_.size());
  }
  return digest.hex();
}

void planes_to_pixels(const std::uint8_t* planes, std::int64_t plane, int channels, std::uint8_t* pixels) {
  for (std::int64_t i = 0; i < plane; ++i)
    for (int c = 0; c < channels; ++c)
      *pixels++ = planes[c * plane + i];
}

std::vector<std::int64_t> scattered(const std::string& salt, const std::vector<std::string>& names) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const std::string& name : names) {
    const std::string text = salt + name;
    keys.push_back(sha256(text.data(), text.size()));
  }
  std::vector<std::int64_t> order(names.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)];
  });
  return order;
}

Prepared write_image_splits(AtomicFolder& folder, const std::string& target, StagedImages& images,
                            const ImageOrder& order, int shards, const std::string& task,
                            const std::string& source_sha256) {
  const std::int64_t bytes = images.bytes();
  Prepared prepared;
  prepared.unit = "images";
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(bytes));
  const auto write = [&](const char* split, const std::vector<std::int64_t>& members) {
    const auto provider = [&](std::int64_t first, std::int64_t count, ExampleRows& rows) {
      for (std::int64_t row = 0; row < count; ++row) {
        StopGuard::check();
        const auto at = static_cast<std::size_t>(row);
        rows.label[at] = images.read(members[static_cast<std::size_t>(first + row)], pixels.data());
        rows.length[at] = static_cast<std::int32_t>(bytes);
        std::copy(pixels.begin(), pixels.end(), rows.tokens.begin() + row * bytes);
      }
    };
    prepared.splits.push_back(write_examples_split(folder.temporary(), split, static_cast<std::int64_t>(members.size()),
                                                   bytes, false, provider, shards, {task, 256, source_sha256}));
  };
  write("train", order.train);
  write("valid", order.valid);
  write("test", order.test);
  images.drop();
  prepared.written = publish_data_set(folder, target);
  return prepared;
}

} // namespace weft
