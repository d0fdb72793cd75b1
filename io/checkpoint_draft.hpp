// A checkpoint on its way: one process lays the file out and ends it, and each of any number of processes on the same
// file system writes arrays into it. Order of things, which is the promise that a name belongs to a whole checkpoint:
//   SHA-256 of every array from memory -> bytes written -> fsync -> digests entered, file sealed, fsync -> opened
//   again, every array read and compared -> rename -> fsync of the folder.
#pragma once
#include "io/atomic_file.hpp"
#include "io/hdf5.hpp"
#include "io/uncopied.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// An array of the file, before its numbers are there.
struct ArrayPlan {
  std::string name; ///< full path in the file
  std::vector<std::int64_t> shape;
};

/// The file under its temporary name, in the hands of the process that began it. Unless commit() is reached the
/// destructor removes it, and a file already at `path` stays as it was. Every failure is an Error with status 1.
class CheckpointDraft {
 public:
  /// Lays the file out: attributes, and a place for every array.
  CheckpointDraft(std::string path, const Attributes& attributes, std::vector<ArrayPlan> plans);

  const std::string& temporary() const { return file_.temporary(); }
  /// Where each array's bytes begin in the file, in the order of the plans.
  const std::vector<std::int64_t>& offsets() const { return offsets_; }

  /// All arrays are written: enters their digests (hexadecimal, in the order of the plans), syncs, opens the file again
  /// and compares attributes, shapes and every array with its digest.
  void finish(const std::vector<std::string>& digests);
  /// After finish(): also puts a copy of the whole file at `path`, replacing what is there.
  void copy_to(const std::string& path) const;
  /// After finish(): renames the file to its path.
  void commit();

 private:
  void check() const;
  std::string path_;
  Attributes attributes_;
  std::vector<ArrayPlan> plans_;
  std::vector<std::int64_t> offsets_;
  AtomicFile file_;
};

/// Writes arrays into a file that a CheckpointDraft has laid out, in this process or another one.
class ArrayWriter : Uncopied {
 public:
  explicit ArrayWriter(const std::string& temporary);
  ~ArrayWriter();

  /// Takes the SHA-256 of the numbers, then writes them at `offset` (bytes). Returns the digest.
  std::string write(std::int64_t offset, const float* values, std::int64_t elements);
  void sync(); ///< to the disk; to be called on every host that has written

 private:
  std::string path_;
  int descriptor_;
};

} // namespace weft
