// References of Sinkhorn attention and of the released sets as C functions (tests/peers/reference.py).
#include "kernels/sinkhorn/sinkhorn.hpp"
#include "kernels/attention/released_sets.hpp"
#include "kernels/sinkhorn/blocks.hpp"
#include "kernels/sinkhorn/summed.hpp"

namespace {

using weft::ReleasedSets;

/// sizes: S, N, H, E, Ev, b.
weft::reference::ReleasedLocal local(const long* s, bool tail) {
  return {s[0], s[2], s[3], s[4], tail ? ReleasedSets::with_tail(s[1], s[5]) : ReleasedSets::without_tail(s[1], s[5])};
}
weft::SummedShape summed(const long* s) { return {s[0], s[1], s[5], s[2], s[3], s[4], 0}; }

} // namespace

extern "C" {
void weft_sinkhorn_forward(double* p, const double* logits, long n, long iterations, double temperature) {
  weft::reference::sinkhorn_forward(p, logits, n, iterations, temperature);
}
void weft_sinkhorn_backward(double* dlogits, const double* dp, const double* logits, long n, long iterations,
                            double temperature) {
  weft::reference::sinkhorn_backward(dlogits, dp, logits, n, iterations, temperature);
}

/// sizes: S, N, b, H, width.
void weft_mix_blocks_forward(const long* s, double* sorted, const double* rows, const double* p) {
  weft::reference::mix_blocks_forward({s[0], s[1], s[2]}, s[3], s[4], sorted, rows, p, nullptr);
}
/// Adds to drows and dp.
void weft_mix_blocks_backward(const long* s, double* drows, double* dp, const double* dsorted, const double* rows,
                              const double* p) {
  weft::reference::mix_blocks_backward({s[0], s[1], s[2]}, s[3], s[4], drows, dp, dsorted, rows, p, nullptr);
}

/// Local (sinkhorn 0) or Sinkhorn (1) attention in its released form.
void weft_released_forward(const long* sizes, long sinkhorn, double* out, const double* q, const double* k,
                           const double* v, const std::uint32_t* seen) {
  weft::reference::released_local_forward(local(sizes, sinkhorn == 0), out, q, k, v, seen);
  if (sinkhorn != 0)
    weft::reference::summed_forward(summed(sizes), out, q, k, v, seen);
}
void weft_released_backward(const long* sizes, long sinkhorn, double* dq, double* dk, double* dv, const double* dout,
                            const double* q, const double* k, const double* v, const std::uint32_t* seen) {
  weft::reference::released_local_backward(local(sizes, sinkhorn == 0), dq, dk, dv, dout, q, k, v, seen);
  if (sinkhorn != 0)
    weft::reference::summed_backward(summed(sizes), dq, dk, dv, dout, q, k, v, seen);
}
}
