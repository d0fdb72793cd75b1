// The double-precision references as C functions of flat arrays, for tests/peers/reference.py: a Python test gives them
// the numbers of a peer. Here: attention over key lists.
#include "kernels/attention/attention_reference.hpp"

namespace {

/// begin: [N + 1], key lists of all queries behind each other; one list for all heads.
weft::reference::Attention attention(const long* sizes, const long* begin, const int* keys) {
  weft::reference::Attention a{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], {}};
  a.keys.resize(1);
  for (long i = 0; i < sizes[1]; ++i)
    a.keys[0].emplace_back(keys + begin[i], keys + begin[i + 1]);
  return a;
}

} // namespace

extern "C" {
/// sizes: B, N, H, E, Ev.
void weft_attention_forward(const long* sizes, const long* begin, const int* keys, double* out, double* lse,
                            const double* q, const double* k, const double* v) {
  weft::reference::attention_forward(attention(sizes, begin, keys), out, lse, q, k, v);
}
void weft_attention_backward(const long* sizes, const long* begin, const int* keys, double* dq, double* dk, double* dv,
                             const double* dout, const double* q, const double* k, const double* v) {
  weft::reference::attention_backward(attention(sizes, begin, keys), dq, dk, dv, dout, q, k, v);
}
}
