#include "model/sampling/decoder.hpp"
#include "config/config.hpp"
#include "config/patterns.hpp"
#include "io/error.hpp"
#include "kernels/attention/attention_decode.hpp"
#include "kernels/linear_attention/linear_attention.hpp"
#include "model/layers/ema_attention.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

std::unique_ptr<Decoder> make_decoder(const Model& model, const Config& config, const float* weights,
                                      std::int64_t samples, std::int64_t length) {
  if (length < 1 || length > config.model.context)
    throw InputError(
        fmt::format("got {} tokens to decode, expected 1 to model.context = {}: positions are learned, and "
                    "there are no more of them",
                    length, config.model.context));
  return model.decoder(weights, samples, length);
}

std::size_t decoder_cache_bytes(const Config& c, std::int64_t samples, std::int64_t length) {
  if (c.model.family == "mega") {
    const EmaAttentionSetup mega = ema_attention_of(c);
    const std::int64_t kept = mega.chunk > 0 ? std::min(mega.chunk, length) : length;
    const std::int64_t cell = c.run.precision == "fp32" ? 4 : 2;
    return static_cast<std::size_t>(c.model.layers * samples *
                                    (4 * mega.width * mega.states + cell * kept * (mega.shared + mega.values)));
  }
  const std::int64_t H = c.model.heads, E = (c.model.half_size ? c.model.width / 2 : c.model.width) / H,
                     Ev = c.model.width / H;
  if (pattern_row(c.attention.pattern).operation) { // a running state for all positions
    const FeatureMap any = FeatureMap::elu;
    const LinearAttention call{{samples, 1, H, E, Ev, H * (2 * E + Ev), H * Ev}, any, true, 0};
    return static_cast<std::size_t>(c.model.layers * linear_attention_state(call)) * sizeof(float);
  }
  const DecodeShape shape{samples, H, E, Ev, length, H * (2 * E + Ev)};
  const std::int64_t numbers = samples * H * length * (shape.key_row() + shape.value_row());
  return static_cast<std::size_t>(c.model.layers * numbers) * (c.run.precision == "fp32" ? 4 : 2);
}

} // namespace weft
