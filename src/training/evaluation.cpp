#include "training/evaluation.hpp"
#include "tasks/collect.hpp"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft {

double Evaluation::bits() const { return loss / std::numbers::ln2; }

namespace {
/// What a rank has found in its rows.
struct Sums {
  std::vector<double> rows;    ///< loss, hits, scored of each
  std::vector<double> at_slot; ///< losses of every slot, then tokens of every slot; empty for classes
};

void add_row(Sums& sums, const Scores& scores, const Collector& batch, std::int64_t b, std::int64_t predictions) {
  double loss = 0, hits = 0, scored = 0;
  const std::size_t slots = sums.at_slot.size() / 2;
  for (std::int64_t p = 0; p < predictions; ++p) {
    const auto share = static_cast<double>(batch.share(b, p));
    if (share == 0)
      continue;
    const auto at = static_cast<std::size_t>(b * predictions + p), slot = static_cast<std::size_t>(p);
    loss += share * static_cast<double>(scores.losses[at]);
    hits += share * static_cast<double>(scores.hits[at]);
    scored += share;
    if (slots > 0) {
      sums.at_slot[slot] += std::ldexp(std::rint(std::ldexp(scores.losses[at], 20)), -20);
      sums.at_slot[slots + slot] += 1;
    }
  }
  sums.rows.insert(sums.rows.end(), {loss, hits, scored});
}

Evaluation total(const Sums& sums, const Ranks& ranks) {
  Evaluation result;
  double scored = 0;
  const std::vector<double> rows = ranks.gather(sums.rows);
  for (std::size_t r = 0; r < rows.size(); r += 3) {
    result.loss += rows[r];
    result.accuracy += rows[r + 1];
    scored += rows[r + 2];
  }
  result.scored = static_cast<std::int64_t>(scored);
  result.loss /= scored;
  result.accuracy /= scored;
  const std::vector<double> at_slot = ranks.gather(sums.at_slot);
  const std::size_t slots = sums.at_slot.size() / 2;
  result.loss_at.assign(slots, 0.0);
  result.tokens_at.assign(slots, 0.0);
  for (std::size_t i = 0; i < at_slot.size(); ++i) {
    const std::size_t slot = i % (2 * slots);
    (slot < slots ? result.loss_at[slot] : result.tokens_at[slot - slots]) += at_slot[i];
  }
  return result;
}
} // namespace

Evaluation evaluate(Model& model, const Task& task, const Config& config, const Ranks& ranks,
                    const std::function<void(double)>& progress, const std::function<bool()>& leave) {
  const TaskShape shape = task.shape();
  const std::int64_t B = config.training.micro_batch, most = config.evaluation.max_windows;
  const std::int64_t rows = most > 0 ? std::min(most, task.rows()) : task.rows();
  const std::int64_t groups = (rows + B - 1) / B;
  const Share share = share_of(groups, ranks.rank(), ranks.size());
  Collector collector(task, B, model.variable_length());
  Sums sums;
  sums.at_slot.resize(static_cast<std::size_t>(shape.predicts_tokens() ? 2 * shape.predictions : 0));
  Scores scores;
  const std::int64_t rounds = (groups + ranks.size() - 1) / ranks.size(); // of the rank that has most
  for (std::int64_t group = share.first; group < share.first + rounds; ++group) {
    if (leave && leave()) {
      Evaluation result;
      result.left = true;
      return result;
    }
    if (group >= share.last)
      continue;
    model.forward(collector.evaluation(group * B), scores);
    for (std::int64_t b = 0; b < std::min(B, rows - group * B); ++b)
      add_row(sums, scores, collector, b, shape.predictions);
    if (progress)
      progress(static_cast<double>(group + 1 - share.first) / static_cast<double>(share.last - share.first));
  }
  return total(sums, ranks);
}

} // namespace weft
