#include "training/evaluation.hpp"
#include "tasks/collect.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <map>
#include <numbers>

namespace weft {

double Evaluation::bits() const { return loss / std::numbers::ln2; }

std::string scores_text(const Evaluation& r) {
  if (r.classes > 0)
    return fmt::format("accuracy {:.2f} %, loss {:.4f} nats, over {} examples", 100 * r.accuracy, r.loss, r.scored);
  return fmt::format("{:.4f} bits, accuracy {:.2f} %, over {} tokens", r.bits(), 100 * r.accuracy, r.scored);
}

namespace {
/// What a rank has found in its rows.
struct Sums {
  std::vector<double> rows;    ///< loss, hits, scored of each
  std::vector<double> at_slot; ///< losses of every slot, then tokens of every slot; empty for classes
  std::vector<double> choices; ///< true length, class, chosen class of each; empty for tokens
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

/// The first of the largest logits is the choice, as for the hits.
void add_choice(Sums& sums, const Collector& batch, std::int64_t b, const float* logits, std::int64_t classes) {
  const std::int64_t chosen = std::max_element(logits, logits + classes) - logits;
  sums.choices.insert(sums.choices.end(), {static_cast<double>(batch.length(b)), static_cast<double>(batch.target(b)),
                                           static_cast<double>(chosen)});
}

void total_choices(Evaluation& result, const std::vector<double>& choices) {
  result.confusion.assign(static_cast<std::size_t>(result.classes * result.classes), 0);
  std::map<std::int64_t, Evaluation::OfLength> lengths;
  for (std::size_t i = 0; i < choices.size(); i += 3) {
    const auto length = static_cast<std::int64_t>(choices[i]);
    ++result.confusion[static_cast<std::size_t>(choices[i + 1] * static_cast<double>(result.classes) + choices[i + 2])];
    Evaluation::OfLength& of = lengths[length];
    of.length = length;
    ++of.count;
    of.hits += choices[i + 1] == choices[i + 2];
  }
  for (const auto& [length, of] : lengths)
    result.by_length.push_back(of);
}

Evaluation total(const Sums& sums, std::int64_t classes, const Ranks& ranks) {
  Evaluation result;
  result.classes = classes;
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
  if (classes > 0) {
    total_choices(result, ranks.gather(sums.choices));
    return result;
  }
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

Batch drawn_as_trained(Batch batch, const Config& config, std::int64_t step) {
  batch.seed = static_cast<std::uint64_t>(config.run.seed);
  batch.step = static_cast<std::uint32_t>(std::max<std::int64_t>(step, 1) - 1);
  return batch;
}

Evaluation evaluate(Model& model, const Task& task, const Config& config, const Ranks& ranks, std::int64_t step,
                    const std::function<void(double)>& progress, const std::function<bool()>& leave) {
  const TaskShape shape = task.shape();
  const std::int64_t B = config.training.micro_batch, most = config.evaluation.max_windows;
  const std::int64_t rows = most > 0 ? std::min(most, task.rows()) : task.rows();
  const std::int64_t groups = (rows + B - 1) / B;
  const Share share = share_of(groups, ranks.rank(), ranks.size());
  Collector collector(task, B, model.variable_length());
  Sums sums;
  sums.at_slot.resize(static_cast<std::size_t>(shape.predicts_tokens() ? 2 * shape.predictions : 0));
  std::vector<float> logits(static_cast<std::size_t>(B * shape.classes));
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
    model.forward(drawn_as_trained(collector.evaluation(group * B), config, step), scores);
    if (shape.classes > 0)
      model.copy_logits(logits.data());
    for (std::int64_t b = 0; b < std::min(B, rows - group * B); ++b) {
      add_row(sums, scores, collector, b, shape.predictions);
      if (shape.classes > 0)
        add_choice(sums, collector, b, logits.data() + b * shape.classes, shape.classes);
    }
    if (progress)
      progress(static_cast<double>(group + 1 - share.first) / static_cast<double>(share.last - share.first));
  }
  return total(sums, shape.classes, ranks);
}

} // namespace weft
