// The Sparse Transformer (Child, Gray, Radford, Sutskever 2019, arXiv:1904.10509, section 5):
//   H_0 = embedding(x);   a = dropout(attention(norm1(H)));   b = dropout(feedforward(norm2(H + a)));   H' = H + a + b
//   logits = norm(H_L) W_output
#pragma once
#include "model/families/language_chain.hpp"

namespace weft {

template <class T>
class SparseTransformer final : public LanguageChain<T> {
 public:
  explicit SparseTransformer(const Config& config);
};

} // namespace weft
