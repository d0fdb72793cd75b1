// Pathfinder pictures (Linsley et al. 2018, Tay et al. 2021) drawn by our own code after the published rules.
#pragma once
#include "io/generate/draws.hpp"
#include "io/generate/strokes.hpp"
#include <cstdint>
#include <vector>

namespace weft {

/// The purpose of the random numbers of a picture.
constexpr std::uint32_t purpose_pathfinder = 0x10000004u;

/// What a picture is made of. Lengths are in units of a coordinate (256 per pixel).
struct PathfinderRules {
  int size = 32;            ///< pixels of a side
  int contour = 14;         ///< strokes of each of the two long contours
  int distractor = 4;       ///< strokes of a distractor: contour / 3
  int distractors = 5;      ///< at most
  int padding = 1;          ///< pixels of the border that no stroke may touch
  int length = 0;           ///< of a stroke
  int thickness = 0;        ///< of a stroke
  int radius = 0;           ///< of a disc
  int seed_distance = 0;    ///< from the first stroke of one contour to that of the other
  std::vector<int> margins; ///< half the gap between two strokes; one is drawn for each picture
  int apart = 0;            ///< distance of a contour and its discs from the strokes of others; wider than a gap
  int slack = 1 << 20;      ///< most that the distance of the discs may change with the label; large: any
  int continuity = 10;      ///< tenths; the larger, the straighter
  int contrast = 150, distractor_contrast = 200; ///< percent of a disc's brightness
};

/// The published rules for 32, 64, 128 and 256 pixels, our own for 16. `contour` of 0 is the published 14 (5 for 16).
/// InputError at another size or a contour below 2.
PathfinderRules pathfinder_rules(int size, int contour);

/// What is drawn, before it is drawn.
struct PathfinderScene {
  int label = 0;  ///< 1: both discs lie on one contour
  int margin = 0; ///< the one that was drawn
  std::vector<Stroke> contours[2];
  std::vector<std::vector<Stroke>> distractors;
  Point start{}, end{}; ///< of the discs
};

/// The label is drawn first; then two contours grow in turns from neighbouring seeds, distractors fill the room that is
/// left, and the discs are set. InputError where 20,000 tries have not given two whole contours.
PathfinderScene pathfinder_scene(const PathfinderRules& rules, Draws& draws);

/// size x size grey values by row: strokes and discs combined by maximum, then stretched so that the brightest is 255;
/// what nothing covers is 0.
std::vector<std::uint8_t> pathfinder_picture(const PathfinderRules& rules, const PathfinderScene& scene);

} // namespace weft
