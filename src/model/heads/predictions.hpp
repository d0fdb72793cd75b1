// What every head ends with: P predictions over V symbols, their loss and its gradient.
#pragma once
#include "kernels/loss/class_proximity.hpp"
#include "kernels/loss/loss.hpp"
#include "model/pass.hpp"

namespace weft {

template <class T>
struct Predictions {
  std::int64_t P = 0, V = 0;         ///< the most that a micro-batch has
  std::int64_t chunks = 1;           ///< parts of the rows that use the memory of the logits one after the other
  float proximity = -1;              ///< strength in kernels/loss/class_proximity.hpp; below 0: cross-entropy
  bool per_token = false;            ///< one for every row, else one per example
  Piece<float> logits, losses, hits; ///< (P / chunks, V), (P), (P)
  Piece<T> dlogits;                  ///< (P / chunks, V); the memory of the logits where T is float

  Predictions() = default;
  Predictions(Plan& plan, std::int64_t predictions, std::int64_t symbols, bool each_token, std::int64_t parts = 1)
      : P(predictions), V(symbols), chunks(parts), per_token(each_token) {
    const std::int64_t rows = (P + chunks - 1) / chunks;
    logits = plan.keep<float>("logits", rows * V);
    if constexpr (std::is_same_v<T, float>)
      dlogits = logits;
    else
      dlogits = plan.keep<T>("dlogits", rows * V);
    losses = plan.keep<float>("losses", P);
    hits = plan.keep<float>("hits", P);
  }

  std::int64_t count(const Pass<T>& p) const { return per_token ? p.rows() : P; }
  /// From the logits: losses and hits, and in training dlogits.
  void forward(const Pass<T>& p) const { part(p, 0, count(p), p.training()); }
  /// Of rows first .. first + n - 1 alone, whose logits are there.
  void part(const Pass<T>& p, std::int64_t first, std::int64_t n, bool gradient) const {
    const float* shares = p.shares() ? p.shares() + first : nullptr;
    if (proximity >= 0)
      return class_proximity(p(losses) + first, p(hits) + first, gradient ? p(dlogits) : nullptr, p(logits),
                             p.targets() + first, proximity, p.loss_factor(), n, V, shares);
    cross_entropy(p(losses) + first, p(hits) + first, gradient ? p(dlogits) : nullptr, p(logits), p.targets() + first,
                  p.loss_factor(), n, V, shares);
  }
};

} // namespace weft
