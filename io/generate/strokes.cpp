#include "io/generate/strokes.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace weft {
namespace {

/// Rounded to a grid that is coarse beside the errors of any libm, so the table is the same everywhere.
std::array<int, full_turn> cosine_table() {
  std::array<int, full_turn> table;
  for (int i = 0; i < full_turn; ++i)
    table[static_cast<std::size_t>(i)] =
        static_cast<int>(std::lround(cosine_one * std::cos(i * std::acos(-1.0) * 2 / full_turn)));
  return table;
}

int divided(std::int64_t value, int by) { // rounds to the nearest, halves up
  const std::int64_t doubled = 2 * value + by, twice = 2 * static_cast<std::int64_t>(by);
  return static_cast<int>(doubled >= 0 ? doubled / twice : -((-doubled + twice - 1) / twice));
}

std::int64_t square(std::int64_t a) { return a * a; }

/// Counts, in a box of pixels around [low, high], the sample points whose `distance2` is at most limit^2. `distance2`
/// is a squared distance in units of 1/one of a coordinate; half a pixel's diagonal decides most pixels at once.
template <class Distance2>
void count(Patch& patch, Point low, Point high, int side, int samples, std::int64_t one, std::int64_t limit,
           const Distance2& distance2) {
  const auto first = [](int at) { return divided(at, pixel) - 1; };
  const auto clip = [side](int at) { return std::clamp(at, 0, side); };
  patch.x = clip(first(low.x));
  patch.y = clip(first(low.y));
  patch.width = std::max(0, clip(first(high.x) + 3) - patch.x);
  patch.height = std::max(0, clip(first(high.y) + 3) - patch.y);
  patch.samples = samples;
  patch.covered.assign(static_cast<std::size_t>(patch.width * patch.height), 0);
  const std::int64_t reach = pixel * one * 3 / 4, inner = limit - reach;
  // Sample i of a pixel lies at (2 i + 1 - samples) / (2 samples) of it from its centre.
  const auto offset = [samples](int i) { return (2 * i + 1 - samples) * pixel / (2 * samples); };
  for (int row = 0; row < patch.height; ++row)
    for (int column = 0; column < patch.width; ++column) {
      const int x = (patch.x + column) * pixel, y = (patch.y + row) * pixel;
      const std::int64_t centre = distance2(x, y);
      if (centre > square(limit + reach))
        continue;
      int hits = inner >= 0 && centre <= square(inner) ? samples * samples : 0;
      if (hits == 0)
        for (int j = 0; j < samples; ++j)
          for (int i = 0; i < samples; ++i)
            hits += distance2(x + offset(i), y + offset(j)) <= square(limit) ? 1 : 0;
      patch.covered[static_cast<std::size_t>(row * patch.width + column)] = static_cast<std::uint8_t>(hits);
    }
}

} // namespace

int cosine(int angle) {
  static const std::array<int, full_turn> table = cosine_table();
  return table[static_cast<std::size_t>(angle & (full_turn - 1))];
}

Point moved(Point from, int angle, int distance) {
  return {from.x + divided(static_cast<std::int64_t>(distance) * cosine(angle), cosine_one),
          from.y + divided(static_cast<std::int64_t>(distance) * sine(angle), cosine_one)};
}

Point to_centre(Point point) { return {divided(point.x, pixel) * pixel, divided(point.y, pixel) * pixel}; }

void cover(Patch& patch, const Stroke& stroke, int margin, int side, int samples) {
  const Point tail = stroke.tail(), head = stroke.head;
  const int reach = margin + stroke.thickness;
  const std::int64_t one = cosine_one, along_x = cosine(stroke.angle), along_y = sine(stroke.angle);
  const std::int64_t length = stroke.length * one, half = stroke.thickness * one / 2;
  count(patch, {std::min(tail.x, head.x) - reach, std::min(tail.y, head.y) - reach},
        {std::max(tail.x, head.x) + reach, std::max(tail.y, head.y) + reach}, side, samples, one, margin * one,
        [&](int x, int y) {
          const std::int64_t dx = x - tail.x, dy = y - tail.y;
          const std::int64_t along = dx * along_x + dy * along_y, across = std::abs(dy * along_x - dx * along_y);
          const std::int64_t beyond = std::max<std::int64_t>({0, -along, along - length});
          return square(beyond) + square(std::max<std::int64_t>(0, across - half));
        });
}

void cover(Patch& patch, Point centre, int radius, int side, int samples) {
  count(patch, {centre.x - radius, centre.y - radius}, {centre.x + radius, centre.y + radius}, side, samples, 1, radius,
        [&](int x, int y) { return square(x - centre.x) + square(y - centre.y); });
}

} // namespace weft
