// MEGA (Ma et al. 2023, arXiv:2209.10655), the classifiers of its section 4.1:
//   H_0 = dropout(token),   no positions: the averages and the relative scores tell them
//   H'  = norm1(H + attention(H)), gated, with moving averages;   H'' = norm2(H' + dropout(feedforward(H')))
//   logits = gelu(dropout(mean(H_L) W + b)) W'
// with layer norms (the paper's model of ListOps) or scale norms (of Text) behind the additions.
#pragma once
#include "model/families/chain.hpp"
#include "model/heads/classes.hpp"

namespace weft {

template <class T>
class Mega final : public Chain<T, ClassHead<T>> {
 public:
  explicit Mega(const Config& config);
  bool variable_length() const override { return true; }
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;
};

} // namespace weft
