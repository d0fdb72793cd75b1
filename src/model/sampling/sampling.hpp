// From logits to tokens: temperature, top-k, top-p, and a random number that is a function of what it is for.
#pragma once
#include "model/sampling/decoder.hpp"
#include <functional>
#include <vector>

namespace weft {

/// How a token is chosen from its logits z.
struct Choosing {
  double temperature = 1; ///< t: p_v ~ exp(z_v / t); 0: always the most probable token
  std::int64_t top_k = 0; ///< only the k most probable tokens; 0: all
  double top_p = 1;       ///< only the most probable tokens, as many as it takes until their sum is at least this
  std::uint64_t seed = 0;
};

/// The probabilities a token is drawn with: softmax(z / t), then top-k, then top-p of what is left, then divided by
/// their sum. Among equal logits the lower token is the more probable one. Throws NumbersError where a logit is NaN or
/// +infinity.
std::vector<double> probabilities(const float* logits, std::int64_t vocabulary, const Choosing& choosing);

/// The token of sample `sample` at `position`: the Philox number of (seed, sample, position) in [0, 1), carried along
/// the running sum of the probabilities. Nothing else enters, so ranks, groups and earlier tokens do not matter.
std::uint16_t choose(const std::vector<double>& probabilities, std::uint64_t seed, std::uint32_t sample,
                     std::int64_t position);

/// Called with the row of the decoder and its next token, given ones included.
using OnToken = std::function<void(std::int64_t row, std::uint16_t token)>;

/// Samples `length` tokens in all, from a fresh start of `decoder`: row r is sample numbers[r], begins with given[r]
/// (all of one size <= length) and goes on as chosen. Rows without a number are computed and dropped. Returns
/// (numbers.size(), length) tokens.
std::vector<std::vector<std::uint16_t>> generate(Decoder& decoder, std::int64_t vocabulary,
                                                 const std::vector<std::uint32_t>& numbers,
                                                 const std::vector<std::vector<std::uint16_t>>& given,
                                                 std::int64_t length, const Choosing& choosing,
                                                 const OnToken& on_token = {});

} // namespace weft
