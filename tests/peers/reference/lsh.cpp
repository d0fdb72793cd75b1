// As in attention.cpp: attention over hash buckets with keys made of the queries.
#include "kernels/lsh/keys.hpp"
#include "kernels/lsh/lsh_attention.hpp"

namespace {

/// sizes: S, N, H, E, Ev, R, chunk, then as 0 or 1: causal, cyclic, other_buckets, duplicates, self_last,
/// mean_of_rounds.
weft::reference::Lsh lsh_of(const long* sizes, double scale, const int* buckets) {
  weft::LshRule rule;
  rule.rounds = sizes[5];
  rule.chunk = sizes[6];
  rule.scale = static_cast<float>(scale);
  rule.causal = sizes[7] != 0;
  rule.cyclic = sizes[8] != 0;
  rule.other_buckets = sizes[9] != 0;
  rule.duplicates = sizes[10] != 0;
  rule.self_last = sizes[11] != 0;
  rule.mean_of_rounds = sizes[12] != 0;
  return {sizes[0],
          sizes[1],
          sizes[2],
          sizes[3],
          sizes[4],
          rule,
          std::vector<int>(buckets, buckets + sizes[0] * sizes[2] * sizes[5] * sizes[1]),
          {}};
}

std::vector<double> keys_of(const weft::reference::Lsh& lsh, long kind, const double* q) {
  const std::int64_t rows = lsh.sequences * lsh.length * lsh.heads;
  std::vector<double> k(static_cast<std::size_t>(rows * lsh.key_width));
  weft::reference::shared_keys_forward(static_cast<weft::SharedKeys>(kind), k.data(), q, rows, lsh.key_width);
  return k;
}

} // namespace

extern "C" {
/// kind: 0 unit, 1 trax, 2 raw. scale is exact where it is a power of two.
void weft_lsh_forward(const long* sizes, double scale, long kind, const int* buckets, double* out, const double* q,
                      const double* v) {
  const weft::reference::Lsh lsh = lsh_of(sizes, scale, buckets);
  weft::reference::lsh_attention_forward(lsh, out, q, keys_of(lsh, kind, q).data(), v);
}
/// dq: of queries and keys together.
void weft_lsh_backward(const long* sizes, double scale, long kind, const int* buckets, double* dq, double* dv,
                       const double* dout, const double* q, const double* v) {
  const weft::reference::Lsh lsh = lsh_of(sizes, scale, buckets);
  const std::vector<double> k = keys_of(lsh, kind, q);
  std::vector<double> dk(k.size());
  weft::reference::lsh_attention_backward(lsh, dq, dk.data(), dv, dout, q, k.data(), v);
  weft::reference::shared_keys_backward(static_cast<weft::SharedKeys>(kind), dq, dk.data(), q,
                                        lsh.sequences * lsh.length * lsh.heads, lsh.key_width);
}
}
