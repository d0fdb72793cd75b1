#include "io/raw/cifar10_source.hpp"
#include "io/atomic_file.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/raw/archive.hpp"
#include "io/raw/pickle.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <functional>
#include <memory>

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t plane = 32 * 32, pixels = cifar10_bytes;
constexpr int classes = 10, batches = 6; // five of training, one of test
constexpr const char* binary_folder = "cifar-10-batches-bin";
constexpr const char* python_folder = "cifar-10-batches-py";

std::string batch_name(int batch) { return batch < 5 ? fmt::format("data_batch_{}", batch + 1) : "test_batch"; }

/// A file as it comes: up to `bytes` to `to`, 0 at the end.
using Source = std::function<std::size_t(std::uint8_t* to, std::size_t bytes)>;

/// The batches met so far, as records in a staging file.
class Batches {
 public:
  Batches(const std::string& raw, StagedImages& images, const KnownCifar10& known)
      : raw_(raw), images_(images), known_(known) {}

  /// Takes the file if its name, without folders, is that of a batch.
  void offer(const std::string& path, const Source& source) {
    const std::string name = path.substr(path.find_last_of('/') + 1);
    names_ += fmt::format("{}{}", names_.empty() ? "" : ", ", name);
    for (int batch = 0; batch < batches; ++batch)
      for (const bool python : {false, true})
        if (name == batch_name(batch) + (python ? "" : ".bin")) {
          Found& found = found_[static_cast<std::size_t>(batch)];
          if (found.count > 0)
            throw DataError(fmt::format("{} holds {} twice; it is another archive", raw_, batch_name(batch)));
          (python ? python_ : binary_) = true;
          if (python_ && binary_)
            throw DataError(
                fmt::format("{} holds batches of the binary and of the Python version; name one of them", raw_));
          found.first = images_.size();
          read_batch(name, python, source);
          found.count = images_.size() - found.first;
        }
  }

  bool any() const { return binary_ || python_; }
  bool complete() const {
    return std::all_of(found_.begin(), found_.end(), [&](const Found& f) { return f.count == known_.batch_images; });
  }
  const char* version() const { return python_ ? "Python" : "binary"; }
  const std::string& names() const { return names_; }
  /// "10000 images in data_batch_1, no data_batch_2, ..."
  std::string inventory() const {
    std::string text;
    for (int batch = 0; batch < batches; ++batch) {
      const std::int64_t count = found_[static_cast<std::size_t>(batch)].count;
      text += batch > 0 ? ", " : "";
      text += count > 0 ? fmt::format("{} images in {}", count, batch_name(batch)) : "no " + batch_name(batch);
    }
    return text;
  }
  /// Staged numbers of the training images, in the order of the batches; of the test images.
  std::vector<std::int64_t> training() const { return members(0, 5); }
  std::vector<std::int64_t> test() const { return members(5, batches); }

 private:
  struct Found {
    std::int64_t first = 0, count = 0;
  };

  std::vector<std::int64_t> members(std::size_t begin, std::size_t end) const {
    std::vector<std::int64_t> all;
    for (std::size_t batch = begin; batch < end; ++batch)
      for (std::int64_t i = 0; i < found_[batch].count; ++i)
        all.push_back(found_[batch].first + i);
    return all;
  }

  void append(const std::string& name, std::int64_t index, std::int64_t label, const std::uint8_t* planes) {
    if (label < 0 || label >= classes)
      throw DataError(fmt::format("image {} of {} in {} has the label {}, expected 0 to {}; the file is damaged or "
                                  "something else: download it again",
                                  index, name, raw_, label, classes - 1));
    std::array<std::uint8_t, pixels> turned;
    planes_to_pixels(planes, plane, 3, turned.data());
    images_.append(static_cast<int>(label), turned.data());
  }

  void check_count(const std::string& name, std::int64_t images) const {
    if (images > known_.batch_images)
      throw DataError(fmt::format("{} in {} holds more than {} images; it is not a batch of CIFAR-10", name, raw_,
                                  known_.batch_images));
  }

  void read_batch(const std::string& name, bool python, const Source& source) {
    const std::int64_t before = images_.size();
    python ? read_python(name, source) : read_binary(name, source);
    if (images_.size() == before)
      throw DataError(fmt::format("{} in {} is empty; download it again", name, raw_));
  }

  /// Records of one label byte and three planes.
  void read_binary(const std::string& name, const Source& source) {
    std::array<std::uint8_t, pixels + 1> record;
    for (std::int64_t index = 0;; ++index) {
      std::size_t have = 0, got;
      while (have < record.size() && (got = source(record.data() + have, record.size() - have)) > 0)
        have += got;
      if (have == 0)
        return;
      if (have < record.size())
        throw DataError(fmt::format("{} in {} is cut short: after {} images {} bytes are left, expected {}; download "
                                    "it again",
                                    name, raw_, index, have, record.size()));
      check_count(name, index + 1);
      append(name, index, record[0], record.data() + 1);
    }
  }

  void read_python(const std::string& name, const Source& source) {
    // Twice the pixels: the form in which Python 3 pickles bytes; the rest: labels and file names.
    const std::size_t most = static_cast<std::size_t>(known_.batch_images * 2 * pixels) + (8u << 20);
    std::string bytes;
    std::vector<std::uint8_t> block(1 << 18);
    std::size_t got;
    while ((got = source(block.data(), block.size())) > 0) {
      StopGuard::check();
      bytes.append(reinterpret_cast<const char*>(block.data()), got);
      if (bytes.size() > most)
        throw DataError(fmt::format("{} in {} is larger than any batch of CIFAR-10 ({} bytes)", name, raw_, most));
    }
    const PickledBatch batch = read_pickled_batch(bytes, fmt::format("{} in {}", name, raw_));
    if (batch.columns != pixels)
      throw DataError(fmt::format("{} in {} has {} bytes per image, expected {}", name, raw_, batch.columns, pixels));
    check_count(name, batch.rows);
    for (std::int64_t i = 0; i < batch.rows; ++i)
      append(name, i, batch.labels[static_cast<std::size_t>(i)],
             reinterpret_cast<const std::uint8_t*>(batch.data.data()) + i * pixels);
  }

  const std::string& raw_;
  StagedImages& images_;
  const KnownCifar10& known_;
  std::array<Found, batches> found_;
  bool binary_ = false, python_ = false;
  std::string names_;
};

using FilePointer = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
FilePointer opened(const std::string& path) {
  FilePointer file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return file;
}

std::size_t read_some(std::FILE* file, const std::string& path, std::uint8_t* to, std::size_t bytes) {
  const std::size_t got = std::fread(to, 1, bytes, file);
  if (std::ferror(file) != 0)
    throw DataError(fmt::format("cannot read {} to its end: {}", path, std::strerror(errno)));
  return got;
}

std::string md5_of_file(const std::string& path) {
  const FilePointer file = opened(path);
  Digest digest(Digest::Kind::md5);
  std::vector<std::uint8_t> block(1 << 20);
  std::size_t got;
  while ((got = read_some(file.get(), path, block.data(), block.size())) > 0) {
    StopGuard::check();
    digest.update(block.data(), got);
  }
  return digest.hex();
}

/// The folder with the batches: the one named, or one of the official names in it.
fs::path folder_of_batches(const std::string& raw) {
  const bool binary = fs::is_directory(fs::path(raw) / binary_folder),
             python = fs::is_directory(fs::path(raw) / python_folder);
  if (binary && python)
    throw InputError(fmt::format("{} holds both {} and {}, expected one of them; name the one to take", raw,
                                 binary_folder, python_folder));
  return binary ? fs::path(raw) / binary_folder : python ? fs::path(raw) / python_folder : fs::path(raw);
}

void read_source(const std::string& raw, Batches& found) {
  if (!fs::is_directory(raw)) {
    RawFile archive(raw);
    while (archive.next())
      found.offer(archive.name(), [&archive](std::uint8_t* to, std::size_t bytes) { return archive.read(to, bytes); });
    return;
  }
  std::vector<std::string> paths;
  std::error_code code;
  fs::directory_iterator entry(folder_of_batches(raw), code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code))
    if (entry->is_regular_file())
      paths.push_back(entry->path().string());
  if (code)
    throw DataError(fmt::format("cannot read the folder {}: {}", raw, code.message()));
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const FilePointer file = opened(path);
    found.offer(path, [&](std::uint8_t* to, std::size_t bytes) { return read_some(file.get(), path, to, bytes); });
  }
}

} // namespace

Cifar10Source stage_cifar10(const std::string& raw, StagedImages& images, bool allow_partial,
                            const KnownCifar10& known) {
  Batches found(raw, images, known);
  read_source(raw, found);
  if (!found.any())
    throw DataError(fmt::format("{} holds no batch of CIFAR-10 (data_batch_1.bin or data_batch_1, ...), but {:.200}; "
                                "name cifar-10-binary.tar.gz, cifar-10-python.tar.gz or the folder of one of them",
                                raw, found.names().empty() ? "no file" : found.names()));
  const bool complete = found.complete(), archive = !fs::is_directory(raw);
  if (!complete && !allow_partial)
    throw DataError(fmt::format("{} is not the whole of CIFAR-10: got {}, expected {} images in each; download it "
                                "again, or give --allow-partial to use these images as they are",
                                raw, found.inventory(), known.batch_images));
  Cifar10Source source{found.training(), found.test(), complete, "", ""};
  std::vector<std::int64_t> all = source.training;
  all.insert(all.end(), source.test.begin(), source.test.end());
  source.sha256 = images.sha256(all);
  const std::string md5 = archive ? md5_of_file(raw) : "";
  if (!complete)
    source.note = fmt::format("part of CIFAR-10, not verified (--allow-partial): {} version, {}", found.version(),
                              found.inventory());
  else if (archive && (md5 == known.binary_md5 || md5 == known.python_md5))
    source.note =
        fmt::format("verified: MD5 {} of the official {} version, {} images", md5, found.version(), all.size());
  else
    source.note = fmt::format("not verified, but complete: {} images of the {} version; only an official archive ({} "
                              "or {}) has an MD5 to compare{}",
                              all.size(), found.version(), "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz",
                              archive ? ", got " + md5 : "");
  return source;
}

} // namespace weft
