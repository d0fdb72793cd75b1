// The official folder tree of Pathfinder:
// pathfinder32/curv_contour_length_14/{imgs/<batch>/*.png,metadata/<batch>.npy}.
#pragma once
#include "io/raw/example_splits.hpp"
#include "io/raw/members.hpp"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weft {

/// One copy of the tree: the archive of the arena holds that of 128 pixels twice.
struct PathfinderCopy {
  struct Line {
    std::string picture; ///< "imgs/0/sample_5.png"
    int label = 0;
  };
  std::map<std::string, std::int64_t> pictures;       ///< staged row; -1: the file was empty
  std::map<std::int64_t, std::vector<Line>> metadata; ///< by the number of the batch, lines in their order
  int depth = 0;                                      ///< folders above it
};

/// A labelled picture: where it is staged.
struct LabelledRow {
  std::int64_t row;
  int label;
};

/// Collects the files of one size and difficulty from a folder or an archive.
class PathfinderTree {
 public:
  PathfinderTree(int size, std::string difficulty, StagedRows& rows);

  /// Whether the file is part of the tree.
  bool wants(const std::string& name) const;
  /// DataError where a picture or a metadata file is damaged, of another size or not what it should be.
  void take(const std::string& name, const MemberBytes& bytes);

  /// By the folder that holds the difficulty.
  const std::map<std::string, PathfinderCopy>& copies() const { return copies_; }
  std::int64_t empty_files() const { return empty_; }
  /// The folder of the copy to take: the only one, or the innermost or outermost of two. DataError where there is none,
  /// InputError where that does not decide.
  const std::string& choose(const std::string& raw, bool inner) const;
  /// The labelled pictures of a copy: metadata files by number, lines in their order, empty pictures left out.
  /// DataError where a line names a picture that is not in the same copy.
  std::vector<LabelledRow> labelled(const std::string& folder) const;
  /// SHA-256 of the names and pixels of all pictures and the names and labels of all lines.
  std::string sha256(const std::string& folder) const;

 private:
  struct Place {
    std::string folder, below; ///< below the difficulty
    int depth = 0;
    bool picture = false;
  };
  bool find(const std::string& name, Place& place) const;
  std::vector<PathfinderCopy::Line> lines(const std::string& bytes, const std::string& name) const;

  int size_;
  std::string difficulty_, resolution_;
  StagedRows& rows_;
  std::map<std::string, PathfinderCopy> copies_;
  std::int64_t empty_ = 0;
};

} // namespace weft
