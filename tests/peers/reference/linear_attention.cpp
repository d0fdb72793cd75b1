// Linear attention and its features for tests/peers/reference.py.
#include "kernels/linear_attention/random_features.hpp"

namespace {

/// sizes: B, N, H, M, Ev, causal.
weft::reference::LinearAttention call_of(const long* sizes, double guard, const unsigned* seen) {
  return {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5] != 0, guard, seen};
}
weft::FeatureMap map_of(long relu) { return relu ? weft::FeatureMap::relu : weft::FeatureMap::elu; }
/// 0: queries, 1: keys, 2: causal keys.
weft::FeaturesOf kind_of(long kind) { return static_cast<weft::FeaturesOf>(kind); }

} // namespace

extern "C" {
void weft_linear_attention_forward(const long* sizes, double guard, const unsigned* seen, double* out,
                                   const double* phi_q, const double* phi_k, const double* v) {
  weft::reference::linear_attention_forward(call_of(sizes, guard, seen), out, phi_q, phi_k, v);
}
void weft_linear_attention_backward(const long* sizes, double guard, const unsigned* seen, double* dphi_q,
                                    double* dphi_k, double* dv, const double* dout, const double* phi_q,
                                    const double* phi_k, const double* v) {
  weft::reference::linear_attention_backward(call_of(sizes, guard, seen), dphi_q, dphi_k, dv, dout, phi_q, phi_k, v);
}
void weft_features_forward(long relu, double floor, double* phi, const double* x, long n) {
  weft::reference::features_forward(map_of(relu), floor, phi, x, n);
}
void weft_features_backward(long relu, double* dx, const double* dphi, const double* x, long n) {
  weft::reference::features_backward(map_of(relu), dx, dphi, x, n);
}
/// sizes: B, N, H, E, M.
void weft_random_features_forward(const long* sizes, long kind, double epsilon, double* phi, double* stabilisers,
                                  const double* x, const double* omega, const unsigned* seen) {
  weft::reference::random_features_stabilisers(stabilisers, kind_of(kind), x, omega, sizes[0], sizes[1], sizes[2],
                                               sizes[3], sizes[4], seen);
  weft::reference::random_features_forward(phi, x, omega, stabilisers, sizes[0] * sizes[1] * sizes[2], sizes[3],
                                           sizes[4], epsilon);
}
void weft_random_features_backward(const long* sizes, double epsilon, double* dx, const double* dphi, const double* phi,
                                   const double* x, const double* omega) {
  weft::reference::random_features_backward(dx, dphi, phi, x, omega, sizes[0] * sizes[1] * sizes[2], sizes[3], sizes[4],
                                            epsilon);
}
}
