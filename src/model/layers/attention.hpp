// The attention layer that attention.pattern and attention.form name.
#pragma once
#include "model/layers/self_attention.hpp"

namespace weft {

/// Tensors name + "attention.qkv.weight" and so on; layer: its number from 0. `plans` must outlive the layer.
template <class T>
std::unique_ptr<Layer<T>> make_attention(const Config& config, Plan& plan, const std::string& name, std::int64_t layer,
                                         const AttentionSetup& setup, const AttentionPlans& plans);

} // namespace weft
