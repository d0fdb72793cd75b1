// Drawn Pathfinder pictures: labels even, told by connection and by nothing simpler, the same bits for a seed.
#include "io/digest.hpp"
#include "io/generate/pathfinder.hpp"
#include "io/raw/pathfinder_check.hpp"
#include "scratch.hpp"
#include <algorithm>
#include <cmath>

using namespace weft;
using namespace weft::test;

namespace {

struct Sample {
  PathfinderScene scene;
  std::vector<std::uint8_t> picture;
};
Sample sample(const PathfinderRules& rules, std::uint32_t index, std::uint64_t seed = 0) {
  Draws draws(seed, 0, index, purpose_pathfinder);
  Sample one{pathfinder_scene(rules, draws), {}};
  one.picture = pathfinder_picture(rules, one.scene);
  return one;
}

/// The best share of labels that a threshold on one number gets right.
double best_threshold(std::vector<std::pair<double, int>> values) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double ones = 0, right = 0;
  for (const auto& [value, label] : values)
    ones += label;
  for (double below = 0; const auto& [value, label] : values) {
    below += label == 0 ? 1 : -1; // zeros below the threshold minus ones below it
    right = std::max({right, ones + below, n - ones - below});
  }
  return std::max({right, ones, n - ones}) / n;
}

} // namespace

TEST(DrawPathfinder, LabelsAreEvenAndFollowFromConnectionAlone) {
  for (const int size : {16, 32}) {
    const PathfinderRules rules = pathfinder_rules(size, 0);
    constexpr int n = 1000;
    LabelCheck check(size), shifted(size);
    std::vector<std::pair<double, int>> lit, bright, distance;
    int ones = 0, last = 0;
    double dark = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      const Sample one = sample(rules, i);
      const int label = one.scene.label;
      ones += label;
      check.add(one.picture.data(), label);
      if (i % 4 == 0)
        shifted.add(one.picture.data(), last);
      last = label;
      const auto zeros = std::count(one.picture.begin(), one.picture.end(), 0);
      dark += static_cast<double>(zeros) / (size * size) / n;
      double sum = 0;
      for (const std::uint8_t value : one.picture)
        sum += value;
      lit.emplace_back(zeros, label);
      bright.emplace_back(sum, label);
      distance.emplace_back(std::hypot(one.scene.start.x - one.scene.end.x, one.scene.start.y - one.scene.end.y),
                            label);
    }
    EXPECT_NEAR(ones, n / 2, 3 * std::sqrt(n) / 2) << size;
    EXPECT_GT(check.agreement(), 0.88) << size;
    EXPECT_LT(shifted.agreement(), 0.6) << size; // labels of other pictures
    // Few strokes fit on 16 x 16: there the number of dark pixels tells a part of the labels, 58.6 % of these thousand.
    const double by_count = size == 16 ? 0.62 : 0.56;
    EXPECT_LT(best_threshold(lit), by_count) << size;
    EXPECT_LT(best_threshold(bright), by_count) << size;
    EXPECT_LT(best_threshold(distance), 0.6) << size;
    EXPECT_GT(dark, 0.6) << size; // the background is 0, which the arena takes for padding
    EXPECT_LT(dark, 0.9) << size;
  }
}

TEST(DrawPathfinder, ScenesKeepTheRules) {
  for (const int size : {16, 32, 128}) {
    const PathfinderRules rules = pathfinder_rules(size, 0);
    for (std::uint32_t i = 0; i < (size > 64 ? 3u : 40u); ++i) {
      const Sample one = sample(rules, i);
      const PathfinderScene& scene = one.scene;
      EXPECT_EQ(*std::max_element(one.picture.begin(), one.picture.end()), 255);
      const auto joints = [&](const std::vector<Stroke>& strokes, int count) {
        ASSERT_EQ(static_cast<int>(strokes.size()), count);
        for (std::size_t s = 0; s < strokes.size(); ++s) {
          EXPECT_EQ(strokes[s].head.x % pixel, 0);
          EXPECT_TRUE(strokes[s].head.x >= 0 && strokes[s].head.x < size * pixel && strokes[s].head.y >= 0 &&
                      strokes[s].head.y < size * pixel);
          if (s == 0)
            continue;
          // A gap of two margins; heads lie on pixels, so it may be one shorter or longer.
          const Point from = strokes[s - 1].head, to = strokes[s].tail();
          const double gap = std::hypot(to.x - from.x, to.y - from.y);
          EXPECT_NEAR(gap, 2 * scene.margin, pixel) << size << " " << i << " " << s;
        }
      };
      for (const auto& contour : scene.contours)
        joints(contour, rules.contour);
      for (const auto& distractor : scene.distractors)
        joints(distractor, rules.distractor);
      EXPECT_LE(static_cast<int>(scene.distractors.size()), rules.distractors);
      const int from =
          scene.contours[0].front().tail().x == scene.start.x && scene.contours[0].front().tail().y == scene.start.y
              ? 0
              : 1;
      const Point end = scene.contours[scene.label == 1 ? from : 1 - from].back().head;
      EXPECT_TRUE(end.x == scene.end.x && end.y == scene.end.y);
      // Discs are filled.
      EXPECT_GT(one.picture[static_cast<std::size_t>(scene.end.y / pixel * size + scene.end.x / pixel)], 80);
    }
  }
}

TEST(DrawPathfinder, ContoursKeepTheirDistance) {
  const PathfinderRules rules = pathfinder_rules(32, 0);
  for (std::uint32_t i = 0; i < 30; ++i) {
    const PathfinderScene scene = sample(rules, i).scene;
    double nearest = 1e9;
    for (const Stroke& a : scene.contours[0])
      for (const Stroke& b : scene.contours[1])
        for (int s = 0; s <= 8; ++s)
          for (int t = 0; t <= 8; ++t) {
            const Point p = moved(a.head, a.angle, -a.length * s / 8), q = moved(b.head, b.angle, -b.length * t / 8);
            nearest = std::min(nearest, std::hypot(p.x - q.x, p.y - q.y));
          }
    EXPECT_GT(nearest, rules.apart - pixel) << i; // to within the pixels in which it is counted
  }
}

TEST(DrawPathfinder, CoverageIsThatOfTheShapes) {
  Patch patch;
  const auto area = [&] {
    int all = 0;
    for (const std::uint8_t count : patch.covered)
      all += count;
    return static_cast<double>(all) / (patch.samples * patch.samples);
  };
  for (const int degrees : {0, 17, 45, 90, 163, 250}) {
    const Stroke stroke{{20 * pixel, 20 * pixel}, degrees * full_turn / 360, 6 * pixel, 2 * pixel};
    cover(patch, stroke, 0, 40, 8);
    EXPECT_NEAR(area(), 12, 0.7) << degrees;
    cover(patch, stroke, 2 * pixel, 40, 8);
    EXPECT_NEAR(area(), 12 + 2 * 2 * (6 + 2) + 3.1416 * 4, 1.0) << degrees;
  }
  cover(patch, Point{20 * pixel, 20 * pixel}, 3 * pixel, 40, 8);
  EXPECT_NEAR(area(), 3.1416 * 9, 0.5);
  cover(patch, Point{0, 0}, 3 * pixel, 40, 8); // cut by the window
  EXPECT_LT(area(), 3.1416 * 9 / 2);
  EXPECT_EQ(cosine(0), cosine_one);
  EXPECT_EQ(sine(quarter_turn), cosine_one);
  EXPECT_EQ(cosine(full_turn / 2 + full_turn), -cosine_one);
}

TEST(DrawPathfinder, ASeedGivesTheSameBits) {
  const auto digest = [](int size, std::uint64_t seed, std::uint32_t count) {
    std::string all;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Sample one = sample(pathfinder_rules(size, 0), i, seed);
      all += static_cast<char>(one.scene.label);
      all.append(one.picture.begin(), one.picture.end());
    }
    return sha256(all.data(), all.size()).substr(0, 16);
  };
  EXPECT_EQ(digest(16, 0, 20), "5e7005559903a760");
  EXPECT_EQ(digest(32, 7, 20), "8f16cfed60799555");
  EXPECT_EQ(digest(128, 0, 2), "2a464bbf34b4f1c8");
  EXPECT_NE(digest(16, 1, 3), digest(16, 2, 3));
}

TEST(DrawPathfinder, ImpossibleRequestsAreToldSo) {
  EXPECT_FAILS(exit_input, "--size 33", pathfinder_rules(33, 0));
  EXPECT_FAILS(exit_input, "--contour 1", pathfinder_rules(32, 1));
  EXPECT_FAILS(exit_input, "a smaller --contour", sample(pathfinder_rules(16, 40), 0));
}
