#include "model/layers/attention.hpp"
#include "config/families.hpp"
#include "config/patterns.hpp"
#include "model/layers/ema_attention.hpp"
#include "model/layers/factorised_dense.hpp"
#include "model/layers/linear_attention.hpp"
#include "model/layers/linformer.hpp"
#include "model/layers/longformer.hpp"
#include "model/layers/lsh_attention.hpp"
#include "model/layers/performer.hpp"
#include "model/layers/released_local.hpp"
#include "model/layers/released_sinkhorn.hpp"
#include "model/layers/sinkhorn.hpp"
#include "model/layers/synthesizer.hpp"
#include "model/patterns.hpp"
#include "model/storage.hpp"

namespace weft {

namespace {
bool causal(const Config& c) { return is_causal(c); }
bool released(const Config& c) { return c.attention.form == "lra"; }

LinearSetup linear_of(const Config& c) { return {FeatureMap::elu, 1e-6f, 0, causal(c), released(c)}; }
LinearSetup relu_performer_of(const Config& c) { return {FeatureMap::relu, 0, 1e-3f, causal(c), released(c)}; }
PerformerSetup performer_of(const Config& c) {
  return {c.attention.features, released(c) ? 1e-6f : 1e-4f, c.attention.redraw_steps, causal(c), released(c)};
}
SinkhornSetup sinkhorn_of(const Config& c) {
  const auto& a = c.attention;
  return {a.stride, a.sort_net == "mlp", a.iterations, static_cast<float>(a.temperature), a.noise, a.sort_cut};
}
} // namespace

template <class T>
std::unique_ptr<Layer<T>> make_attention(const Config& config, Plan& plan, const std::string& name, std::int64_t layer,
                                         const AttentionSetup& setup, const AttentionPlans& plans) {
  const auto& a = config.attention;
  if (config.model.family == "mega")
    return std::make_unique<EmaAttention<T>>(plan, name, layer, ema_attention_of(config), plans);
  if (a.pattern == "linear")
    return std::make_unique<LinearAttentionLayer<T>>(plan, name, setup, linear_of(config));
  if (a.pattern == "linformer")
    return std::make_unique<Linformer<T>>(plan, name, layer, setup, linformer_of(config), plans);
  if (a.pattern == "lsh" || (a.pattern == "dense" && a.shared_qk))
    return std::make_unique<LshAttention<T>>(plan, name, setup, lsh_setup_of(config, setup, layer, plan.N));
  if (a.pattern == "performer" && a.kernel == "relu")
    return std::make_unique<LinearAttentionLayer<T>>(plan, name, setup, relu_performer_of(config));
  if (a.pattern == "performer")
    return std::make_unique<Performer<T>>(plan, name, layer, setup, performer_of(config));
  if (a.pattern == "sinkhorn" && released(config))
    return std::make_unique<ReleasedSinkhorn<T>>(plan, name, setup, a.stride, plans);
  if (a.pattern == "sinkhorn")
    return std::make_unique<Sinkhorn<T>>(plan, name, setup, sinkhorn_of(config), plans);
  if (a.pattern == "synthesizer" && a.mode == "factorised_dense")
    return std::make_unique<FactorisedDense<T>>(plan, name, setup, synthesizer_of(config), causal(config), plans);
  if (a.pattern == "synthesizer")
    return std::make_unique<Synthesizer<T>>(plan, name, setup, synthesizer_of(config), plans);
  if (released_local(config))
    return std::make_unique<ReleasedLocal<T>>(plan, name, setup, a.stride, plans);
  if (has_global_projections(config) && pattern_choice(config, layer, 0).set == "longformer")
    return std::make_unique<Longformer<T>>(plan, name, layer, setup, plans, has_global_rows(config) ? a.global : 0);
  return std::make_unique<SelfAttention<T>>(plan, name, layer, setup, plans);
}

#define WEFT_INSTANCE(T)                                                                                               \
  template std::unique_ptr<Layer<T>> make_attention<T>(const Config&, Plan&, const std::string&, std::int64_t,         \
                                                       const AttentionSetup&, const AttentionPlans&)
WEFT_INSTANCE(float);
WEFT_INSTANCE(bf16);
WEFT_INSTANCE(fp16);
#undef WEFT_INSTANCE

} // namespace weft
