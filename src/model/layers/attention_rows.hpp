// Attention for decoding: one new position of every sample over a cache of the keys and values before it.
#pragma once
#include "kernels/attention/attention_decode.hpp"
#include "model/layers/rows.hpp"
#include <functional>

namespace weft {

/// between (may be empty): what becomes of the rows q | k | v before they are used.
template <class T>
class AttentionRows final : public RowLayer<T> {
 public:
  AttentionRows(const RowSetup& setup, const DecodeShape& shape, std::int64_t layer, StripMatrix<T> qkv,
                Buffer<float> qkv_bias, StripMatrix<T> out, const float* out_bias, std::function<void(T*)> between = {})
      : shape_(shape), layer_(layer), qkv_weight_(std::move(qkv)), out_weight_(std::move(out)),
        qkv_bias_(std::move(qkv_bias)), out_bias_(out_bias), between_(std::move(between)),
        keys_(shape.samples * shape.heads * shape.capacity * shape.key_row(), "cache of keys"),
        values_(shape.samples * shape.heads * shape.capacity * shape.value_row(), "cache of values"),
        qkv_(shape.samples * shape.row_stride, "qkv"),
        attended_(shape.samples * shape.heads * shape.value_width, "attended"),
        workspace_(attention_decode_workspace(shape, setup.length), "workspace of attention") {
    // The padding is read; the rest is written before it is.
    device_zero(keys_.data(), keys_.bytes());
    device_zero(values_.data(), values_.bytes());
  }
  void forward(const Slot& slot, T* y, const T* x) override {
    few_rows_forward(qkv_weight_, shape_.samples, qkv_.data(), x, qkv_bias_.data());
    if (between_)
      between_(qkv_.data());
    attention_decode(shape_, attended_.data(), qkv_.data(), keys_.data(), values_.data(), slot.lists->of_layer(layer_),
                     workspace_.data());
    few_rows_forward(out_weight_, shape_.samples, y, attended_.data(), out_bias_);
  }
  std::size_t cache_bytes() const override { return keys_.bytes() + values_.bytes(); }

 private:
  DecodeShape shape_;
  std::int64_t layer_;
  StripMatrix<T> qkv_weight_, out_weight_;
  Buffer<float> qkv_bias_; ///< empty: none
  const float* out_bias_;
  std::function<void(T*)> between_;
  Buffer<T> keys_, values_; ///< (samples, H, length, padded width)
  Buffer<T> qkv_, attended_;
  Buffer<float> workspace_;
};

} // namespace weft
