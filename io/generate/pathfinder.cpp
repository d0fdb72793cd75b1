#include "io/generate/pathfinder.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>

namespace weft {
namespace {

constexpr int mask_samples = 4, mask_full = mask_samples * mask_samples;
constexpr int overlap = mask_full * 18 / 10; ///< sums of two masks stay below 1.8
constexpr int distractor_tries = 5, most_tries = 20'000;

/// Which pixels of the window are taken, and how much of each: 0 to 16.
class Field {
 public:
  explicit Field(int side, int border = 0) : side_(side), taken_(static_cast<std::size_t>(side * side)) {
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        if (std::min({x, y, side - 1 - x, side - 1 - y}) < border)
          taken_[index(x, y)] = mask_full;
  }
  int side() const { return side_; }
  bool holds(Point p) const { return p.x >= 0 && p.y >= 0 && p.x <= (side_ - 1) * pixel && p.y <= (side_ - 1) * pixel; }
  int taken(Point centre) const { return taken_[index(centre.x / pixel, centre.y / pixel)]; }

  /// Whether no pixel would be taken more than `most`, but for those within `radius` of `joint`.
  bool fits(const Patch& patch, int most, Point joint = {}, int radius = -1) const {
    for (int y = 0; y < patch.height; ++y)
      for (int x = 0; x < patch.width; ++x) {
        const int covered = patch.covered[static_cast<std::size_t>(y * patch.width + x)];
        if (covered == 0 || taken_[index(patch.x + x, patch.y + y)] + covered <= most)
          continue;
        const std::int64_t dx = (patch.x + x) * pixel - joint.x, dy = (patch.y + y) * pixel - joint.y;
        if (radius < 0 || dx * dx + dy * dy > static_cast<std::int64_t>(radius) * radius)
          return false;
      }
    return true;
  }
  void take(const Patch& patch) {
    for (int y = 0; y < patch.height; ++y)
      for (int x = 0; x < patch.width; ++x) {
        std::uint8_t& here = taken_[index(patch.x + x, patch.y + y)];
        here = std::max(here, patch.covered[static_cast<std::size_t>(y * patch.width + x)]);
      }
  }
  /// Centres of the pixels of which nothing is taken, at least `border` pixels away from the edge.
  std::vector<Point> free(int border) const {
    std::vector<Point> points;
    for (int y = border; y < side_ - border; ++y)
      for (int x = border; x < side_ - border; ++x)
        if (taken_[index(x, y)] == 0)
          points.push_back({x * pixel, y * pixel});
    return points;
  }

 private:
  std::size_t index(int x, int y) const { return static_cast<std::size_t>(y * side_ + x); }
  int side_;
  std::vector<std::uint8_t> taken_;
};

/// What strokes have to keep clear of.
struct Room {
  Field strokes;   ///< all strokes, each with its margin
  Field around[2]; ///< the contours, each with the distance that other strokes keep from it
};

/// Adds strokes to one contour or distractor.
class Grower {
 public:
  /// `contour` is 0 or 1; -1 for a distractor.
  Grower(const PathfinderRules& rules, int margin, int contour, Room& room, Draws& draws)
      : rules_(rules), margin_(margin), contour_(contour), room_(room), draws_(draws) {}

  /// The first stroke, with its tail near `tail` and an angle of whole degrees.
  bool begin(std::vector<Stroke>& strokes, Point tail) {
    const int angle = degrees();
    return place(strokes, {to_centre(moved(tail, angle, rules_.length)), angle, rules_.length, rules_.thickness}, tail,
                 -1);
  }

  /// One more stroke; false where there is no room.
  bool extend(std::vector<Stroke>& strokes) {
    const Stroke& last = strokes.back();
    const Point pivot = moved(last.head, last.angle, margin_);
    find_candidates(pivot, last.angle);
    while (total_ > 0) {
      int at = static_cast<int>(draws_.below(static_cast<std::uint32_t>(total_)));
      std::size_t chosen = 0;
      while (at >= candidates_[chosen].weight)
        at -= candidates_[chosen++].weight;
      Candidate& candidate = candidates_[chosen];
      if (place(strokes, {candidate.head, candidate.angle, rules_.length, rules_.thickness}, pivot,
                margin_ + rules_.thickness))
        return true;
      total_ -= candidate.weight;
      candidate.weight = 0;
    }
    return false;
  }

  int degrees() { return static_cast<int>(draws_.below(360)) * full_turn / 360; }

 private:
  struct Candidate {
    Point head;
    int angle, weight;
  };

  /// The pixels of a circle around the pivot where the stroke may end, each with its share.
  void find_candidates(Point pivot, int last_angle) {
    const int radius = rules_.length + margin_;
    const int steps = (radius * 2 * 355 / 113 + pixel - 1) / pixel; // one pixel of arc each; 355/113 is pi
    candidates_.clear();
    total_ = 0;
    for (int step = 0; step < steps; ++step) {
      const int turn = step * full_turn / steps - full_turn / 2;
      const int bent = std::min(std::abs(turn) * rules_.continuity / 10, quarter_turn);
      const Point head = to_centre(moved(pivot, last_angle + turn, radius));
      if (bent == quarter_turn || !room_.strokes.holds(head))
        continue;
      const bool again = std::any_of(candidates_.begin(), candidates_.end(), [&](const Candidate& other) {
        return other.head.x == head.x && other.head.y == head.y;
      });
      const int straight = cosine(bent) / 128; // 0 to 128
      const int weight = straight * straight * (mask_full - room_.strokes.taken(head));
      if (again || weight == 0)
        continue;
      candidates_.push_back({head, last_angle + turn, weight});
      total_ += weight;
    }
  }

  /// In a bend the room around a stroke overlaps that around the one before, at their joint.
  bool place(std::vector<Stroke>& strokes, const Stroke& stroke, Point joint, int radius) {
    const int side = rules_.size;
    if (!room_.strokes.holds(stroke.head) || !room_.strokes.holds(stroke.tail()))
      return false;
    cover(patch_, stroke, 0, side, mask_samples);
    if (!clear())
      return false;
    const bool first = strokes.empty(), last = static_cast<int>(strokes.size()) == rules_.contour - 1;
    const Point tip = first ? stroke.tail() : stroke.head; // where a disc may come to lie
    if (contour_ >= 0 && (first || last)) {
      cover(patch_, tip, rules_.radius, side, mask_samples);
      if (!clear())
        return false;
    }
    cover(patch_, stroke, margin_, side, mask_samples);
    if (!room_.strokes.fits(patch_, overlap, joint, radius))
      return false;
    room_.strokes.take(patch_);
    if (contour_ >= 0) {
      cover(patch_, stroke, rules_.apart, side, mask_samples);
      room_.around[contour_].take(patch_);
      cover(patch_, tip, rules_.radius + rules_.apart, side, mask_samples);
      if (first || last)
        room_.around[contour_].take(patch_);
    }
    strokes.push_back(stroke);
    return true;
  }

  /// Whether the patch keeps its distance from the contours of others.
  bool clear() const {
    return (contour_ == 0 || room_.around[0].fits(patch_, mask_full)) &&
           (contour_ == 1 || room_.around[1].fits(patch_, mask_full));
  }

  const PathfinderRules& rules_;
  const int margin_, contour_;
  Room& room_;
  Draws& draws_;
  Patch patch_;
  std::vector<Candidate> candidates_;
  int total_ = 0;
};

Point any_of(const std::vector<Point>& points, Draws& draws) {
  return points[draws.below(static_cast<std::uint32_t>(points.size()))];
}

double distance(Point a, Point b) { // std::sqrt is exact to the last bit everywhere
  const double dx = a.x - b.x, dy = a.y - b.y;
  return std::sqrt(dx * dx + dy * dy);
}

/// Two contours from seeds at a fixed distance, a stroke of one, a stroke of the other. Where one finds no room, up to
/// three strokes of both are taken back; false after too many of these.
bool grow_pair(const PathfinderRules& rules, PathfinderScene& scene, Room& room, Draws& draws) {
  Grower growers[] = {{rules, scene.margin, 0, room, draws}, {rules, scene.margin, 1, room, draws}};
  const Point first = any_of(room.strokes.free(std::min(2 * rules.seed_distance / pixel, rules.size / 2 - 2)), draws);
  const Point second = to_centre(moved(first, growers[0].degrees(), rules.seed_distance));
  for (auto& contour : scene.contours)
    contour.clear();
  if (!growers[0].begin(scene.contours[0], first) || !growers[1].begin(scene.contours[1], second))
    return false;
  std::vector<Room> before(static_cast<std::size_t>(rules.contour), room); // each stroke of the pair
  int left = 8 * rules.contour;
  for (int stroke = 1; stroke < rules.contour;) {
    before[static_cast<std::size_t>(stroke)] = room;
    if (growers[0].extend(scene.contours[0]) && growers[1].extend(scene.contours[1])) {
      ++stroke;
      continue;
    }
    if (--left < 0)
      return false;
    stroke = std::max(1, stroke - static_cast<int>(draws.below(4)));
    room = before[static_cast<std::size_t>(stroke)];
    for (auto& contour : scene.contours)
      contour.resize(static_cast<std::size_t>(stroke));
  }
  return true;
}

void add_distractors(const PathfinderRules& rules, PathfinderScene& scene, Room& room, Draws& draws) {
  for (int number = 0; number < rules.distractors; ++number)
    for (int tried = 0; tried < distractor_tries; ++tried) {
      const std::vector<Point> free = room.strokes.free(0);
      if (static_cast<int>(free.size()) * 100 < rules.size * rules.size)
        return;
      Room attempt = room;
      Grower grower(rules, scene.margin, -1, attempt, draws);
      std::vector<Stroke> strokes;
      bool whole = grower.begin(strokes, any_of(free, draws));
      while (whole && static_cast<int>(strokes.size()) < rules.distractor)
        whole = grower.extend(strokes);
      if (!whole)
        continue;
      room = std::move(attempt);
      scene.distractors.push_back(strokes);
      break;
    }
}

} // namespace

PathfinderRules pathfinder_rules(int size, int contour) {
  PathfinderRules rules;
  const auto set = [&](int most, int distractors, std::vector<int> margins, int length, int thickness, int radius,
                       int distance, int apart, int continuity, int contrast, int distractor_contrast) {
    rules.contour = contour == 0 ? most : contour;
    rules.distractors = distractors;
    for (const int margin : margins)
      rules.margins.push_back(margin * pixel / 2);
    rules.length = length * pixel;
    rules.thickness = thickness * pixel / 2;
    rules.radius = radius * pixel / 2;
    rules.seed_distance = distance * pixel;
    rules.apart = apart * pixel / 2;
    rules.continuity = continuity;
    rules.contrast = contrast;
    rules.distractor_contrast = distractor_contrast;
  };
  // Margins, thickness, radius and distance of strokes in half pixels; length and distance of seeds in pixels.
  switch (size) {
  case 16:
    set(5, 2, {2}, 2, 1, 2, 5, 6, 10, 150, 200);
    rules.slack = 2 * pixel; // short contours: the distance would tell 65 % of the labels
    break;
  case 32:
    set(14, 5, {2}, 2, 1, 3, 7, 7, 10, 150, 200);
    break;
  case 64:
    set(14, 5, {2}, 5, 2, 5, 12, 5, 18, 80, 80);
    break;
  case 128:
    set(14, 8, {4, 6}, 5, 3, 6, 20, 16, 18, 90, 90);
    break;
  case 256:
    set(14, 7, {6}, 5, 4, 10, 27, 15, 18, 100, 100);
    rules.padding = 22;
    break;
  default:
    throw InputError(fmt::format("--size {}: expected 16, 32, 64, 128 or 256", size));
  }
  rules.size = size;
  if (rules.contour < 2 || rules.contour > 1000)
    throw InputError(fmt::format("--contour {}: expected 2 to 1000 strokes", rules.contour));
  rules.distractor = std::max(1, rules.contour / 3);
  return rules;
}

PathfinderScene pathfinder_scene(const PathfinderRules& rules, Draws& draws) {
  const auto impossible = [&](const std::string& why) {
    return InputError(fmt::format("--contour {}: {} of {} x {} pixels with two contours of so many strokes; give a "
                                  "smaller --contour or a larger --size",
                                  rules.contour, why, rules.size, rules.size));
  };
  const std::int64_t narrow = rules.margins.front(), window = rules.size * pixel;
  if (2 * rules.contour * (rules.length + 2 * narrow) * (rules.thickness + 2 * narrow) > window * window)
    throw impossible("there is no room in a picture");
  PathfinderScene scene;
  scene.label = static_cast<int>(draws.word() >> 31);
  for (int tried = 0; tried < most_tries; ++tried) {
    scene.margin = rules.margins[draws.below(static_cast<std::uint32_t>(rules.margins.size()))];
    Room room{Field(rules.size, rules.padding), {Field(rules.size), Field(rules.size)}};
    if (!grow_pair(rules, scene, room, draws))
      continue;
    const std::uint32_t from = draws.word() >> 31, to = scene.label == 1 ? from : 1 - from;
    scene.start = scene.contours[from].front().tail();
    scene.end = scene.contours[to].back().head;
    const double far = distance(scene.start, scene.end),
                 otherwise = distance(scene.start, scene.contours[1 - to].back().head);
    if (std::abs(far - otherwise) > rules.slack)
      continue;
    add_distractors(rules, scene, room, draws);
    return scene;
  }
  throw impossible(fmt::format("{} tries gave no picture", most_tries));
}

std::vector<std::uint8_t> pathfinder_picture(const PathfinderRules& rules, const PathfinderScene& scene) {
  constexpr int samples = 8; // brightness is in percent of 1 / 64
  std::vector<int> bright(static_cast<std::size_t>(rules.size * rules.size));
  Patch patch;
  const auto add = [&](int contrast) {
    for (int y = 0; y < patch.height; ++y)
      for (int x = 0; x < patch.width; ++x) {
        int& here = bright[static_cast<std::size_t>((patch.y + y) * rules.size + patch.x + x)];
        here = std::max(here, contrast * patch.covered[static_cast<std::size_t>(y * patch.width + x)]);
      }
  };
  const auto draw = [&](const std::vector<Stroke>& strokes, int contrast) {
    for (const Stroke& stroke : strokes) {
      cover(patch, stroke, 0, rules.size, samples);
      add(contrast);
    }
  };
  for (const auto& contour : scene.contours)
    draw(contour, rules.contrast);
  for (const auto& distractor : scene.distractors)
    draw(distractor, rules.distractor_contrast);
  for (const Point disc : {scene.start, scene.end}) {
    cover(patch, disc, rules.radius, rules.size, samples);
    add(100);
  }
  const int most = *std::max_element(bright.begin(), bright.end());
  std::vector<std::uint8_t> picture;
  picture.reserve(bright.size());
  for (const int value : bright)
    picture.push_back(static_cast<std::uint8_t>((value * 255 + most / 2) / most));
  return picture;
}

} // namespace weft
