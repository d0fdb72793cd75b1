// What every head ends with: P predictions over V symbols, their cross-entropy and its gradient.
#pragma once
#include "kernels/loss/loss.hpp"
#include "model/pass.hpp"

namespace weft {

template <class T>
struct Predictions {
  std::int64_t P = 0, V = 0;         ///< the most that a micro-batch has
  bool per_token = false;            ///< one for every row, else one per example
  Piece<float> logits, losses, hits; ///< (P, V), (P), (P)
  Piece<T> dlogits;                  ///< (P, V); the memory of the logits where T is float

  Predictions() = default;
  Predictions(Plan& plan, std::int64_t predictions, std::int64_t symbols, bool each_token)
      : P(predictions), V(symbols), per_token(each_token) {
    logits = plan.keep<float>("logits", P * V);
    if constexpr (std::is_same_v<T, float>)
      dlogits = logits;
    else
      dlogits = plan.keep<T>("dlogits", P * V);
    losses = plan.keep<float>("losses", P);
    hits = plan.keep<float>("hits", P);
  }

  std::int64_t count(const Pass<T>& p) const { return per_token ? p.rows() : P; }
  /// From the logits: losses and hits, and in training dlogits.
  void forward(const Pass<T>& p) const {
    cross_entropy(p(losses), p(hits), p.training() ? p(dlogits) : nullptr, p(logits), p.targets(), p.loss_factor(),
                  count(p), V, p.shares());
  }
};

} // namespace weft
