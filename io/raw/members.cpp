#include "io/raw/members.hpp"
#include "io/error.hpp"
#include "io/raw/archive.hpp"
#include "io/raw/byte_stream.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <memory>

namespace weft {
namespace fs = std::filesystem;
namespace {

bool named_compressed(const fs::path& path) {
  for (const char* ending : {".gz", ".bz2", ".xz", ".zst"})
    if (path.extension() == ending)
      return true;
  return false;
}

void take_members(const std::string& path, const MemberWanted& wanted, const MemberTaker& take, bool whole_name) {
  RawFile file(path);
  while (file.next()) {
    StopGuard::check();
    const std::string name = whole_name ? fs::path(path).generic_string() : file.name();
    if (wanted(name))
      take(name, [&file](std::uint8_t* to, std::size_t bytes) { return file.read(to, bytes); });
  }
}

/// Read as it stands: the beginning of a text may look like that of an archive.
void take_plain(const std::string& path, const MemberTaker& take) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  take(path, [&](std::uint8_t* to, std::size_t bytes) {
    const std::size_t got = std::fread(to, 1, bytes, file.get());
    if (std::ferror(file.get()) != 0)
      throw DataError(fmt::format("cannot read {} to its end: {}", path, std::strerror(errno)));
    return got;
  });
}

void take_folder(const std::string& folder, const MemberWanted& wanted, const MemberTaker& take) {
  std::vector<std::string> paths;
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    StopGuard::check();
    std::error_code ignored;
    const std::string path = entry->path().generic_string();
    if (entry->is_regular_file(ignored) && wanted(path))
      paths.push_back(path);
  }
  if (code)
    throw DataError(fmt::format("cannot read the folder {}: {}", folder, code.message()));
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    StopGuard::check();
    if (named_compressed(path))
      take_members(path, wanted, take, true);
    else
      take_plain(path, take);
  }
}

} // namespace

void each_member(const std::vector<std::string>& from, const MemberWanted& wanted, const MemberTaker& take) {
  if (from.empty())
    throw InputError("no files to prepare; give them after --from");
  std::error_code code;
  for (const std::string& path : from)
    if (fs::is_directory(path, code))
      take_folder(path, wanted, take);
    else
      take_members(path, wanted, take, false);
}

std::vector<std::string> name_parts(const std::string& name) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    if (end > at && name.compare(at, end - at, ".") != 0)
      parts.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string all_bytes(const std::string& name, const MemberBytes& bytes, std::size_t most) {
  std::string all;
  std::uint8_t block[1 << 14];
  for (std::size_t got; (got = bytes(block, sizeof block)) > 0;) {
    all.append(reinterpret_cast<const char*>(block), got);
    if (all.size() > most)
      throw DataError(fmt::format("{} has more than {} bytes; no file of this kind is so long", name, most));
  }
  return all;
}

Lines::Lines(std::string name, const MemberBytes& bytes, std::size_t most)
    : name_(std::move(name)), bytes_(bytes), most_(most) {}

bool Lines::next(std::string_view& line) {
  std::size_t searched = at_, end;
  while ((end = held_.find('\n', searched)) == std::string::npos && !ended_) {
    if (held_.size() - at_ > most_)
      throw DataError(fmt::format("line {} of {} has more than {} characters; no file of this kind has such a line",
                                  number_ + 1, name_, most_));
    held_.erase(0, at_);
    at_ = 0;
    searched = held_.size();
    held_.resize(searched + (1 << 16));
    const std::size_t got = bytes_(reinterpret_cast<std::uint8_t*>(held_.data()) + searched, 1 << 16);
    held_.resize(searched + got);
    ended_ = got == 0;
  }
  if (end == std::string::npos && at_ == held_.size())
    return false;
  const bool last = end == std::string::npos;
  end = last ? held_.size() : end;
  line = std::string_view(held_).substr(at_, end - at_);
  at_ = last ? end : end + 1;
  if (!line.empty() && line.back() == '\r')
    line.remove_suffix(1);
  ++number_;
  StopGuard::check();
  return true;
}

} // namespace weft
