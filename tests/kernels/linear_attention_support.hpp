// Problems of linear attention: numbers, the reference's answer and the kernels' own, for the tests of both.
#pragma once
#include "kernels/linear_attention/random_features.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"

namespace weft::testing {

struct LinearProblem {
  const char* name;
  std::int64_t B, N, H, E, Ev;
  FeatureMap map = FeatureMap::elu;
  std::int64_t M = 0; ///< of given features
  bool causal = false, masked = false;
  float guard = 1e-6f;
  std::int64_t features() const { return map == FeatureMap::given ? M : E; }
  std::int64_t rows() const { return B * N * H; }
  std::int64_t stride() const { return H * (2 * E + Ev) + 3; }
  std::int64_t stride_out() const { return H * Ev + 1; }
  float floor() const { return map == FeatureMap::elu ? 0.0f : map == FeatureMap::relu ? 1e-3f : 0.05f; }
};

/// Some lengths are no multiple of anything, some are longer than a part of a sequence, some widths fill no group.
inline std::vector<LinearProblem> linear_problems() {
  std::vector<LinearProblem> all;
  const LinearProblem shapes[] = {{"one", 1, 1, 1, 1, 1},     {"small", 2, 5, 3, 3, 2},
                                  {"odd", 3, 70, 2, 9, 17},   {"wide", 1, 130, 2, 72, 40},
                                  {"long", 2, 530, 1, 8, 11}, {"largest", 1, 33, 1, 256, 256}};
  for (const LinearProblem& shape : shapes)
    for (const FeatureMap map : {FeatureMap::elu, FeatureMap::relu, FeatureMap::given})
      for (const bool causal : {false, true})
        for (const bool masked : {false, true}) {
          LinearProblem p = shape;
          p.map = map;
          p.M = 2 * shape.E + 67;
          p.causal = causal;
          p.masked = masked;
          p.guard = map == FeatureMap::elu ? 1e-6f : 0.0f;
          all.push_back(p);
        }
  return all;
}

inline std::string text(const LinearProblem& p) {
  const char* maps[] = {"elu", "relu", "given"};
  return std::string(p.name) + " " + maps[static_cast<int>(p.map)] + (p.causal ? " causal" : "") +
         (p.masked ? " masked" : "");
}

/// Sequence 0: some keys here and there; 1: none at all; 2: the first half.
inline std::vector<std::uint32_t> seen_of(const LinearProblem& p) {
  const std::int64_t words = (p.N + 31) / 32;
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(p.B * words), 0);
  for (std::int64_t b = 0; b < p.B; ++b)
    for (std::int64_t i = 0; i < 32 * words; ++i)
      if (i >= p.N || (b == 0 ? (i * 7 + 1) % 3 != 0 : b == 2 && 2 * i < p.N)) // bits behind N are not looked at
        seen[static_cast<std::size_t>(b * words + i / 32)] |= 1u << (i % 32);
  return seen;
}
inline bool real(const LinearProblem& p, const std::vector<std::uint32_t>& seen, std::int64_t b, std::int64_t i) {
  return !p.masked || (seen[static_cast<std::size_t>(b * ((p.N + 31) / 32) + i / 32)] >> (i % 32) & 1u) != 0;
}

/// Dense arrays, rounded to T: q, k (B, N, H, E), v, dout (B, N, H, Ev), and features (B, N, H, M) in fp32.
struct LinearNumbers {
  Doubles q, k, v, dout, phi_q, phi_k;
  std::vector<std::uint32_t> seen;
};

template <class T>
LinearNumbers linear_numbers(const LinearProblem& p, unsigned seed = 1) {
  LinearNumbers n;
  n.q = rounded<T>(random_doubles(p.rows() * p.E, seed));
  n.k = rounded<T>(random_doubles(p.rows() * p.E, seed + 1));
  n.v = rounded<T>(random_doubles(p.rows() * p.Ev, seed + 2));
  n.dout = rounded<T>(random_doubles(p.rows() * p.Ev, seed + 3));
  for (auto* phi : {&n.phi_q, &n.phi_k}) {
    const Doubles& x = phi == &n.phi_q ? n.q : n.k;
    phi->resize(static_cast<std::size_t>(p.rows() * p.features()));
    if (p.map == FeatureMap::given) {
      *phi = rounded<float>(random_doubles(p.rows() * p.M, seed + (phi == &n.phi_q ? 4 : 5)));
      for (double& f : *phi)
        f = std::abs(f) + static_cast<double>(p.floor());
      *phi = rounded<float>(*phi);
    } else {
      reference::features_forward(p.map, static_cast<double>(p.floor()), phi->data(), x.data(),
                                  static_cast<std::int64_t>(x.size()));
    }
  }
  n.seen = seen_of(p);
  return n;
}

/// dq and dk: of given features the products dphi (phi - floor), (B, N, H, M).
struct LinearResult {
  Doubles out, dq, dk, dv;
  bool clean = true; ///< nothing was written where nothing belongs
};

inline LinearResult linear_reference(const LinearProblem& p, const LinearNumbers& n) {
  reference::LinearAttention call{p.B, p.N, p.H, p.features(), p.Ev, p.causal, static_cast<double>(p.guard)};
  if (p.masked)
    call.seen = n.seen.data();
  LinearResult r;
  r.out.resize(n.v.size());
  r.dv.resize(n.v.size());
  r.dq.resize(n.phi_q.size());
  r.dk.resize(n.phi_q.size());
  reference::linear_attention_forward(call, r.out.data(), n.phi_q.data(), n.phi_k.data(), n.v.data());
  reference::linear_attention_backward(call, r.dq.data(), r.dk.data(), r.dv.data(), n.dout.data(), n.phi_q.data(),
                                       n.phi_k.data(), n.v.data());
  for (auto* d : {&r.dq, &r.dk}) {
    const Doubles &phi = d == &r.dq ? n.phi_q : n.phi_k, &x = d == &r.dq ? n.q : n.k;
    if (p.map == FeatureMap::given)
      for (std::size_t i = 0; i < phi.size(); ++i)
        (*d)[i] *= phi[i] - static_cast<double>(p.floor());
    else
      reference::features_backward(p.map, d->data(), d->data(), x.data(), static_cast<std::int64_t>(x.size()));
  }
  return r;
}

/// (B N, stride) with dense (B N, width) from column `at` on.
inline void lay(Doubles& to, const Doubles& dense, std::int64_t width, std::int64_t stride, std::int64_t at) {
  for (std::size_t row = 0; row < dense.size() / static_cast<std::size_t>(width); ++row)
    for (std::int64_t j = 0; j < width; ++j)
      to[row * static_cast<std::size_t>(stride) + static_cast<std::size_t>(at + j)] =
          dense[row * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)];
}
inline Doubles taken(const Doubles& from, std::int64_t width, std::int64_t stride, std::int64_t at) {
  Doubles out;
  for (std::size_t row = 0; row < from.size() / static_cast<std::size_t>(stride); ++row)
    for (std::int64_t j = 0; j < width; ++j)
      out.push_back(from[row * static_cast<std::size_t>(stride) + static_cast<std::size_t>(at + j)]);
  return out;
}
/// each(dense, padded): where every feature lies in (B, N, H, M) and in (B, H, N, padded M).
template <class Each>
void for_features(const LinearProblem& p, const Each& each) {
  const std::int64_t M = p.features(), Mp = padded_features(M);
  for (std::int64_t row = 0; row < p.rows(); ++row)
    for (std::int64_t m = 0; m < M; ++m) {
      const std::int64_t b = row / p.H / p.N, i = row / p.H % p.N, h = row % p.H;
      each(static_cast<std::size_t>(row * M + m), static_cast<std::size_t>(((b * p.H + h) * p.N + i) * Mp + m));
    }
}
inline Doubles to_features(const LinearProblem& p, const Doubles& dense) {
  Doubles padded(static_cast<std::size_t>(p.rows() * padded_features(p.features())), 0);
  for_features(p, [&](std::size_t in_dense, std::size_t in_padded) { padded[in_padded] = dense[in_dense]; });
  return padded;
}
inline Doubles from_features(const LinearProblem& p, const Doubles& padded) {
  Doubles dense(static_cast<std::size_t>(p.rows() * p.features()), 0);
  for_features(p, [&](std::size_t in_dense, std::size_t in_padded) { dense[in_dense] = padded[in_padded]; });
  return dense;
}

template <class T>
LinearResult linear_kernels(const LinearProblem& p, const LinearNumbers& n) {
  using test::Guarded;
  using test::stored;
  const std::int64_t wide = p.stride(), tall = p.stride_out(), BN = p.B * p.N, HE = p.H * p.E, HEv = p.H * p.Ev;
  const double gap = static_cast<double>(load(Guarded<T>::sentinel()));
  Doubles rows(static_cast<std::size_t>(BN * wide), 9), errors(static_cast<std::size_t>(BN * tall), 9);
  lay(rows, n.q, HE, wide, 0);
  lay(rows, n.k, HE, wide, HE);
  lay(rows, n.v, HEv, wide, 2 * HE);
  lay(errors, n.dout, HEv, tall, 0);
  LinearAttention call{{p.B, p.N, p.H, p.E, p.Ev, wide, tall}, p.map, p.causal, p.guard, p.floor(), p.M};
  Buffer<std::uint32_t> seen(static_cast<std::int64_t>(n.seen.size()), "test");
  copy_to_device(seen.data(), n.seen.data(), seen.bytes());
  if (p.masked)
    call.seen = seen.data();
  Guarded<T> qkv(stored<T>(rows)), dout(stored<T>(errors)), out(errors.size()), d(rows.size());
  Guarded<float> denominators(static_cast<std::size_t>(p.rows())),
      workspace(static_cast<std::size_t>(linear_attention_workspace(call)));
  const bool given = p.map == FeatureMap::given;
  Guarded<float> phi_q(given ? stored<float>(to_features(p, n.phi_q)) : std::vector<float>(1)),
      phi_k(given ? stored<float>(to_features(p, n.phi_k)) : std::vector<float>(1));
  const T* q = qkv.data();
  linear_attention_forward<T>(call, out.data(), denominators.data(), q, q + HE, q + 2 * HE, phi_q.data(), phi_k.data(),
                              workspace.data());
  linear_attention_backward<T>(call, d.data(), d.data() + HE, d.data() + 2 * HE, dout.data(), q, q + HE, q + 2 * HE,
                               out.data(), denominators.data(), phi_q.data(), phi_k.data(), workspace.data());
  const Doubles o = test::widened(out.get()), dqkv = test::widened(d.get());
  LinearResult r{taken(o, HEv, tall, 0), taken(dqkv, HE, wide, 0), taken(dqkv, HE, wide, HE),
                 taken(dqkv, HEv, wide, 2 * HE)};
  if (given) {
    for (const double x : r.dq)
      r.clean = r.clean && x == gap;
    r.dq = from_features(p, test::widened(phi_q.get()));
    r.dk = from_features(p, test::widened(phi_k.get()));
  }
  for (const double x : taken(o, 1, tall, HEv))
    r.clean = r.clean && x == gap;
  for (const double x : taken(dqkv, 3, wide, 2 * HE + HEv))
    r.clean = r.clean && x == gap;
  r.clean = r.clean && qkv.guards_survive() && dout.guards_survive() && out.guards_survive() && d.guards_survive() &&
            denominators.guards_survive() && workspace.guards_survive() && phi_q.guards_survive() &&
            phi_k.guards_survive() && test::same_bits(qkv.get(), stored<T>(rows)) &&
            test::same_bits(dout.get(), stored<T>(errors));
  return r;
}

} // namespace weft::testing
