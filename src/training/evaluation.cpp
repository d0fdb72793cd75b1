#include "training/evaluation.hpp"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft {

double Evaluation::bits() const { return loss / std::numbers::ln2; }

Evaluation evaluate(Model& model, const Sequences& sequences, const Config& config, const Ranks& ranks,
                    const std::function<void(double)>& progress, const std::function<bool()>& leave) {
  const std::int64_t length = config.model.context, micro_batch = config.training.micro_batch;
  const std::int64_t context = config.evaluation.minimum_context, most = config.evaluation.max_windows;
  const std::int64_t windows = most > 0 ? std::min(most, sequences.windows(context)) : sequences.windows(context);
  const std::int64_t groups = (windows + micro_batch - 1) / micro_batch;
  const Share share = share_of(groups, ranks.rank(), ranks.size());
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(micro_batch * length));
  std::vector<double> sums;                                          // per window: loss, hits, tokens
  std::vector<double> at_slot(2 * static_cast<std::size_t>(length)); // losses, tokens
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
    std::vector<Sequences::Scored> scored;
    for (std::int64_t b = 0; b < micro_batch; ++b) {
      const std::int64_t window = group * micro_batch + b;
      if (window < windows)
        scored.push_back(sequences.window(window, tokens.data() + b * length, context));
    }
    MicroBatch batch;
    batch.tokens = tokens.data();
    model.forward(batch, scores);
    for (std::size_t b = 0; b < scored.size(); ++b) {
      double loss = 0, hits = 0;
      for (std::int64_t i = scored[b].first; i < scored[b].last; ++i) {
        const std::size_t at = b * static_cast<std::size_t>(length) + static_cast<std::size_t>(i);
        loss += static_cast<double>(scores.losses[at]);
        hits += static_cast<double>(scores.hits[at]);
        at_slot[static_cast<std::size_t>(i)] += std::ldexp(std::rint(std::ldexp(scores.losses[at], 20)), -20);
        at_slot[static_cast<std::size_t>(length + i)] += 1;
      }
      sums.insert(sums.end(), {loss, hits, static_cast<double>(scored[b].last - scored[b].first)});
    }
    if (progress)
      progress(static_cast<double>(group + 1 - share.first) / static_cast<double>(share.last - share.first));
  }
  const std::vector<double> all = ranks.gather(sums);
  Evaluation result;
  double tokens_scored = 0;
  for (std::size_t w = 0; w < all.size(); w += 3) {
    result.loss += all[w];
    result.accuracy += all[w + 1];
    tokens_scored += all[w + 2];
  }
  result.tokens = static_cast<std::int64_t>(tokens_scored);
  result.loss /= tokens_scored;
  result.accuracy /= tokens_scored;
  const std::vector<double> slots = ranks.gather(at_slot);
  result.loss_at.assign(static_cast<std::size_t>(length), 0.0);
  result.tokens_at.assign(static_cast<std::size_t>(length), 0.0);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::size_t slot = i % at_slot.size(), n = static_cast<std::size_t>(length);
    (slot < n ? result.loss_at[slot] : result.tokens_at[slot - n]) += slots[i];
  }
  return result;
}

} // namespace weft
