// Sinkhorn's normalisation with noise (Tay, Bahri, Yang, Metzler, Juan 2020, arXiv:2002.11296, section 3.1; Sinkhorn
// 1964; Mena et al. 2018, arXiv:1802.08665, for noise and temperature): from logits R of n blocks over n blocks to a
// matrix P whose rows and columns sum to one,
//   X = (R + G) / tau,   G = -log(-log U) in training where there is noise,
//   n_iters times { X -= logsumexp over a row;  X -= logsumexp over a column },   P = exp(X)
// in the log domain. A step takes one number from every row or column, so the two vectors of all that was taken are
// kept instead of the matrices: X_t = X - u_t - v_t with
//   u_t[i] = logsumexp_k (X[i,k] - v_{t-1}[k]),   v_t[k] = logsumexp_i (X[i,k] - u_t[i]),   v_0 = 0
// Backward, through the unrolled steps: of Y = X - logsumexp(X) along an axis, dX = dY - exp(Y) sum(dY) along it.
// A block that is not alive (padding throughout) has no row and no column: its entries of P are 0, its logits get no
// gradient. Every sum has one order, fixed by the shape.
#pragma once
#include "kernels/common/types.hpp"
#include "kernels/random/dropout.hpp"

namespace weft {

struct SinkhornShape {
  std::int64_t sequences, heads; ///< S, H
  std::int64_t blocks;           ///< n, of this micro-batch
  std::int64_t most;             ///< M, blocks of the full length: logits of a row and head
  std::int64_t iterations;       ///< 1 or more
  float temperature;             ///< tau, above 0

  std::int64_t entries() const { return sequences * heads * blocks * blocks; }
  std::int64_t potentials() const { return sequences * heads * 2 * iterations * blocks; }
};

/// Overwrites p, x (S, H, n, n) and potentials (S, H, 2 iterations, n): u_1, v_1, u_2, ... logits (S, n, H, M), of
/// which the first n of a row count. alive (S, n), 0: not; null: all are. noise: where the random numbers come from,
/// element (h M + i) M + k; its probability does not count. Null: no noise.
void sinkhorn_forward(const SinkhornShape& shape, float* p, float* x, float* potentials, const float* logits,
                      const unsigned char* alive, const Dropout* noise);

/// Overwrites dlogits (S, n, H, M), zeros from column n on; dp (S, H, n, n) is used up. p, x, potentials as forward
/// left them.
template <class T>
void sinkhorn_backward(const SinkhornShape& shape, T* dlogits, float* dp, const float* p, const float* x,
                       const float* potentials);

namespace reference {
/// One matrix (n, n) of logits with noise added, all blocks alive but those with alive[i] = 0 (null: all). Overwrites
/// p.
void sinkhorn_forward(double* p, const double* logits, std::int64_t n, std::int64_t iterations, double temperature,
                      const unsigned char* alive = nullptr);
/// Overwrites dlogits.
void sinkhorn_backward(double* dlogits, const double* dp, const double* logits, std::int64_t n, std::int64_t iterations,
                       double temperature, const unsigned char* alive = nullptr);
} // namespace reference

} // namespace weft
