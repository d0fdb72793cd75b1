// MEGA's gated attention for decoding: one new position of every sample, with the moving averages of the positions
// before it, and the keys and values of those in its chunk.
#pragma once
#include "kernels/activation/activation.hpp"
#include "kernels/ema/ema.hpp"
#include "kernels/gate/gate.hpp"
#include "kernels/pointwise_attention/chunk_decode.hpp"
#include "model/layers/rows.hpp"

namespace weft {

/// A linear map and its bias.
template <class T>
struct RowMap {
  StripMatrix<T> weight;
  const float* bias;
};

template <class T>
class EmaAttentionRows final : public RowLayer<T> {
 public:
  /// distances: the bias of scores, null: none; `held` is its memory where the weights are not.
  EmaAttentionRows(const EmaShape& ema, const EmaTensors<const float*>& averages, const GateShape& gate,
                   const GateTensors<const float*>& gates, const ChunkDecode& attention, const float* distances,
                   Buffer<float> held, RowMap<T> value, RowMap<T> mix, RowMap<T> out)
      : ema_(ema), gate_(gate), gates_(gates), attention_(attention), omega_(averages.omega), distances_(distances),
        held_(std::move(held)), value_(std::move(value)), mix_(std::move(mix)), out_(std::move(out)),
        coefficients_(2 * gate.width * ema.states, "coefficients of averages"),
        averages_(gate.rows * ema.states * gate.width, "moving averages"),
        keys_(gate.rows * attention.capacity * gate.shared, "cache of keys"),
        values_(gate.rows * attention.capacity * gate.values, "cache of values"), v_(gate.rows * gate.values, "values"),
        averaged_(gate.rows * gate.width, "averaged"), mixed_(gate.rows * gate.mixed(), "mixed"),
        qkv_(gate.rows * gate.heads(), "qkv"), attended_(v_.size(), "attended"), hidden_(averaged_.size(), "hidden"),
        workspace_(chunk_decode_workspace(attention), "scores") {
    ema_step_coefficients(ema_, coefficients_.data(), averages);
  }

  void forward(const Slot& slot, T* y, const T* x) override { forward_beside(slot, y, x, x); }

  void forward_beside(const Slot& slot, T* y, const T* x, const T* stream) override {
    const std::int64_t S = gate_.rows;
    if (slot.position == 0)
      device_zero(averages_.data(), averages_.bytes());
    few_rows_forward(value_.weight, S, v_.data(), x, value_.bias);
    ema_step(ema_, averages_.data(), averaged_.data(), x, coefficients_.data(), omega_);
    activation_forward(averaged_.data(), averaged_.data(), averaged_.size(), Activation::silu);
    few_rows_forward(mix_.weight, S, mixed_.data(), averaged_.data(), mix_.bias);
    gate_heads_forward(gate_, qkv_.data(), mixed_.data(), v_.data(), gates_);
    chunk_decode(attention_, attended_.data(), qkv_.data(), keys_.data(), values_.data(), distances_,
                 slot.position % attention_.capacity, workspace_.data());
    gate_reset_forward(gate_, v_.data(), attended_.data(), mixed_.data());
    few_rows_forward(out_.weight, S, hidden_.data(), v_.data(), out_.bias);
    gate_hidden_forward(gate_, hidden_.data(), mixed_.data());
    activation_forward(hidden_.data(), hidden_.data(), hidden_.size(), Activation::silu);
    gate_update_forward(gate_, y, mixed_.data(), hidden_.data(), stream);
  }
  std::size_t cache_bytes() const override { return averages_.bytes() + keys_.bytes() + values_.bytes(); }

 private:
  EmaShape ema_;
  GateShape gate_;
  GateTensors<const float*> gates_;
  ChunkDecode attention_;
  const float *omega_, *distances_;
  Buffer<float> held_;
  RowMap<T> value_, mix_, out_;
  Buffer<float> coefficients_, averages_; ///< averages_: (samples, states, D)
  Buffer<T> keys_, values_;               ///< (samples, capacity, Z) and (samples, capacity, V)
  Buffer<T> v_, averaged_, mixed_, qkv_, attended_, hidden_;
  Buffer<float> workspace_;
};

} // namespace weft
