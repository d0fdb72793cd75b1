#include "model/decoder.hpp"
#include "io/error.hpp"
#include "kernels/attention/attention_decode.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/gemm/few_rows.hpp"
#include "kernels/norm/norm.hpp"
#include "model/key_lists.hpp"
#include "model/sparse_transformer.hpp"
#include <fmt/core.h>
#include <stdexcept>

namespace weft {
namespace {

/// The parameters by name, where the kernels run.
class Weights {
 public:
  Weights(const ParameterList& parameters, const float* values) : parameters_(parameters), values_(values) {}
  const Parameter& of(const std::string& name) const {
    for (const Parameter& p : parameters_.all())
      if (p.name == name)
        return p;
    throw std::logic_error("the model has no parameter " + name);
  }
  const float* at(const std::string& name) const { return values_ + of(name).offset; }
  template <class T>
  StripMatrix<T> matrix(const std::string& name) const {
    const Parameter& p = of(name);
    return StripMatrix<T>(values_ + p.offset, p.shape[0], p.shape[1]);
  }
  /// "block.00." and so on, in the order of the layers.
  std::vector<std::string> blocks() const {
    const std::string end = "norm1.gain";
    std::vector<std::string> out;
    for (const Parameter& p : parameters_.all())
      if (p.name.size() > end.size() && p.name.compare(p.name.size() - end.size(), end.size(), end) == 0)
        out.push_back(p.name.substr(0, p.name.size() - end.size()));
    return out;
  }

 private:
  const ParameterList& parameters_;
  const float* values_;
};

template <class T>
struct Layer {
  const float *norm1_gain, *norm1_bias, *norm2_gain, *norm2_bias, *qkv_bias, *out_bias, *in_bias, *ff_bias;
  StripMatrix<T> qkv, out, in, ff;
  Buffer<T> keys, values; ///< (samples, H, length, padded width)
};

std::int64_t key_width(const Config& c) {
  return (c.model.half_size ? c.model.width / 2 : c.model.width) / c.model.heads;
}

DecodeShape decode_shape(const Config& c, std::int64_t samples, std::int64_t length) {
  const std::int64_t H = c.model.heads, E = key_width(c), Ev = c.model.width / H;
  return {samples, H, E, Ev, length, H * (2 * E + Ev)};
}

template <class T>
class SparseTransformerDecoder final : public Decoder {
 public:
  SparseTransformerDecoder(const Config& config, const ParameterList& parameters, const float* values,
                           std::int64_t samples, std::int64_t length)
      : S(samples), D(config.model.width), V(config.model.vocabulary), capacity_(length),
        shape_(decode_shape(config, samples, length)), lists_(config, length) {
    const Weights weights(parameters, values);
    tables_ = {weights.at("embedding.token"), weights.at("embedding.start"), {}};
    for (const Parameter& p : parameters.all())
      if (p.name.rfind("embedding.position.", 0) == 0) {
        tables_.position[coordinates_.count] = values + p.offset;
        coordinates_.extents[coordinates_.count++] = p.shape[0];
      }
    for (const std::string& name : weights.blocks()) {
      Layer<T> layer;
      layer.norm1_gain = weights.at(name + "norm1.gain");
      layer.norm1_bias = weights.at(name + "norm1.bias");
      layer.norm2_gain = weights.at(name + "norm2.gain");
      layer.norm2_bias = weights.at(name + "norm2.bias");
      layer.qkv = weights.matrix<T>(name + "attention.qkv.weight");
      layer.qkv_bias = weights.at(name + "attention.qkv.bias");
      layer.out = weights.matrix<T>(name + "attention.out.weight");
      layer.out_bias = weights.at(name + "attention.out.bias");
      layer.in = weights.matrix<T>(name + "feedforward.in.weight");
      layer.in_bias = weights.at(name + "feedforward.in.bias");
      layer.ff = weights.matrix<T>(name + "feedforward.out.weight");
      layer.ff_bias = weights.at(name + "feedforward.out.bias");
      layer.keys = Buffer<T>(S * shape_.heads * capacity_ * shape_.key_row(), "cache of keys");
      layer.values = Buffer<T>(S * shape_.heads * capacity_ * shape_.value_row(), "cache of values");
      // The padding is read; the rest is written before it is.
      device_zero(layer.keys.data(), layer.keys.bytes());
      device_zero(layer.values.data(), layer.values.bytes());
      layers_.push_back(std::move(layer));
    }
    norm_gain_ = weights.at("norm.gain");
    norm_bias_ = weights.at("norm.bias");
    output_ = weights.matrix<T>("output.weight");
    const std::int64_t F = layers_.front().in.outputs;
    previous_ = Buffer<std::uint16_t>(S, "tokens");
    stream_ = Buffer<T>(S * D, "stream");
    normed_ = Buffer<T>(S * D, "normed");
    attended_ = Buffer<T>(S * D, "attended");
    qkv_ = Buffer<T>(S * shape_.row_stride, "qkv");
    hidden_ = Buffer<T>(S * F, "hidden");
    statistics_ = Buffer<float>(2 * S, "statistics");
    logits_ = Buffer<float>(S * V, "logits");
    workspace_ = Buffer<float>(attention_decode_workspace(shape_, lists_.longest()), "workspace of attention");
  }

  void restart() override { position_ = 0; }
  std::int64_t position() const override { return position_; }
  std::int64_t samples() const override { return S; }
  std::int64_t length() const override { return capacity_; }
  std::int64_t keys_seen() const override { return keys_seen_; }
  std::size_t cache_bytes() const override {
    return layers_.size() * (layers_.front().keys.bytes() + layers_.front().values.bytes());
  }

  void step(const std::uint16_t* previous, float* logits) override {
    if (position_ >= capacity_)
      throw std::logic_error("a decoder of " + std::to_string(capacity_) + " slots was asked for one more");
    lists_.move_to(position_);
    keys_seen_ = 0;
    if (position_ > 0)
      copy_to_device(previous_.data(), previous, previous_.bytes());
    embedding_slot(stream_.data(), {S, capacity_, D, V}, coordinates_, tables_, previous_.data(), position_);
    for (std::size_t r = 0; r < layers_.size(); ++r)
      block(layers_[r], static_cast<std::int64_t>(r));
    if (logits) {
      norm(norm_gain_, norm_bias_, final_epsilon);
      few_rows_forward(output_, S, logits_.data(), normed_.data(), nullptr);
      copy_to_host(logits, logits_.data(), logits_.bytes());
    }
    ++position_;
  }

 private:
  void norm(const float* gain, const float* bias, float epsilon) {
    norm_forward(normed_.data(), statistics_.data(), statistics_.data() + S, stream_.data(), gain, bias, S, D, epsilon);
  }

  /// H + a, then H + a + b, as in sparse_transformer_forward.cpp.
  void block(Layer<T>& layer, std::int64_t r) {
    norm(layer.norm1_gain, layer.norm1_bias, block_epsilon);
    few_rows_forward(layer.qkv, S, qkv_.data(), normed_.data(), layer.qkv_bias);
    const DecodeKeys keys = lists_.of_layer(r);
    keys_seen_ += lists_.keys_of_layer(r);
    attention_decode(shape_, attended_.data(), qkv_.data(), layer.keys.data(), layer.values.data(), keys,
                     workspace_.data());
    few_rows_forward(layer.out, S, stream_.data(), attended_.data(), layer.out_bias, RowsEnd::residual, stream_.data());
    norm(layer.norm2_gain, layer.norm2_bias, block_epsilon);
    few_rows_forward(layer.in, S, hidden_.data(), normed_.data(), layer.in_bias, RowsEnd::activation);
    few_rows_forward(layer.ff, S, stream_.data(), hidden_.data(), layer.ff_bias, RowsEnd::residual, stream_.data());
  }

  std::int64_t S, D, V, capacity_, position_ = 0, keys_seen_ = 0;
  DecodeShape shape_;
  KeyLists lists_;
  Coordinates coordinates_;
  EmbeddingTables<const float*> tables_{};
  std::vector<Layer<T>> layers_;
  const float *norm_gain_ = nullptr, *norm_bias_ = nullptr;
  StripMatrix<T> output_;
  Buffer<std::uint16_t> previous_;
  Buffer<T> stream_, normed_, attended_, qkv_, hidden_;
  Buffer<float> statistics_, logits_, workspace_;
};

} // namespace

std::unique_ptr<Decoder> make_decoder(const Config& config, const ParameterList& parameters, const float* weights,
                                      std::int64_t samples, std::int64_t length) {
  if (length < 1 || length > config.model.context)
    throw InputError(
        fmt::format("got {} tokens to decode, expected 1 to model.context = {}: positions are learned, and "
                    "there are no more of them",
                    length, config.model.context));
  if (config.run.precision == "bf16")
    return std::make_unique<SparseTransformerDecoder<bf16>>(config, parameters, weights, samples, length);
  if (config.run.precision == "fp16")
    return std::make_unique<SparseTransformerDecoder<fp16>>(config, parameters, weights, samples, length);
  return std::make_unique<SparseTransformerDecoder<float>>(config, parameters, weights, samples, length);
}

std::size_t decoder_cache_bytes(const Config& config, std::int64_t samples, std::int64_t length) {
  const DecodeShape shape = decode_shape(config, samples, length);
  const std::int64_t numbers = samples * shape.heads * length * (shape.key_row() + shape.value_row());
  return static_cast<std::size_t>(config.model.layers * numbers) * (config.run.precision == "fp32" ? 4 : 2);
}

} // namespace weft
