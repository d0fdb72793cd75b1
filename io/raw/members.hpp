// The files that a user names after --from, whatever they lie in: folders, archives, compressed or plain files.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// The bytes of a file as they come: up to `bytes` to `to`; 0 at the end.
using MemberBytes = std::function<std::size_t(std::uint8_t* to, std::size_t bytes)>;
/// Whether a file of this name is to be read.
using MemberWanted = std::function<bool(const std::string& name)>;
using MemberTaker = std::function<void(const std::string& name, const MemberBytes& bytes)>;

/// Gives every wanted file to `take`, in the order of `from`: of a folder all regular files in it and below, sorted by
/// path, unpacked where their name ends like that of a compressed file; of an archive its members in their order; a
/// plain file as itself. Names have '/' between folders: paths of folders' files, names of members, the last part of
/// the name of a plain file. DataError where something is missing, damaged or cannot be read, InputError as RawFile.
void each_member(const std::vector<std::string>& from, const MemberWanted& wanted, const MemberTaker& take);

/// The parts of `name` between slashes; empty ones and "." left out.
std::vector<std::string> name_parts(const std::string& name);
/// The whole of one file; DataError, naming it, above `most` bytes.
std::string all_bytes(const std::string& name, const MemberBytes& bytes, std::size_t most);

/// Lines of a file, one after the other, without their ends (LF or CR LF; the last one may have none).
class Lines {
 public:
  /// `most`: DataError at a longer line, which no file of this kind has.
  Lines(std::string name, const MemberBytes& bytes, std::size_t most);
  /// False at the end. The line is good until the next call.
  bool next(std::string_view& line);
  std::int64_t number() const { return number_; } ///< of the line given last, from 1

 private:
  std::string name_;
  const MemberBytes& bytes_;
  std::size_t most_, at_ = 0;
  std::int64_t number_ = 0;
  std::string held_; // from at_ on not given yet
  bool ended_ = false;
};

} // namespace weft
