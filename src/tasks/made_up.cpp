#include "tasks/made_up.hpp"
#include "config/families.hpp"
#include <algorithm>

namespace weft {

MadeUp::MadeUp(const Config& config)
    : Task("made-up rows", "train"), vocabulary_(static_cast<int>(config.model.vocabulary)),
      rows_(config.training.batch << 30) {
  const std::string& task = config.data.task;
  const std::int64_t N = config.model.context;
  shape_ = {N, task == "pairs" ? 2 : 1, N, task == "copy" ? N / 2 - 1 : N};
  if (slots_hold_their_token(config)) {
    shape_.scored = N / 2;
    shape_.own_targets = true;
  }
  if (task == "next_token" || task == "copy")
    return;
  shape_.predictions = shape_.scored = 1;
  shape_.classes = config.model.classes;
}

void MadeUp::training(std::uint64_t, std::int64_t, std::int64_t index, Row& to) const { evaluation(index, to); }

void MadeUp::evaluation(std::int64_t row, Row& to) const {
  for (std::size_t s = 0; s < static_cast<std::size_t>(shape_.sequences); ++s) {
    for (std::int64_t i = 0; i < shape_.tokens; ++i) {
      const auto number = static_cast<std::uint64_t>(row * shape_.row_tokens() + i) + s;
      to.tokens[s][i] = static_cast<std::uint16_t>((number * 2654435761u >> 7) % static_cast<unsigned>(vocabulary_));
    }
    to.length[s] = shape_.tokens;
  }
  if (shape_.own_targets)
    std::copy_n(to.tokens[0], shape_.predictions, to.targets);
  else if (to.targets)
    *to.targets = static_cast<std::uint16_t>(row % shape_.classes);
  if (to.shares && shape_.scored < shape_.predictions)
    std::fill_n(to.shares, shape_.predictions - shape_.scored, 0.0f);
}

} // namespace weft
