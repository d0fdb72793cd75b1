// What an encoder is made of beside its attention, and attention over the real positions, for tests/peers/reference.py.
#include "kernels/activation/activation.hpp"
#include "kernels/attention/attention_reference.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/loss/loss.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/pairs/pairs.hpp"
#include "kernels/pool/pool.hpp"
#include <numeric>

namespace {

weft::Activation activation_of(long kind) { return static_cast<weft::Activation>(kind); }
weft::PairFeatures features_of(long four) { return four ? weft::PairFeatures::four : weft::PairFeatures::both; }
weft::PoolShape pool_of(const long* sizes) { return {sizes[0], sizes[1], sizes[2]}; }

/// sizes: B, N, D, V, front, rows of the position table. The table is learned or not; 0 rows: there is none.
struct Embedding {
  explicit Embedding(const long* sizes) : shape{sizes[0], sizes[1], sizes[2], sizes[3]} {
    shape.slots = sizes[4] ? weft::Slots::front : weft::Slots::plain;
    coordinates.count = sizes[5] > 0 ? 1 : 0;
    coordinates.extents[0] = sizes[5];
  }
  weft::EmbeddingShape shape;
  weft::Coordinates coordinates;
};

/// sizes: B, N, H, E, Ev. seen: [B, N], which positions are keys.
weft::reference::Attention attention_of(const long* sizes, const bool* seen) {
  weft::reference::Attention a{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], {}};
  std::vector<int> all(static_cast<std::size_t>(sizes[1]));
  std::iota(all.begin(), all.end(), 0);
  a.keys = {std::vector<std::vector<int>>(all.size(), all)};
  a.seen.assign(seen, seen + sizes[0] * sizes[1]);
  return a;
}

} // namespace

extern "C" {
void weft_embedding_forward(const long* sizes, double* out, const double* token, const double* start,
                            const double* position, const std::uint16_t* tokens) {
  const Embedding e(sizes);
  weft::reference::embedding_forward(out, e.shape, e.coordinates, {token, start, {position}}, tokens);
}
void weft_embedding_backward(const long* sizes, double* dtoken, double* dstart, double* dposition, const double* dout,
                             const std::uint16_t* tokens) {
  const Embedding e(sizes);
  weft::reference::embedding_backward({dtoken, dstart, {dposition}}, e.shape, e.coordinates, dout, tokens);
}

/// bias: may be null.
void weft_linear_forward(double* y, const double* x, const double* w, const double* bias, long rows, long inputs,
                         long outputs) {
  weft::reference::linear_forward({rows, inputs, outputs}, y, x, w, bias);
}
void weft_linear_backward(double* dx, double* dw, const double* dy, const double* x, const double* w, long rows,
                          long inputs, long outputs) {
  weft::reference::linear_backward_input({rows, inputs, outputs}, dx, dy, w);
  weft::reference::linear_backward_weight({rows, inputs, outputs}, dw, x, dy);
}

void weft_norm_forward(double* out, double* mean, double* rstd, const double* x, const double* gain, const double* bias,
                       long rows, long width, double epsilon) {
  weft::reference::norm_forward(out, mean, rstd, x, gain, bias, rows, width, epsilon);
}
/// Adds to dx.
void weft_norm_backward(double* dx, double* dgain, double* dbias, const double* dout, const double* x,
                        const double* mean, const double* rstd, const double* gain, long rows, long width) {
  weft::reference::norm_backward(dx, dgain, dbias, dout, x, mean, rstd, gain, rows, width);
}

/// kind: the number in weft::Activation.
void weft_activation_forward(long kind, double* out, const double* u, long n) {
  weft::reference::activation_forward(out, u, n, activation_of(kind));
}
void weft_activation_backward(long kind, double* du, const double* dout, const double* u, long n) {
  weft::reference::activation_backward(du, dout, u, n, activation_of(kind));
}

void weft_seen_attention_forward(const long* sizes, const bool* seen, double* out, double* lse, const double* q,
                                 const double* k, const double* v) {
  weft::reference::attention_forward(attention_of(sizes, seen), out, lse, q, k, v);
}
void weft_seen_attention_backward(const long* sizes, const bool* seen, double* dq, double* dk, double* dv,
                                  const double* dout, const double* q, const double* k, const double* v) {
  weft::reference::attention_backward(attention_of(sizes, seen), dq, dk, dv, dout, q, k, v);
}

/// sizes: S, N, D. first: the first row instead of the mean of those that are seen (bits), divided by their number or,
/// where it is not 0, by the divisor.
void weft_pool_forward(const long* sizes, long first, const unsigned* seen, double divisor, double* out,
                       const double* x) {
  if (first)
    return weft::reference::pool_first_forward(out, x, pool_of(sizes));
  weft::reference::pool_mean_forward(out, x, seen, divisor, pool_of(sizes));
}
void weft_pool_backward(const long* sizes, long first, const unsigned* seen, double divisor, double* dx,
                        const double* dout) {
  if (first)
    return weft::reference::pool_first_backward(dx, dout, pool_of(sizes));
  weft::reference::pool_mean_backward(dx, dout, seen, divisor, pool_of(sizes));
}

void weft_pairs_forward(long four, double* features, const double* x, long pairs, long width) {
  weft::reference::pairs_forward(features, x, features_of(four), pairs, width);
}
void weft_pairs_backward(long four, double* dx, const double* dfeatures, const double* x, long pairs, long width) {
  weft::reference::pairs_backward(dx, dfeatures, x, features_of(four), pairs, width);
}

/// The loss is the mean over the rows.
void weft_cross_entropy(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets, long rows,
                        long classes) {
  weft::reference::cross_entropy(losses, dlogits, logits, targets, 1 / static_cast<double>(rows), rows, classes);
}
}
