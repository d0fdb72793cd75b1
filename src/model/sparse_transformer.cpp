// The Sparse Transformer's parameters, memory and costs. The two programs are in sparse_transformer_forward.cpp and
// sparse_transformer_backward.cpp.
#include "model/sparse_transformer.hpp"
#include "io/error.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/sum/sum.hpp"
#include "model/patterns.hpp"
#include "model/precision.hpp"
#include <algorithm>
#include <cmath>
#include <type_traits>

namespace weft {

namespace {
std::string block_name(std::int64_t layer, std::int64_t layers) {
  const std::string digits = std::to_string(layer);
  const std::size_t width = std::max<std::size_t>(2, std::to_string(layers - 1).size());
  return "block." + std::string(width - digits.size(), '0') + digits + ".";
}
} // namespace

template <class T>
SparseTransformer<T>::SparseTransformer(const Config& config)
    : L(config.model.layers), D(config.model.width), H(config.model.heads), N(config.model.context),
      V(config.model.vocabulary), B(config.training.micro_batch), F(config.model.half_size ? 2 * D : 4 * D),
      Dk(config.model.half_size ? D / 2 : D), R(B * N), dropout_(static_cast<float>(config.model.dropout)),
      recompute_(config.model.recompute),
      embedding_std_(config.model.embedding_scale / std::sqrt(static_cast<double>(D))),
      weight_scale_(config.model.weight_scale) {
  std::vector<std::int64_t> extents = config.model.position_shape;
  if (extents.empty())
    extents = {(N + config.attention.stride - 1) / config.attention.stride, config.attention.stride};
  coordinates_.count = static_cast<int>(extents.size());
  std::copy(extents.begin(), extents.end(), coordinates_.extents);
  position_std_ = config.model.position_scale / std::sqrt(static_cast<double>(D) * coordinates_.count);
  if (config.parallel.cuda_graph && !device_is_host)
    replay_ = std::make_unique<Replay>(device_recorder());
  for (std::int64_t layer = 0; layer < pattern_period(config); ++layer)
    plans_.emplace_back(layer_patterns(config, layer), static_cast<int>(H));
  declare_parameters();
  plan_memory();
}

template <class T>
void SparseTransformer<T>::declare_parameters() {
  ParameterList& list = parameters_;
  // Variance weight_scale / inputs; the two matrices that write to the residual stream additionally 1/sqrt(2L).
  const auto std_of = [&](std::int64_t inputs) { return std::sqrt(weight_scale_ / static_cast<double>(inputs)); };
  const double residual = 1 / std::sqrt(2.0 * static_cast<double>(L));
  token_ = list.add("embedding.token", {V, D}, Initialiser::normal, embedding_std_);
  start_ = list.add("embedding.start", {D}, Initialiser::normal, embedding_std_);
  for (int c = 0; c < coordinates_.count; ++c)
    position_[static_cast<std::size_t>(c)] = list.add("embedding.position." + std::to_string(c),
                                                      {coordinates_.extents[c], D}, Initialiser::normal, position_std_);
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const std::string name = block_name(layer, L);
    Block b;
    b.norm1_gain = list.add(name + "norm1.gain", {D}, Initialiser::one);
    b.norm1_bias = list.add(name + "norm1.bias", {D}, Initialiser::zero);
    b.qkv_weight = list.add(name + "attention.qkv.weight", {D, 2 * Dk + D}, Initialiser::normal, std_of(D));
    b.qkv_bias = list.add(name + "attention.qkv.bias", {2 * Dk + D}, Initialiser::zero);
    b.out_weight = list.add(name + "attention.out.weight", {D, D}, Initialiser::normal, std_of(D) * residual);
    b.out_bias = list.add(name + "attention.out.bias", {D}, Initialiser::zero);
    b.norm2_gain = list.add(name + "norm2.gain", {D}, Initialiser::one);
    b.norm2_bias = list.add(name + "norm2.bias", {D}, Initialiser::zero);
    b.in_weight = list.add(name + "feedforward.in.weight", {D, F}, Initialiser::normal, std_of(D));
    b.in_bias = list.add(name + "feedforward.in.bias", {F}, Initialiser::zero);
    b.ff_weight = list.add(name + "feedforward.out.weight", {F, D}, Initialiser::normal, std_of(F) * residual);
    b.ff_bias = list.add(name + "feedforward.out.bias", {D}, Initialiser::zero);
    blocks_.push_back(b);
  }
  final_gain_ = list.add("norm.gain", {D}, Initialiser::one);
  final_bias_ = list.add("norm.bias", {D}, Initialiser::zero);
  output_ = list.add("output.weight", {D, V}, Initialiser::zero);
}

template <class T>
void SparseTransformer<T>::plan_memory() {
  const std::int64_t wide = 2 * Dk + D;
  const bool keep_attention = recompute_ == "none", keep_middle = recompute_ != "block";
  // A piece that is recomputed exists once and is shared by all blocks.
  Kept shared{};
  const auto plan_attention = [&](Kept& k, const std::string& name) {
    k.qkv = arena_.plan<T>(name + "qkv", R * wide);
    k.attended = arena_.plan<T>(name + "attended", R * D);
    k.lse = arena_.plan<float>(name + "lse", R * H);
  };
  const auto plan_middle = [&](Kept& k, const std::string& name) {
    k.middle = arena_.plan<T>(name + "middle", R * D);
    k.hidden = arena_.plan<T>(name + "hidden", R * F);
  };
  if (!keep_attention)
    plan_attention(shared, "recomputed.");
  if (!keep_middle)
    plan_middle(shared, "recomputed.");
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const std::string name = block_name(layer, L);
    Kept k = shared;
    k.input = arena_.plan<T>(name + "input", R * D);
    k.mean1 = arena_.plan<float>(name + "mean1", R);
    k.rstd1 = arena_.plan<float>(name + "rstd1", R);
    if (keep_attention)
      plan_attention(k, name);
    if (keep_middle)
      plan_middle(k, name);
    k.mean2 = arena_.plan<float>(name + "mean2", R);
    k.rstd2 = arena_.plan<float>(name + "rstd2", R);
    kept_.push_back(k);
  }
  stream_end_ = arena_.plan<T>("stream", R * D);
  final_mean_ = arena_.plan<float>("mean", R);
  final_rstd_ = arena_.plan<float>("rstd", R);
  logits_ = arena_.plan<float>("logits", R * V);
  dlogits_ = std::is_same_v<T, float> ? logits_ : arena_.plan<T>("dlogits", R * V);
  losses_ = arena_.plan<float>("losses", R);
  hits_ = arena_.plan<float>("hits", R);
  tokens_ = arena_.plan<std::uint16_t>("tokens", R);
  moment_ = arena_.plan<std::uint32_t>("moment", 2); // step and first sample
  // Scratch that every block uses anew.
  normed_ = arena_.plan<T>("scratch.normed", R * D);
  branch_ = arena_.plan<T>("scratch.branch", R * D);
  gate_ = arena_.plan<T>("scratch.gate", R * F);
  dstream_ = arena_.plan<T>("scratch.dstream", R * D);
  dbranch_ = branch_; // the branch's value is not needed again when its gradient is made
  dattended_ = arena_.plan<T>("scratch.dattended", R * D);
  dwide_ = arena_.plan<T>("scratch.dwide", R * std::max(F, wide));
  partial_ = arena_.plan<float>("scratch.partial",
                                std::max(norm_workspace(R, D), column_sum_workspace(R, std::max({F, wide, D}))));
  std::size_t workspace = 0;
  for (const AttentionPlan& p : plans_)
    for (bool backward : {false, true})
      workspace = std::max(workspace, attention_workspace_bytes(p, attention_shape(), backward));
  attention_workspace_ = arena_.plan_bytes("scratch.attention", workspace, 4);
}

template <class T>
AttentionShape SparseTransformer<T>::attention_shape() const {
  AttentionShape shape;
  shape.batch = B;
  shape.length = N;
  shape.heads = H;
  shape.key_width = Dk / H;
  shape.value_width = D / H;
  shape.row_stride_qkv = 2 * Dk + D;
  shape.row_stride_out = D;
  return shape;
}

template <class T>
std::vector<LinearShape> SparseTransformer<T>::products() const {
  return {linear(D, 2 * Dk + D), linear(D, D), linear(D, F), linear(F, D), linear(D, V)};
}

template <class T>
ModelCosts SparseTransformer<T>::costs() const {
  ModelCosts c;
  c.activation_bytes = arena_.bytes();
  if (!std::is_same_v<T, float>)
    c.low_precision_bytes = static_cast<std::size_t>(parameters_.extent()) * sizeof(T);
  for (const LinearShape& shape : products())
    c.scratch_bytes = std::max(c.scratch_bytes, linear_workspace_bytes<T>(shape));
  const double layers = static_cast<double>(L), d = static_cast<double>(D), k = static_cast<double>(Dk);
  const double matrix_layer = 2 * (d * (2 * k + d) + d * d + 2 * d * static_cast<double>(F));
  c.matrix_flops_per_token = layers * matrix_layer + 2 * d * static_cast<double>(V);
  for (const AttentionPlan& p : plans_)
    c.pattern_bytes += p.host_bytes();
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const AttentionPlan& p = plan(layer);
    // keys() and tiles() are sums over heads; a key costs a dot product of width E and a sum of width E.
    const double per_key = 2 * (k + d) / static_cast<double>(H) / static_cast<double>(N);
    c.attention_flops_per_token += per_key * static_cast<double>(p.keys());
    c.executed_attention_flops_per_token +=
        per_key * static_cast<double>(p.tiles()) * static_cast<double>(query_tile * key_tile);
  }
  const double forward = c.matrix_flops_per_token + c.attention_flops_per_token;
  const double again_attention = layers * 2 * d * (2 * k + d) + c.attention_flops_per_token;
  // Attention's backward pass needs five products of a tile where the forward pass needs two.
  double backward = 2 * c.matrix_flops_per_token + 2.5 * c.attention_flops_per_token;
  if (recompute_ == "attention")
    backward += again_attention;
  if (recompute_ == "block")
    backward += again_attention + layers * 2 * (d * d + d * static_cast<double>(F));
  c.backward_factor = backward / forward;
  return c;
}

template <class T>
void SparseTransformer<T>::allocate() {
  arena_.allocate();
  tokens_upload_ = std::make_unique<Upload>(static_cast<std::size_t>(R) * sizeof(std::uint16_t));
  moment_upload_ = std::make_unique<Upload>(2 * sizeof(std::uint32_t));
  const ModelCosts c = costs();
  linear_reserve(c.scratch_bytes);
  if (!std::is_same_v<T, float>)
    low_precision_ = Buffer<T>(parameters_.extent(), "weights in the storage type");
}

template <class T>
void SparseTransformer<T>::use_weights(const float* weights) {
  weights_ = weights;
  if constexpr (!std::is_same_v<T, float>)
    convert(low_precision_.data(), weights, parameters_.extent());
}

template <class T>
const T* SparseTransformer<T>::weight(int parameter) const {
  if constexpr (std::is_same_v<T, float>)
    return master(parameter);
  else
    return low_precision_.data() + parameters_[parameter].offset;
}

template <class T>
std::string SparseTransformer<T>::first_nonfinite_activation() {
  for (const Arena::Piece& piece : arena_.pieces()) {
    if (piece.name == "tokens")
      break; // scratch from here on
    const int number = static_cast<int>(&piece - arena_.pieces().data());
    const auto n = static_cast<std::int64_t>(piece.bytes) / piece.element;
    const std::int64_t bad = piece.element == 4 ? weft::first_nonfinite(arena_.at<float>(number), n)
                                                : weft::first_nonfinite(arena_.at<T>(number), n);
    // A row of attention without keys has lse = -infinity by definition.
    if (bad >= 0 && piece.name.find("lse") == std::string::npos)
      return piece.name;
  }
  return "";
}

std::unique_ptr<Model> make_model(const Config& config) {
  if (config.model.family != "sparse_transformer")
    throw InputError("model.family: got \"" + config.model.family + "\", expected sparse_transformer");
  require_precision(config.run.precision, Runtime::device());
  if (config.run.precision == "bf16")
    return std::make_unique<SparseTransformer<bf16>>(config);
  if (config.run.precision == "fp16")
    return std::make_unique<SparseTransformer<fp16>>(config);
  return std::make_unique<SparseTransformer<float>>(config);
}

template class SparseTransformer<float>;
template class SparseTransformer<bf16>;
template class SparseTransformer<fp16>;

} // namespace weft
