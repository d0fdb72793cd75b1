// The Reformer (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451) and the reproduction of its copy task by students of
// fast.ai (2021):
//   H_0 = sqrt(D) token + position, positions learned or axial;   layers in a stream of model.stream
//   logits = H_L E^T + b (tied), or H_L W_output + b
// Attention is that of attention.pattern: lsh, or dense with shared queries and keys, has no biases; the feed-forward
// layer is dense, GELU, dense.
#pragma once
#include "model/families/language_chain.hpp"

namespace weft {

template <class T>
class Reformer final : public LanguageChain<T> {
 public:
  explicit Reformer(const Config& config);
};

} // namespace weft
