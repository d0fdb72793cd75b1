#include "io/raw/pathfinder_tree.hpp"
#include "io/error.hpp"
#include "io/png.hpp"
#include "io/raw/npy.hpp"
#include <algorithm>
#include <charconv>
#include <fmt/core.h>

namespace weft {
namespace {

constexpr std::size_t most_png = 1 << 20, most_metadata = 1 << 28;

bool ends_with(const std::string& text, const std::string& ending) {
  return text.size() > ending.size() && text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

/// "pathfinder" and digits.
bool names_resolution(const std::string& part) {
  return part.rfind("pathfinder", 0) == 0 && part.size() > 10 &&
         std::all_of(part.begin() + 10, part.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t begin = line.find_first_not_of(" \t", at);
    if (begin == std::string::npos)
      break;
    at = std::min(line.find_first_of(" \t", begin), line.size());
    words.push_back(line.substr(begin, at - begin));
  }
  return words;
}

std::vector<std::string> text_rows(const std::string& bytes) {
  std::vector<std::string> rows;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    std::string row = bytes.substr(at, end - at);
    if (!row.empty() && row.back() == '\r')
      row.pop_back();
    if (!row.empty())
      rows.push_back(row);
    at = end + 1;
  }
  return rows;
}

} // namespace

PathfinderTree::PathfinderTree(int size, std::string difficulty, StagedRows& rows)
    : size_(size), difficulty_(std::move(difficulty)), resolution_(fmt::format("pathfinder{}", size)), rows_(rows) {}

bool PathfinderTree::find(const std::string& name, Place& place) const {
  const std::vector<std::string> parts = name_parts(name);
  for (std::size_t at = parts.size(); at-- > 0;) {
    if (parts[at] != difficulty_)
      continue;
    const std::size_t below = parts.size() - at - 1;
    place.picture = below == 3 && parts[at + 1] == "imgs" && ends_with(parts.back(), ".png");
    const bool metadata = below == 2 && parts[at + 1] == "metadata" && ends_with(parts.back(), ".npy");
    if ((!place.picture && !metadata) || (at > 0 && names_resolution(parts[at - 1]) && parts[at - 1] != resolution_))
      return false;
    place.depth = static_cast<int>(at);
    place.folder = name.front() == '/' ? "/" : "";
    for (std::size_t i = 0; i < parts.size(); ++i) {
      std::string& to = i < at ? place.folder : place.below;
      if (i != at)
        to += (to.empty() || to == "/" ? "" : "/") + parts[i];
    }
    return true;
  }
  return false;
}

bool PathfinderTree::wants(const std::string& name) const {
  Place place;
  return find(name, place);
}

void PathfinderTree::take(const std::string& name, const MemberBytes& source) {
  Place place;
  if (!find(name, place))
    return;
  PathfinderCopy& copy = copies_[place.folder];
  copy.depth = place.depth;
  const std::string bytes = all_bytes(name, source, place.picture ? most_png : most_metadata);
  if (!place.picture) {
    const std::string file = place.below.substr(place.below.find('/') + 1);
    std::int64_t batch = -1;
    const char* end = file.data() + file.size() - 4;
    if (const auto got = std::from_chars(file.data(), end, batch); got.ec != std::errc() || got.ptr != end || batch < 0)
      throw DataError(fmt::format("{}: expected a number before .npy, the number of a batch", name));
    if (!copy.metadata.emplace(batch, lines(bytes, name)).second)
      throw DataError(fmt::format("{} is there twice; it is another archive", name));
    return;
  }
  std::int64_t row = -1;
  if (bytes.empty()) {
    ++empty_;
  } else {
    const Image image = decode_png(bytes, name);
    if (image.width != size_ || image.height != size_)
      throw DataError(fmt::format("{} has {} x {} pixels, expected {} x {}; choose --size", name, image.width,
                                  image.height, size_, size_));
    std::vector<std::uint8_t> grey(static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_));
    for (std::size_t i = 0; i < grey.size(); ++i) {
      grey[i] = image.rgb[3 * i];
      if (image.rgb[3 * i + 1] != grey[i] || image.rgb[3 * i + 2] != grey[i])
        throw DataError(fmt::format("{} is in colour; pictures of Pathfinder are grey", name));
    }
    row = rows_.size();
    rows_.append(-1, grey);
  }
  if (!copy.pictures.emplace(place.below, row).second)
    throw DataError(fmt::format("{} is there twice; it is another archive", name));
}

std::vector<PathfinderCopy::Line> PathfinderTree::lines(const std::string& bytes, const std::string& name) const {
  std::vector<PathfinderCopy::Line> found;
  for (const std::string& row : is_npy(bytes) ? npy_rows(bytes, name) : text_rows(bytes)) {
    const std::vector<std::string> words = words_of(row);
    const bool one = words.size() > 3 && (words[3] == "1" || words[3] == "1.0");
    if (!one && (words.size() < 4 || (words[3] != "0" && words[3] != "0.0")))
      throw DataError(fmt::format("line {} of {} is \"{:.80}\", expected a folder, a file name, a number and the label "
                                  "0 or 1, as in \"imgs/0 sample_0.png 0 1 ...\"; it is damaged or something else",
                                  found.size() + 1, name, row));
    found.push_back({words[0] + "/" + words[1], one ? 1 : 0});
  }
  return found;
}

const std::string& PathfinderTree::choose(const std::string& raw, bool inner) const {
  if (copies_.empty())
    throw DataError(fmt::format("{} holds no files of {}/{} (imgs/<batch>/*.png, metadata/<batch>.npy); name "
                                "lra_release.gz, its folder or one of the folders in it, and choose --size and "
                                "--difficulty",
                                raw, resolution_, difficulty_));
  if (copies_.size() == 1)
    return copies_.begin()->first;
  std::string all;
  const std::string* chosen = nullptr;
  int best = 0, ties = 0;
  for (const auto& [folder, copy] : copies_) {
    all += (all.empty() ? "" : ", ") + folder;
    const int rank = inner ? copy.depth : -copy.depth;
    if (chosen == nullptr || rank > best) {
      chosen = &folder;
      best = rank;
      ties = 1;
    } else if (rank == best) {
      ++ties;
    }
  }
  if (ties > 1)
    throw InputError(fmt::format("{} holds {} copies of {}/{}: {}; they are not mixed: name one of these folders", raw,
                                 copies_.size(), resolution_, difficulty_, all));
  return *chosen;
}

std::vector<LabelledRow> PathfinderTree::labelled(const std::string& folder) const {
  const PathfinderCopy& copy = copies_.at(folder);
  std::vector<LabelledRow> rows;
  for (const auto& [batch, lines] : copy.metadata)
    for (const PathfinderCopy::Line& line : lines) {
      const auto picture = copy.pictures.find(line.picture);
      if (picture == copy.pictures.end()) {
        std::string where;
        for (const auto& [other, content] : copies_)
          if (content.pictures.count(line.picture) != 0)
            where =
                fmt::format(" ({} holds one, but pictures of one copy are not mixed with labels of another)", other);
        throw DataError(fmt::format("metadata/{}.npy of {}/{} names {}, which is not there{}; unpack or download it "
                                    "again",
                                    batch, folder, difficulty_, line.picture, where));
      }
      if (picture->second >= 0)
        rows.push_back({picture->second, line.label});
    }
  return rows;
}

std::string PathfinderTree::sha256(const std::string& folder) const {
  const PathfinderCopy& copy = copies_.at(folder);
  Digest digest(Digest::Kind::sha256);
  for (const auto& [name, row] : copy.pictures) {
    digest.update(name.data(), name.size());
    if (row < 0)
      continue;
    const std::vector<std::uint8_t> picture = rows_.read(row);
    digest.update(picture.data(), picture.size());
  }
  for (const auto& [batch, lines] : copy.metadata)
    for (const PathfinderCopy::Line& line : lines) {
      const std::string text = fmt::format("{} {}\n", line.picture, line.label);
      digest.update(text.data(), text.size());
    }
  return digest.hex();
}

} // namespace weft
