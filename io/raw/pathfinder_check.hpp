// Whether labels belong to Pathfinder pictures, told from the pictures alone (one published copy has them mixed up).
#pragma once
#include <cstdint>
#include <vector>

namespace weft {

/// How the pictures of a sample agree with their labels.
class LabelCheck {
 public:
  /// Pictures of size x size grey values; discs have the published radius for their size.
  explicit LabelCheck(int size);

  /// Finds the two discs, the brightest round spots, and for each of some reaches whether lit pixels that are no
  /// farther apart than it join one to the other.
  void add(const std::uint8_t* picture, int label);
  int pictures() const { return pictures_; }
  /// The share of pictures where "joined" is label 1, at the reach that agrees best. Labels of other pictures: near
  /// 0.5, a little above with few pictures.
  double agreement() const;

 private:
  bool joined(int reach2) const;
  int brightest_spot(const std::uint8_t* picture, int beside) const;

  int size_, radius2_; ///< radius2_: four times the square of the discs' radius
  int pictures_ = 0, first_ = 0, second_ = 0;
  std::vector<char> lit_;
  std::vector<int> agreed_;
};

} // namespace weft
