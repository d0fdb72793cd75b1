#include "io/raw/images.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/png.hpp"
#include "io/raw/image_splits.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <memory>
#include <numeric>

namespace weft {
namespace fs = std::filesystem;
namespace {

struct Files {
  std::vector<std::string> names; ///< sorted
  std::int64_t others = 0;        ///< what else lies there
};

Files png_files(const std::string& folder) {
  std::error_code code;
  if (!fs::exists(folder, code))
    throw DataError(fmt::format("there is no folder {}", folder));
  if (!fs::is_directory(folder, code))
    throw DataError(fmt::format("{} is no folder; name the folder that holds the PNG files", folder));
  Files files;
  fs::directory_iterator entry(folder, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    std::string ending = entry->path().extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    std::error_code ignored;
    if (ending == ".png" && entry->is_regular_file(ignored)) // a pipe would be waited for
      files.names.push_back(entry->path().filename().string());
    else
      ++files.others;
  }
  if (code)
    throw DataError(fmt::format("cannot read the folder {}: {}", folder, code.message()));
  std::sort(files.names.begin(), files.names.end());
  return files;
}

/// Decoded files, all of one size.
class Collection {
 public:
  explicit Collection(const std::string& folder) : folder_(folder) {}

  void append(const std::string& path) {
    const Image image = read_png(path);
    if (!images_) {
      first_ = path;
      width_ = image.width;
      height_ = image.height;
      images_ = std::make_unique<StagedImages>(folder_, static_cast<std::int64_t>(image.rgb.size()));
    }
    if (image.width != width_ || image.height != height_)
      throw DataError(fmt::format("{} has {} x {} pixels, expected {} x {} as {} has; all PNG files must have one size",
                                  path, image.width, image.height, width_, height_, first_));
    images_->append(-1, image.rgb.data());
  }
  StagedImages& images() { return *images_; }
  std::string size() const { return fmt::format("{} x {}", width_, height_); }

 private:
  std::string folder_, first_;
  std::int64_t width_ = 0, height_ = 0;
  std::unique_ptr<StagedImages> images_;
};

} // namespace

Prepared prepare_images(const std::string& raw, const std::string& test, const std::string& folder, int shards) {
  check_target(folder);
  std::error_code code;
  if (!test.empty() && fs::equivalent(raw, test, code))
    throw InputError(fmt::format("--test: got {}, the folder of the training pictures, expected another one; leave it "
                                 "out to have 5 % of them as the test split",
                                 test));
  const Files files = png_files(raw), test_files = test.empty() ? Files{} : png_files(test);
  const auto n = static_cast<std::int64_t>(files.names.size());
  const std::int64_t share = test.empty() ? 20 : 25, part = n / share;
  if (part < 1)
    throw DataError(fmt::format("{} holds {} PNG files (and {} other entries); at least {} are needed for its splits",
                                raw, n, files.others, share));
  if (!test.empty() && test_files.names.empty())
    throw DataError(fmt::format("{} holds no PNG file (but {} other entries)", test, test_files.others));

  const StopGuard guard;
  AtomicFolder built(folder);
  Collection all(built.temporary());
  for (const std::string& name : files.names)
    all.append((fs::path(raw) / name).string());
  for (const std::string& name : test_files.names)
    all.append((fs::path(test) / name).string());

  const std::vector<std::int64_t> places = scattered("weft images ", files.names);
  const auto slice = [&](std::int64_t first, std::int64_t last) {
    std::vector<std::int64_t> found(places.begin() + first, places.begin() + last);
    std::sort(found.begin(), found.end());
    return found;
  };
  ImageOrder order;
  if (test.empty()) {
    order = {slice(0, n - 2 * part), slice(n - 2 * part, n - part), slice(n - part, n)};
  } else {
    order = {slice(0, n - part), slice(n - part, n), std::vector<std::int64_t>(test_files.names.size())};
    std::iota(order.test.begin(), order.test.end(), n);
  }
  std::vector<std::int64_t> source(static_cast<std::size_t>(all.images().size()));
  std::iota(source.begin(), source.end(), std::int64_t{0});
  const std::string digest = all.images().sha256(source);
  Prepared prepared = write_image_splits(built, folder, all.images(), order, shards, "images", digest);
  const std::int64_t others = files.others + test_files.others;
  prepared.note = fmt::format("{} image{} of {} pixels{}", source.size(), source.size() == 1 ? "" : "s", all.size(),
                              others > 0 ? fmt::format("; left out, being no PNG files: {}", others) : "");
  return prepared;
}

} // namespace weft
