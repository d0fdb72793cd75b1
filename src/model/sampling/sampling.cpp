#include "model/sampling/sampling.hpp"
#include "io/error.hpp"
#include "kernels/random/philox.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <numeric>

namespace weft {

namespace {
constexpr std::uint32_t purpose_sampling = 0xfffffff2u; // a tensor that no model has

void keep_first(std::vector<double>& p, const std::vector<std::size_t>& order, std::size_t count) {
  for (std::size_t n = count; n < order.size(); ++n)
    p[order[n]] = 0;
}
} // namespace

std::vector<double> probabilities(const float* logits, std::int64_t vocabulary, const Choosing& choosing) {
  const auto V = static_cast<std::size_t>(vocabulary);
  for (std::size_t v = 0; v < V; ++v)
    if (!(logits[v] < std::numeric_limits<float>::infinity()))
      throw NumbersError(fmt::format("the logit of token {} is {}: the weights of this checkpoint are not usable; take "
                                     "an older one",
                                     v, logits[v]));
  const float largest = *std::max_element(logits, logits + V);
  std::vector<double> p(V, 0.0);
  if (choosing.temperature == 0) {
    p[static_cast<std::size_t>(std::max_element(logits, logits + V) - logits)] = 1;
    return p;
  }
  for (std::size_t v = 0; v < V; ++v)
    p[v] = std::exp((static_cast<double>(logits[v]) - static_cast<double>(largest)) / choosing.temperature);
  const bool some = choosing.top_k > 0 && choosing.top_k < vocabulary;
  if (some || choosing.top_p < 1) {
    std::vector<std::size_t> order(V);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    if (some)
      keep_first(p, order, static_cast<std::size_t>(choosing.top_k));
    const double wanted = choosing.top_p * std::accumulate(p.begin(), p.end(), 0.0);
    double sum = 0;
    std::size_t count = 0;
    while (count < V && (count == 0 || sum < wanted))
      sum += p[order[count++]];
    if (choosing.top_p < 1)
      keep_first(p, order, count);
  }
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p)
    value /= sum;
  return p;
}

std::uint16_t choose(const std::vector<double>& p, std::uint64_t seed, std::uint32_t sample, std::int64_t position) {
  const Philox4 r = random4({seed, 0, sample, purpose_sampling}, static_cast<std::uint32_t>(position));
  const double u = static_cast<double>((std::uint64_t{r.x[0]} << 32 | r.x[1]) >> 11) * 0x1p-53;
  double sum = 0;
  std::size_t last = 0; // rounding may leave the sum a little below 1
  for (std::size_t v = 0; v < p.size(); ++v) {
    if (p[v] <= 0)
      continue;
    sum += p[v];
    last = v;
    if (u < sum)
      break;
  }
  return static_cast<std::uint16_t>(last);
}

std::vector<std::vector<std::uint16_t>> generate(Decoder& decoder, std::int64_t vocabulary,
                                                 const std::vector<std::uint32_t>& numbers,
                                                 const std::vector<std::vector<std::uint16_t>>& given,
                                                 std::int64_t length, const Choosing& choosing,
                                                 const OnToken& on_token) {
  const auto rows = static_cast<std::size_t>(decoder.samples()), V = static_cast<std::size_t>(vocabulary);
  std::vector<std::vector<std::uint16_t>> out(numbers.size());
  std::vector<std::uint16_t> previous(rows, 0);
  std::vector<float> logits(rows * V);
  const auto first_chosen = static_cast<std::int64_t>(given.front().size());
  decoder.restart();
  for (std::int64_t i = 0; i < length; ++i) {
    decoder.step(previous.data(), i < first_chosen ? nullptr : logits.data());
    for (std::size_t row = 0; row < numbers.size(); ++row) {
      const std::uint16_t token =
          i < first_chosen
              ? given[row][static_cast<std::size_t>(i)]
              : choose(probabilities(logits.data() + row * V, vocabulary, choosing), choosing.seed, numbers[row], i);
      previous[row] = token;
      out[row].push_back(token);
      if (on_token)
        on_token(static_cast<std::int64_t>(row), token);
    }
  }
  return out;
}

} // namespace weft
