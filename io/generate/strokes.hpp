// Anti-aliased strokes and discs in integer arithmetic: the same bits on every machine, with every compiler.
#pragma once
#include <cstdint>
#include <vector>

namespace weft {

constexpr int pixel = 256;      ///< units of a coordinate per pixel; the centre of pixel (x, y) is (256 x, 256 y)
constexpr int full_turn = 4096; ///< units of an angle in a turn
constexpr int quarter_turn = full_turn / 4;
constexpr int cosine_one = 1 << 14;

/// cos(angle) in units of 2^-14, rounded to the nearest; any angle.
int cosine(int angle);
inline int sine(int angle) { return cosine(angle - quarter_turn); }

struct Point {
  int x, y;
};
/// The point `distance` units away in the direction of the angle.
Point moved(Point from, int angle, int distance);
/// The nearest centre of a pixel; halves go up.
Point to_centre(Point point);

/// A rectangle that ends at `head` and comes from the direction opposite to `angle`; lengths in units of a coordinate.
struct Stroke {
  Point head;
  int angle, length, thickness;
  Point tail() const { return moved(head, angle, -length); }
};

/// How much of each pixel of a part of the window is covered: 0 to samples^2.
struct Patch {
  int x = 0, y = 0, width = 0, height = 0, samples = 0;
  std::vector<std::uint8_t> covered;
};

/// Covers what lies within `margin` of the stroke, clipped to the window of side x side pixels. Of every pixel
/// samples x samples evenly spaced points are looked at; samples is at most 15.
void cover(Patch& patch, const Stroke& stroke, int margin, int side, int samples);
/// The same for a disc.
void cover(Patch& patch, Point centre, int radius, int side, int samples);

} // namespace weft
