// For tests/peers/reference.py: rows mixed along the sequence, attention with keys of its own and a table of scores,
// and synthetic scores.
#include "kernels/attention/attention_reference.hpp"
#include "kernels/low_rank/mix_rows.hpp"
#include "kernels/synthesizer/factored_scores.hpp"
#include "kernels/synthesizer/mixture.hpp"
#include "kernels/synthesizer/synthetic_scores.hpp"

namespace {

/// sizes: S, N, k, width.
weft::MixShape mix(const long* sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3], sizes[3], sizes[3]}; }

/// sizes: B, N, H, E, Ev, M, causal (0 or 1). table: [H, max(N, M), max(N, M)], or null.
weft::reference::Attention scored(const long* sizes, const double* table, double scale) {
  weft::reference::Attention a{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], {}};
  a.key_length = sizes[5];
  a.scale = scale;
  a.keys.resize(1);
  for (int i = 0; i < sizes[1]; ++i) {
    a.keys[0].emplace_back();
    for (int j = 0; j < sizes[5]; ++j)
      if (sizes[6] == 0 || j <= i)
        a.keys[0].back().push_back(j);
  }
  if (table) {
    a.table_stride = sizes[1] > sizes[5] ? sizes[1] : sizes[5];
    a.table.assign(table, table + sizes[2] * a.table_stride * a.table_stride);
  }
  return a;
}

/// sizes: B, N, H, F.
weft::JoinShape scores(const long* sizes) { return {sizes[0], sizes[1], sizes[2], 0, 1, sizes[3], 1, sizes[1], 1.0f}; }

/// sizes: R, H, d, numbers.
weft::FactorShape factor(const long* sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3], sizes[1] * sizes[2]}; }
/// sizes: S, N, H, A, C.
weft::FactoredShape factored(const long* sizes) {
  return {sizes[0], sizes[1], sizes[2], 0, 1, sizes[3], sizes[4], 1, 1.0f};
}

} // namespace

extern "C" {
void weft_mix_rows_forward(const long* sizes, double* p, const double* e, const double* x) {
  weft::reference::mix_rows_forward(mix(sizes), p, e, x, nullptr);
}
void weft_mix_rows_backward(const long* sizes, double* dx, double* de, const double* e, const double* dp,
                            const double* x) {
  weft::reference::mix_rows_backward(mix(sizes), dx, de, e, dp, x, nullptr);
}
/// scale: of q . k; 0: 1 / sqrt(E).
void weft_scored_attention_forward(const long* sizes, const double* table, double scale, double* out, double* lse,
                                   const double* q, const double* k, const double* v) {
  weft::reference::attention_forward(scored(sizes, table, scale), out, lse, q, k, v);
}
/// Adds to dtable.
void weft_scored_attention_backward(const long* sizes, const double* table, double scale, double* dtable, double* dq,
                                    double* dk, double* dv, const double* dout, const double* q, const double* k,
                                    const double* v) {
  weft::reference::Attention a = scored(sizes, table, scale);
  a.dtable = dtable;
  weft::reference::attention_backward(a, dq, dk, dv, dout, q, k, v);
}
void weft_factor_scores_forward(const long* sizes, double* a, const double* left, const double* right) {
  weft::reference::factor_scores_forward(scores(sizes), a, left, right);
}
void weft_factor_scores_backward(const long* sizes, double* dleft, double* dright, const double* da, const double* left,
                                 const double* right) {
  weft::reference::factor_scores_backward(scores(sizes), dleft, dright, da, left, right);
}
/// F = d + 1; released: w and c shared by the heads, and without the transpose.
void weft_hidden_scores_forward(const long* sizes, long released, double* a, const double* u, const double* bias,
                                const double* w, const double* c) {
  weft::reference::hidden_scores_forward(scores(sizes), {released != 0, released != 0}, a, u, bias, w, c);
}
void weft_hidden_scores_backward(const long* sizes, long released, double* du, double* dbias, double* dw, double* dc,
                                 const double* da, const double* u, const double* bias, const double* w) {
  weft::reference::hidden_scores_backward(scores(sizes), {released != 0, released != 0}, du, dbias, dw, dc, da, u, bias,
                                          w);
}
void weft_factor_rows_forward(const long* sizes, double* factors, const double* u, const double* bias, const double* w,
                              const double* c) {
  weft::reference::factor_rows_forward(factor(sizes), factors, u, bias, w, c);
}
void weft_factor_rows_backward(const long* sizes, double* du, double* dbias, double* dw, double* dc,
                               const double* dfactors, const double* u, const double* bias, const double* w) {
  weft::reference::factor_rows_backward(factor(sizes), du, dbias, dw, dc, dfactors, u, bias, w);
}
void weft_factored_scores_forward(const long* sizes, double* a, const double* alpha, const double* beta) {
  weft::reference::factored_scores_forward(factored(sizes), a, alpha, beta);
}
void weft_factored_scores_backward(const long* sizes, double* dalpha, double* dbeta, const double* da,
                                   const double* alpha, const double* beta) {
  weft::reference::factored_scores_backward(factored(sizes), dalpha, dbeta, da, alpha, beta);
}
void weft_mixture_forward(long n, double* mixed, const double* products, const double* synthetic, double number) {
  weft::reference::mixture_forward(n, mixed, products, synthetic, number);
}
void weft_mixture_backward(long n, double* dproducts, double* dsynthetic, double* dnumber, const double* dmixed,
                           const double* products, const double* synthetic, double number) {
  weft::reference::mixture_backward(n, dproducts, dsynthetic, dnumber, dmixed, products, synthetic, number);
}
}
