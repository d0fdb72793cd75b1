#include "model/layers/attention.hpp"
#include "config/patterns.hpp"
#include "model/layers/released_local.hpp"
#include "model/layers/released_sinkhorn.hpp"
#include "model/layers/sinkhorn.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
std::unique_ptr<Layer<T>> make_attention(const Config& config, Plan& plan, const std::string& name, std::int64_t layer,
                                         const AttentionSetup& setup, const AttentionPlans& plans) {
  const auto& a = config.attention;
  if (released_local(config))
    return std::make_unique<ReleasedLocal<T>>(plan, name, setup, a.stride, plans);
  if (a.pattern == "sinkhorn" && a.form == "lra")
    return std::make_unique<ReleasedSinkhorn<T>>(plan, name, setup, a.stride, plans);
  if (a.pattern == "sinkhorn")
    return std::make_unique<Sinkhorn<T>>(plan, name, setup,
                                         SinkhornSetup{a.stride, a.sort_net == "mlp", a.iterations,
                                                       static_cast<float>(a.temperature), a.noise, a.sort_cut},
                                         plans);
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
