// Checkpoints: HDF5 files of named fp32 arrays, each with its SHA-256, and the folder that holds them. What the arrays
// mean is the caller's affair (docs/checkpoint.md); this file only promises that they come back as they were.
#pragma once
#include "io/hdf5.hpp"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft {

constexpr std::int64_t checkpoint_format_version = 1;

/// One array to be written. `name` is the full path in the file: "parameters/<name>", "optimizer/m/<name>", ...
struct ArrayView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* data;
};

/// Writes a whole checkpoint from one process, in the order that io/checkpoint_draft.hpp promises. `format_version` and
/// `arrays` are added to the attributes. An older file of the same name is replaced.
void write_checkpoint(const std::string& path, const Attributes& attributes, const std::vector<ArrayView>& arrays);

struct ArrayInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string sha256; ///< of the little-endian fp32 bytes in row-major order
  std::int64_t elements() const;
};

/// A checkpoint opened for reading. The constructor reads attributes and the list of arrays, not the arrays.
/// Throws DataError where the file is missing, damaged, or of another format version.
class CheckpointFile {
 public:
  explicit CheckpointFile(const std::string& path);

  const std::string& path() const { return path_; }
  const Attributes& attributes() const { return attributes_; }
  /// One attribute; DataError where it is absent or of another type.
  std::int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  std::string text(const std::string& name) const;

  /// All arrays in alphabetical order of their names.
  const std::vector<ArrayInfo>& arrays() const { return arrays_; }
  /// Null where there is none of that name.
  const ArrayInfo* find(const std::string& name) const;
  /// Reads a whole array and compares its SHA-256; DataError naming the array where it is absent or damaged.
  void read(const std::string& name, float* to) const;
  /// Reads every array; DataError naming the first damaged one.
  void verify() const;

 private:
  std::string path_;
  hdf5::File file_;
  Attributes attributes_;
  std::vector<ArrayInfo> arrays_;
};

/// Opens and verifies a whole checkpoint; DataError where anything is wrong.
void verify_checkpoint(const std::string& path);

/// `<folder>/step-00001000.h5`
std::string checkpoint_path(const std::string& folder, std::int64_t step);
/// The step in a name made by checkpoint_path, or nothing.
std::optional<std::int64_t> checkpoint_step(const std::string& path);
/// Makes the text file `<folder>/latest` name the checkpoint of `step`, which must exist.
void commit_latest(const std::string& folder, std::int64_t step);
/// Paths of all `step-*.h5`, newest (highest step) first; empty where there is no such folder.
std::vector<std::string> list_checkpoints(const std::string& folder);

struct NewestGood {
  std::string path;               ///< empty: no good checkpoint
  std::vector<std::string> notes; ///< one line for each newer checkpoint that failed
};
/// The newest checkpoint that verifies as a whole.
NewestGood newest_good(const std::string& folder);

/// Says that a file has been verified whole under another name a moment ago, so that prune() need not read it again.
void remember_good(const std::string& path);

/// Removes checkpoints older than the newest `keep` (>= 1) good ones, but never one whose step is a multiple of
/// `keep_every` (0: no such exception), and partial files a killed run has left. Two good ones stay whatever `keep` is.
/// Nothing is removed unless `latest` names a good checkpoint, nor is that one; every file counted as good has been
/// verified (once per process while it is unchanged). Returns the paths removed. Call from one thread of one rank only.
std::vector<std::string> prune(const std::string& folder, std::int64_t keep, std::int64_t keep_every = 0);

} // namespace weft
