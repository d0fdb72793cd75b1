// Patterns and calls that the attention tests share.
#pragma once
#include "kernels/attention/attention.hpp"
#include "kernels/attention/attention_reference.hpp"
#include "tests/kernels/support.hpp"
#include <functional>
#include <string>
#include <vector>

namespace weft::test {

/// A named list of head groups for every length.
struct PatternCase {
  std::string name;
  std::function<std::vector<Pattern>(int length)> groups;
};

inline std::vector<PatternCase> pattern_cases() {
  const auto summaries = [](int n, int l, int c, auto build) {
    std::vector<Pattern> groups;
    for (int g = 0; g < summary_groups(l, c); ++g)
      groups.push_back(build(n, l, c, g));
    return groups;
  };
  return {
      {"dense", [](int n) { return std::vector{dense(n)}; }},
      {"local", [](int n) { return std::vector{local(n, 20)}; }},
      {"residues",
       [](int n) {
         return std::vector{strided_residues(n, 7), strided_residues(n, 24)};
       }},
      {"strided",
       [](int n) {
         return std::vector{strided_merged(n, 12), strided_merged(n, 40)};
       }},
      {"block", [](int n) { return std::vector{fixed_block(n, 33)}; }},
      {"summary", [=](int n) { return summaries(n, 16, 8, fixed_summary); }},
      {"fixed", [=](int n) { return summaries(n, 24, 8, fixed_merged); }},
      {"mixed",
       [](int n) {
         return std::vector{strided_merged(n, 10), local(n, 3), fixed_summary(n, 50, 5, 1)};
       }},
  };
}

/// The causal ones above and those that are not.
inline std::vector<PatternCase> all_pattern_cases() {
  std::vector<PatternCase> cases = pattern_cases();
  cases.push_back({"both ways", [](int n) {
                     return std::vector{block_bidirectional(n, 8), block_bidirectional(n, 45), dense_bidirectional(n)};
                   }});
  cases.push_back({"both ways, residues", [](int n) {
                     return std::vector{residues_bidirectional(n, 7), residues_bidirectional(n, n / 20 + 1)};
                   }});
  cases.push_back({"sorted blocks", [](int n) {
                     const int l = n < 60 ? 1 : 20, half = n / 2 / l * l; // the sequence, the rest is behind it
                     return half == 0
                                ? std::vector{dense_bidirectional(n)}
                                : std::vector{sorted_blocks(half, l, n - half), sorted_blocks(half, l, n - half, 1)};
                   }});
  cases.push_back({"both ways, dense", [](int n) { return std::vector{dense_bidirectional(n)}; }});
  return cases;
}

inline std::vector<AttentionPath> host_paths() {
  return {AttentionPath::avx2, AttentionPath::avx512, AttentionPath::avx512_bf16, AttentionPath::avx512_emulated,
          AttentionPath::avx512_bf16_emulated};
}
inline std::string path_name(AttentionPath path) {
  constexpr const char* names[] = {
      "best", "portable", "avx2", "avx512", "avx512_bf16", "avx512_emulated", "avx512_bf16_emulated"};
  return names[static_cast<int>(path)];
}

/// Inputs of one call with rows of odd strides (so that gaps must survive), in storage type T.
template <class T>
class AttentionCase {
 public:
  AttentionCase(const std::vector<Pattern>& groups, std::int64_t batch, std::int64_t heads, std::int64_t key_width,
                std::int64_t value_width, unsigned seed)
      : plan(groups, static_cast<int>(heads)) {
    const std::int64_t n = plan.length();
    shape = {
        batch, n, heads, key_width, value_width, heads * (2 * key_width + value_width) + 3, heads * value_width + 5};
    reference = {batch, n, heads, key_width, value_width, {}};
    for (const Pattern& pattern : groups) {
      reference.keys.emplace_back();
      for (int i = 0; i < n; ++i)
        reference.keys.back().push_back(keys_of(pattern, i));
    }
    const std::size_t keys = key_numbers(), values = value_numbers();
    q = rounded<T>(random_normal(keys, seed));
    k = rounded<T>(random_normal(keys, seed + 1));
    v = rounded<T>(random_normal(values, seed + 2));
    dout = rounded<T>(random_normal(values, seed + 3));
  }
  std::size_t key_numbers() const {
    return static_cast<std::size_t>(shape.batch * shape.length * shape.heads * shape.key_width);
  }
  std::size_t value_numbers() const {
    return static_cast<std::size_t>(shape.batch * shape.length * shape.heads * shape.value_width);
  }
  std::size_t rows() const { return static_cast<std::size_t>(shape.batch * shape.length); }

  /// Key bits: seen(b, i). Bits past N are set: nobody may count them.
  template <class Seen>
  void see(const Seen& seen) {
    const std::int64_t words = (shape.length + 31) / 32;
    bits.assign(static_cast<std::size_t>(shape.batch * words), ~0u);
    reference.seen.assign(rows(), true);
    for (int b = 0; b < shape.batch; ++b)
      for (int i = 0; i < shape.length; ++i)
        if (!seen(b, i)) {
          bits[static_cast<std::size_t>(b * words + i / 32)] &= ~(1u << i % 32);
          reference.seen[static_cast<std::size_t>(b * shape.length + i)] = false;
        }
  }
  void drop(const Dropout& dropout, std::int64_t stride = 0) {
    reference.dropout = dropout;
    reference.dropout_stride = stride;
  }

  AttentionPlan plan;
  AttentionShape shape;
  weft::reference::Attention reference;
  std::vector<std::uint32_t> bits;   ///< empty: none are given
  std::vector<double> q, k, v, dout; ///< dense, exact in T
};

/// What a call left behind, and whether it left alone what is not its own.
struct AttentionResult {
  std::vector<double> out, lse, dq, dk, dv;
  bool clean = true; ///< guards and gaps between rows still hold their sentinels
};

template <class T>
AttentionResult run_attention(AttentionCase<T>& c, AttentionPath path = AttentionPath::best, bool backward = true) {
  const AttentionShape& s = c.shape;
  const std::size_t stride = static_cast<std::size_t>(s.row_stride_qkv);
  const std::size_t stride_out = static_cast<std::size_t>(s.row_stride_out);
  const std::size_t wk = static_cast<std::size_t>(s.heads * s.key_width);
  const std::size_t wv = static_cast<std::size_t>(s.heads * s.value_width);
  // dense rows -> rows at a stride, at a column
  const auto put = [&](std::vector<T>& to, std::size_t row_stride, std::size_t column, const std::vector<double>& from,
                       std::size_t width) {
    for (std::size_t r = 0; r < c.rows(); ++r)
      for (std::size_t e = 0; e < width; ++e)
        to[r * row_stride + column + e] = store<T>(static_cast<float>(from[r * width + e]));
  };
  const auto take = [&](const std::vector<T>& from, std::size_t row_stride, std::size_t column, std::size_t width) {
    std::vector<double> to;
    for (std::size_t r = 0; r < c.rows(); ++r)
      for (std::size_t e = 0; e < width; ++e)
        to.push_back(load(from[r * row_stride + column + e]));
    return to;
  };
  const auto gaps_survive = [&](const std::vector<T>& x, std::size_t row_stride, std::size_t used) {
    for (std::size_t r = 0; r < c.rows(); ++r)
      for (std::size_t e = used; e < row_stride; ++e)
        if (!Guarded<T>::is_sentinel(x[r * row_stride + e]))
          return false;
    return true;
  };

  std::vector<T> inputs(c.rows() * stride, Guarded<T>::sentinel()), slopes(c.rows() * stride_out);
  put(inputs, stride, 0, c.q, wk);
  put(inputs, stride, wk, c.k, wk);
  put(inputs, stride, 2 * wk, c.v, wv);
  put(slopes, stride_out, 0, c.dout, wv);
  Guarded<T> qkv(inputs), dqkv(c.rows() * stride), dout(slopes), out(c.rows() * stride_out);
  Guarded<float> lse(static_cast<std::size_t>(s.batch * s.heads * s.length));
  Guarded<float> forward_work(attention_workspace_bytes(c.plan, s, false) / sizeof(float));
  Guarded<float> backward_work(attention_workspace_bytes(c.plan, s, true) / sizeof(float));

  Buffer<std::uint32_t> bits(static_cast<std::int64_t>(c.bits.size()), "test");
  AttentionExtras extras{nullptr, c.reference.dropout, c.reference.dropout_stride};
  if (!c.bits.empty()) {
    copy_to_device(bits.data(), c.bits.data(), bits.bytes());
    extras.seen = bits.data();
  }

  AttentionResult result;
  const T *q = qkv.data(), *k = q + wk, *v = k + wk;
  attention_forward<T>(c.plan, s, out.data(), lse.data(), q, k, v, forward_work.data(), path, extras);
  result.out = take(out.get(), stride_out, 0, wv);
  result.lse = widened(lse.get());
  result.clean = out.guards_survive() && lse.guards_survive() && forward_work.guards_survive() &&
                 gaps_survive(out.get(), stride_out, wv);
  if (backward) {
    T *dq = dqkv.data(), *dk = dq + wk, *dv = dk + wk;
    attention_backward<T>(c.plan, s, dq, dk, dv, dout.data(), q, k, v, out.data(), lse.data(), backward_work.data(),
                          path, extras);
    const std::vector<T> all = dqkv.get();
    result.dq = take(all, stride, 0, wk);
    result.dk = take(all, stride, wk, wk);
    result.dv = take(all, stride, 2 * wk, wv);
    result.clean = result.clean && dqkv.guards_survive() && backward_work.guards_survive() &&
                   gaps_survive(all, stride, 2 * wk + wv);
  }
  result.clean = result.clean && same_bits(qkv.get(), inputs);
  return result;
}

/// The judge's answer.
template <class T>
AttentionResult run_reference(const AttentionCase<T>& c) {
  AttentionResult r;
  r.out.resize(c.value_numbers());
  r.lse.resize(static_cast<std::size_t>(c.shape.batch * c.shape.heads * c.shape.length));
  r.dq.resize(c.key_numbers());
  r.dk.resize(c.key_numbers());
  r.dv.resize(c.value_numbers());
  weft::reference::attention_forward(c.reference, r.out.data(), r.lse.data(), c.q.data(), c.k.data(), c.v.data());
  weft::reference::attention_backward(c.reference, r.dq.data(), r.dk.data(), r.dv.data(), c.dout.data(), c.q.data(),
                                      c.k.data(), c.v.data());
  return r;
}

} // namespace weft::test
