#include "commands/bench_operations.hpp"
#include "commands/bench_call.hpp"
#include "kernels/ema/ema.hpp"
#include "kernels/linear_attention/random_features.hpp"
#include "kernels/lsh/hash.hpp"
#include "kernels/lstm/lstm.hpp"
#include "kernels/recurrence/diagonal.hpp"
#include "kernels/recurrence/s4d.hpp"
#include "kernels/sinkhorn/blocks.hpp"
#include "kernels/sinkhorn/sinkhorn.hpp"
#include <fmt/core.h>

namespace weft {

namespace {

template <class T>
Buffer<T> room(std::int64_t n) {
  Buffer<T> out(n, "bench");
  device_zero(out.data(), out.bytes());
  return out;
}
double bytes_of(std::int64_t n, std::size_t cell) { return static_cast<double>(n) * static_cast<double>(cell); }

/// S sequences of N positions, H heads of E.
struct Sizes {
  std::int64_t S, N, H, E;
  std::int64_t rows() const { return S * N; }
  std::int64_t width() const { return H * E; }
  AttentionShape attention() const { return {S, N, H, E, E, 3 * H * E, H * E}; }
};

template <class T>
void linear_attention_of(const Bench& bench, const Sizes& s) {
  const std::int64_t row = s.rows() * s.width();
  Buffer<T> qkv = numbers<T>(3 * row), dqkv = room<T>(3 * row), out = room<T>(row), dout = numbers<T>(row);
  const T *q = qkv.data(), *k = q + s.width(), *v = k + s.width();
  T *dq = dqkv.data(), *dk = dq + s.width(), *dv = dk + s.width();
  Buffer<float> denominators = room<float>(s.rows() * s.H);
  for (const bool causal : {false, true}) {
    const LinearAttention call{s.attention(), FeatureMap::elu, causal, 1e-6f};
    Buffer<float> workspace = room<float>(linear_attention_workspace(call));
    const char* what = causal ? "elu, causal" : "elu";
    bench("linear forward", what, linear_attention_work(call, false), bytes_of(4 * row, sizeof(T)), [&] {
      linear_attention_forward(call, out.data(), denominators.data(), q, k, v, nullptr, nullptr, workspace.data());
    });
    bench("linear backward", what, linear_attention_work(call, true), bytes_of(8 * row, sizeof(T)), [&] {
      linear_attention_backward(call, dq, dk, dv, dout.data(), q, k, v, out.data(), denominators.data(), nullptr,
                                nullptr, workspace.data());
    });
  }
  const std::int64_t M = default_features(s.E);
  const RandomFeatures random{M, s.E, 1e-6f};
  const AttentionShape shape = s.attention();
  Buffer<float> omega = numbers<float>(random.matrix()), phi = room<float>(s.rows() * s.H * padded_features(M));
  Buffer<float> workspace = room<float>(random_features_workspace(shape));
  const double work = 2 * static_cast<double>(s.rows() * s.H * s.E * M);
  const double bytes = bytes_of(row, sizeof(T)) + static_cast<double>(phi.bytes());
  const std::string what = fmt::format("M = {}", M);
  bench("features forward", what, work, bytes, [&] {
    random_features_forward(random, FeaturesOf::queries, shape, phi.data(), q, omega.data(), nullptr, workspace.data());
  });
  bench("features backward", what, work, bytes + bytes_of(row, sizeof(T)), [&] {
    random_features_backward(random, FeaturesOf::queries, shape, dq, phi.data(), q, omega.data(), nullptr);
  });
}

template <class T>
void sinkhorn_of(const Bench& bench, const Sizes& s) {
  const BlockShape shape{s.S, s.N, 64};
  const std::int64_t n = shape.blocks(), row = s.rows() * s.width();
  const HeadRows lie{s.H, s.E, s.N, s.width(), s.N, s.width()};
  Buffer<T> rows = numbers<T>(row), sorted = room<T>(row);
  Buffer<float> p = numbers<float>(s.S * s.H * n * n), dp = room<float>(s.S * s.H * n * n);
  const double work = 2 * static_cast<double>(row * n), bytes = bytes_of(2 * row, sizeof(T));
  const std::string what = fmt::format("{} blocks of 64", n);
  bench("mixture forward", what, work, bytes,
        [&] { mix_blocks_forward(shape, lie, sorted.data(), rows.data(), p.data(), nullptr); });
  device_zero(p.data(), p.bytes()); // its result is added to, and must stay finite
  bench("mixture backward rows", what, work, bytes + bytes_of(row, sizeof(T)),
        [&] { mix_blocks_backward_rows(shape, lie, rows.data(), sorted.data(), p.data(), nullptr); });
  bench("mixture backward weights", what, work, bytes, [&] {
    mix_blocks_backward_weights(shape, lie, dp.data(), sorted.data(), rows.data(), nullptr, Into::overwrite);
  });
  const SinkhornShape square{s.S, s.H, n, n, 8, 0.75f};
  Buffer<float> logits = numbers<float>(square.entries()), x = room<float>(square.entries());
  Buffer<float> potentials = room<float>(square.potentials());
  bench("sinkhorn forward", what, 0, bytes_of(3 * square.entries(), sizeof(float)),
        [&] { sinkhorn_forward(square, p.data(), x.data(), potentials.data(), logits.data(), nullptr, nullptr); });
}

template <class T>
void hashing_of(const Bench& bench, const Sizes& s) {
  LshHash hash;
  hash.rounds = 4;
  hash.factors[0] = static_cast<int>(std::max<std::int64_t>(2, s.N / 64));
  const AttentionShape shape{s.S, s.N, s.H, s.E, s.E, s.width(), s.width()};
  const std::int64_t places = s.rows() * s.H * hash.rounds;
  Buffer<T> q = numbers<T>(s.rows() * s.width());
  Buffer<float> projections = room<float>(s.H * hash.rounds * s.E * hash.columns());
  lsh_projections(projections.data(), hash, s.H, s.E);
  Buffer<int> buckets(places, "bench"), order(places, "bench"), chunk_of(places, "bench"), real(s.S, "bench");
  Buffer<int> workspace(lsh_sort_workspace(shape, hash.rounds, hash.buckets()), "bench");
  const std::string what = fmt::format("4 x {} buckets", hash.buckets());
  bench("hashes", what, static_cast<double>(places * s.E * hash.buckets()),
        static_cast<double>(q.bytes() + buckets.bytes()),
        [&] { lsh_buckets(buckets.data(), hash, shape, q.data(), projections.data(), nullptr); });
  bench("sort by hash", what, 0, static_cast<double>(3 * buckets.bytes()), [&] {
    lsh_sort(order.data(), chunk_of.data(), real.data(), buckets.data(), shape, hash.rounds, hash.buckets(), 64,
             workspace.data());
  });
}

template <class T>
void average_of(const Bench& bench, const Sizes& s) {
  const std::int64_t D = s.width(), row = s.rows() * D;
  Buffer<T> x = numbers<T>(row), out = room<T>(row), dx = room<T>(row);
  for (const std::int64_t directions : {1, 2}) {
    const EmaShape shape{s.S, s.N, D, 16, directions};
    Buffer<float> tensors = numbers<float>(4 * directions * D * 16 + D), gradients = room<float>(tensors.size());
    Buffer<float> workspace = room<float>(ema_workspace(shape));
    const auto parts = [&](auto* first) {
      const std::int64_t n = directions * D * 16;
      return EmaTensors<decltype(first)>{first, first + n, first + 2 * n, first + 3 * n, first + 4 * n};
    };
    const EmaTensors<const float*> numbers = parts(static_cast<const float*>(tensors.data()));
    const std::string what = fmt::format("16 states, {} direction{}", directions, directions == 1 ? "" : "s");
    bench("average forward", what, ema_work(shape, false), bytes_of(2 * row, sizeof(T)),
          [&] { ema_forward(shape, out.data(), x.data(), nullptr, numbers, workspace.data()); });
    bench("average backward", what, ema_work(shape, true), bytes_of(3 * row, sizeof(T)), [&] {
      ema_backward(shape, dx.data(), Into::overwrite, parts(gradients.data()), out.data(), x.data(), nullptr, numbers,
                   workspace.data());
    });
  }
}

template <class T>
void recurrence_of(const Bench& bench, const Sizes& s) {
  const std::int64_t P = s.width();
  const DiagonalShape diagonal{s.S, s.N, P, 2};
  const std::int64_t in = s.rows() * diagonal.inputs(), out = s.rows() * diagonal.outputs();
  Buffer<T> u = numbers<T>(in), du = room<T>(in), h = room<T>(out);
  Buffer<float> tensors = numbers<float>(3 * P), gradients = room<float>(3 * P);
  Buffer<float> scan = room<float>(diagonal_workspace(diagonal));
  const DiagonalTensors<const float*> of{tensors.data(), tensors.data() + P, tensors.data() + 2 * P};
  const std::string what = fmt::format("{} complex states, 2 directions", P);
  bench("recurrence forward", what, diagonal_work(diagonal, false), bytes_of(in + out, sizeof(T)),
        [&] { diagonal_forward(diagonal, h.data(), u.data(), nullptr, of, scan.data()); });
  bench("recurrence backward", what, diagonal_work(diagonal, true), bytes_of(2 * in + out, sizeof(T)), [&] {
    diagonal_backward(diagonal, du.data(), {gradients.data(), gradients.data() + P, gradients.data() + 2 * P}, h.data(),
                      u.data(), nullptr, of, scan.data());
  });
}

template <class T>
void state_space_of(const Bench& bench, const Sizes& s) {
  constexpr std::int64_t M = 32;
  const std::int64_t D = s.width(), row = s.rows() * D;
  Buffer<T> x = numbers<T>(row), y = room<T>(row), dx = room<T>(row);
  for (const std::int64_t directions : {1, 2}) {
    const S4dShape shape{s.S, s.N, D, M, directions};
    Buffer<float> tensors = numbers<float>((2 + 2 * directions) * D * M + 2 * D),
                  gradients = room<float>(tensors.size());
    Buffer<float> workspace = room<float>(s4d_workspace(shape));
    const auto parts = [&](auto* first) {
      const std::int64_t n = D * M;
      auto* const c = first + 2 * n;
      return S4dTensors<decltype(first)>{first, first + n, c + 2 * directions * n, c, c + 2 * directions * n + D};
    };
    const S4dTensors<const float*> numbers = parts(static_cast<const float*>(tensors.data()));
    const std::string what = fmt::format("{} modes, {} direction{}", M, directions, directions == 1 ? "" : "s");
    bench("state space forward", what, s4d_work(shape, false), bytes_of(2 * row, sizeof(T)),
          [&] { s4d_forward(shape, y.data(), x.data(), nullptr, numbers, workspace.data()); });
    bench("state space backward", what, s4d_work(shape, true), bytes_of(3 * row, sizeof(T)), [&] {
      s4d_backward(shape, dx.data(), parts(gradients.data()), y.data(), x.data(), nullptr, numbers, workspace.data());
    });
  }
}

template <class T>
void lstm_of(const Bench& bench, const Sizes& s) {
  const LstmShape lstm{s.S, s.N, s.width()};
  const std::int64_t states = s.rows() * 2 * lstm.hidden;
  Buffer<T> gates = numbers<T>(4 * states), outputs = room<T>(states);
  Buffer<float> cells = room<float>(states), workspace = room<float>(lstm_workspace(lstm));
  Buffer<float> weight = room<float>(8 * lstm.hidden * lstm.hidden), bias = room<float>(8 * lstm.hidden);
  Buffer<std::int32_t> lengths(s.S, "bench"), order(s.S, "bench");
  lstm_sequences(lengths.data(), order.data(), nullptr, lstm);
  const LstmSequences sequences{lengths.data(), order.data()};
  const std::string wide = fmt::format("{} states, 2 directions", lstm.hidden);
  bench("lstm forward", wide, lstm_work(lstm), bytes_of(9 * states, sizeof(T)) + bytes_of(states, sizeof(float)), [&] {
    lstm_forward(lstm, outputs.data(), gates.data(), cells.data(), weight.data(), bias.data(), sequences,
                 workspace.data());
  });
  bench("lstm backward", wide, lstm_work(lstm), bytes_of(9 * states, sizeof(T)) + bytes_of(states, sizeof(float)), [&] {
    lstm_backward(lstm, gates.data(), outputs.data(), cells.data(), weight.data(), sequences, workspace.data());
  });
}

template <class T>
void operations_of(Console& console, const Machine& machine, bool quick, const std::vector<std::int64_t>& lengths,
                   std::vector<Figure>& figures) {
  const int repeats = quick ? 5 : 7;
  for (const std::int64_t N : lengths) {
    const Sizes s = quick ? Sizes{1, N, 2, 32} : Sizes{1, N, 4, 64};
    const Bench bench{console, machine, figures, precision_name<T>(), s.N, s.width(), repeats};
    linear_attention_of<T>(bench, s);
    sinkhorn_of<T>(bench, s);
    hashing_of<T>(bench, s);
    average_of<T>(bench, s);
    recurrence_of<T>(bench, s);
    state_space_of<T>(bench, s);
  }
  const Sizes s = quick ? Sizes{2, 64, 1, 32} : Sizes{8, 1024, 1, 128};
  lstm_of<T>({console, machine, figures, precision_name<T>(), s.N, s.width(), repeats}, s);
}

} // namespace

void bench_operations(Console& console, const Machine& machine, bool quick, const std::vector<std::int64_t>& lengths,
                      std::vector<Figure>& figures) {
  figures_heading(console, "operations of models");
  const std::vector<std::int64_t> all = lengths.empty() ? std::vector<std::int64_t>{quick ? 256 : 4096} : lengths;
  operations_of<float>(console, machine, quick, all, figures);
  operations_of<bf16>(console, machine, quick, all, figures);
}

} // namespace weft
