#include "io/raw/pathfinder_check.hpp"
#include <algorithm>
#include <cmath>

namespace weft {
namespace {

constexpr int lit_from = 48;
constexpr int reaches2[] = {4, 5, 8, 9, 10, 13, 16, 25, 36, 49, 64}; ///< squares of pixels

template <class Do>
void around(int at, int size, int reach2, const Do& apply) {
  const int x = at % size, y = at / size, reach = static_cast<int>(std::sqrt(static_cast<double>(reach2)));
  for (int dy = -reach; dy <= reach; ++dy)
    for (int dx = -reach; dx <= reach; ++dx)
      if (dx * dx + dy * dy <= reach2 && x + dx >= 0 && x + dx < size && y + dy >= 0 && y + dy < size)
        apply(at + dy * size + dx);
}

} // namespace

LabelCheck::LabelCheck(int size) : size_(size), agreed_(std::size(reaches2)) {
  const int doubled = size <= 16 ? 2 : size <= 32 ? 3 : size <= 64 ? 5 : size <= 128 ? 6 : 10; // radius in half pixels
  radius2_ = doubled * doubled;
}

int LabelCheck::brightest_spot(const std::uint8_t* picture, int beside) const {
  int best = 0, most = -1;
  for (int at = 0; at < size_ * size_; ++at) {
    if (beside >= 0) {
      const int dx = at % size_ - beside % size_, dy = at / size_ - beside / size_;
      if (dx * dx + dy * dy <= radius2_) // within a diameter
        continue;
    }
    int sum = 0;
    around(at, size_, radius2_ / 4, [&](int near) { sum += picture[near]; });
    if (sum > most) {
      most = sum;
      best = at;
    }
  }
  return best;
}

bool LabelCheck::joined(int reach2) const {
  std::vector<char> met(lit_.size());
  std::vector<int> open;
  const auto meet = [&](int at) {
    if (lit_[static_cast<std::size_t>(at)] && !met[static_cast<std::size_t>(at)]) {
      met[static_cast<std::size_t>(at)] = 1;
      open.push_back(at);
    }
  };
  meet(first_);
  while (!open.empty()) {
    const int at = open.back();
    open.pop_back();
    around(at, size_, reach2, meet);
  }
  return met[static_cast<std::size_t>(second_)] != 0;
}

void LabelCheck::add(const std::uint8_t* picture, int label) {
  lit_.resize(static_cast<std::size_t>(size_ * size_));
  std::transform(picture, picture + size_ * size_, lit_.begin(),
                 [](std::uint8_t value) { return static_cast<char>(value >= lit_from); });
  first_ = brightest_spot(picture, -1);
  second_ = brightest_spot(picture, first_);
  ++pictures_;
  for (std::size_t i = 0; i < agreed_.size(); ++i)
    agreed_[i] += joined(reaches2[i]) == (label == 1) ? 1 : 0;
}

double LabelCheck::agreement() const {
  return pictures_ == 0 ? 0 : static_cast<double>(*std::max_element(agreed_.begin(), agreed_.end())) / pictures_;
}

} // namespace weft
