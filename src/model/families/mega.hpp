// MEGA (Ma et al. 2023, arXiv:2209.10655), the classifiers of its section 4.1 and the language models of 4.3:
//   H_0 = dropout(token), or of a picture dropout(z w + b) with its values z;   no positions: the averages and the
//   relative scores tell them
//   H'  = norm1(H + attention(H)), gated, with moving averages;   H'' = norm2(H' + dropout(feedforward(H')))
// with norms behind the additions, or in front of both layers and one at the end (model.stream);
//   classes: logits = gelu(dropout(mean(H_L) W + b)) W', of pairs with the means of both documents, the second first
//   the next token: averages from the front alone, logits = H_L W or H_L E', E the tokens' vectors
// or, with model.head = "pooler" and model.pooling = "first", the classifier of the Hugging Face form.
#pragma once
#include "model/families/chain.hpp"
#include "model/heads/classes.hpp"
#include "model/heads/language.hpp"

namespace weft {

template <class T>
class Mega final : public Chain<T, ClassHead<T>> {
 public:
  explicit Mega(const Config& config);
  bool variable_length() const override { return true; }
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;
};

template <class T>
class MegaLanguage final : public Chain<T, LanguageHead<T>> {
 public:
  explicit MegaLanguage(const Config& config);
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;

 private:
  Config config_;
};

} // namespace weft
