// Patterns and calls that the attention tests share.
#pragma once
#include "kernels/attention/attention.hpp"
#include "kernels/attention/attention_reference.hpp"
#include "tests/kernels/support.hpp"
#include <cstdlib>
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

/// The causal ones above and two that are not: every kind of tile list, for tests of what is orthogonal to them.
inline std::vector<PatternCase> kinds_of_patterns() {
  std::vector<PatternCase> cases = pattern_cases();
  cases.push_back({"both ways", [](int n) {
                     return std::vector{block_bidirectional(n, 8), block_bidirectional(n, 45), dense_bidirectional(n)};
                   }});
  cases.push_back({"both ways, dense", [](int n) { return std::vector{dense_bidirectional(n)}; }});
  return cases;
}

/// Those, and every other set that a model can have.
inline std::vector<PatternCase> all_pattern_cases() {
  std::vector<PatternCase> cases = kinds_of_patterns();
  cases.push_back({"sparse", [](int n) {
                     return std::vector{sparse_both_ways(n, 24, 5, {true, true}), sparse_released(n, 24, 5, true)};
                   }});
  cases.push_back(
      {"longformer", [](int n) {
         return std::vector{longformer(n, {9, 10, 1, 2}), longformer_local(n, {6, 6, 3, 1}), global_rows(n, 3)};
       }});
  cases.push_back(
      {"bigbird", [](int n) {
         const BigBird sizes{4, 1, BigBirdForm::paper, 1, 2, 0};
         return std::vector{big_bird(n, n, sizes), big_bird(n, n + 40, {4, 1, BigBirdForm::paper, 1, 2, 1})};
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
  return cases;
}

/// With WEFT_TEST_FEW_PATHS (under sanitizers) those whose memory accesses differ.
inline std::vector<AttentionPath> host_paths() {
  if (std::getenv("WEFT_TEST_FEW_PATHS") != nullptr)
    return {AttentionPath::avx2, AttentionPath::avx512_emulated, AttentionPath::avx512_bf16_emulated};
  return {AttentionPath::avx2, AttentionPath::avx512, AttentionPath::avx512_bf16, AttentionPath::avx512_emulated,
          AttentionPath::avx512_bf16_emulated};
}
inline std::string path_name(AttentionPath path) {
  constexpr const char* names[] = {
      "best", "portable", "avx2", "avx512", "avx512_bf16", "avx512_emulated", "avx512_bf16_emulated"};
  return names[static_cast<int>(path)];
}

/// Inputs of one call with rows of odd strides (so that gaps must survive), in storage type T. key_length: M, where the
/// keys have rows of their own.
template <class T>
class AttentionCase {
 public:
  AttentionCase(const std::vector<Pattern>& groups, std::int64_t batch, std::int64_t heads, std::int64_t key_width,
                std::int64_t value_width, unsigned seed, std::int64_t key_length = 0)
      : plan(groups, static_cast<int>(heads)) {
    const std::int64_t n = plan.length();
    shape = {
        batch, n, heads, key_width, value_width, heads * (2 * key_width + value_width) + 3, heads * value_width + 5};
    if (key_length > 0) {
      shape.key_length = key_length;
      shape.row_stride_kv = heads * (key_width + value_width) + 7;
    }
    reference = {batch, n, heads, key_width, value_width, {}};
    reference.key_length = key_length;
    for (const Pattern& pattern : groups) {
      reference.keys.emplace_back();
      for (int i = 0; i < n; ++i)
        reference.keys.back().push_back(keys_of(pattern, i));
    }
    q = rounded<T>(random_normal(key_numbers(), seed));
    k = rounded<T>(random_normal(key_rows() * wide(key_width), seed + 1));
    v = rounded<T>(random_normal(key_rows() * wide(value_width), seed + 2));
    dout = rounded<T>(random_normal(value_numbers(), seed + 3));
  }
  std::size_t key_numbers() const {
    return static_cast<std::size_t>(shape.batch * shape.length * shape.heads * shape.key_width);
  }
  std::size_t value_numbers() const {
    return static_cast<std::size_t>(shape.batch * shape.length * shape.heads * shape.value_width);
  }
  std::size_t rows() const { return static_cast<std::size_t>(shape.batch * shape.length); }
  std::size_t key_rows() const { return static_cast<std::size_t>(shape.batch * reference.key_rows()); }
  std::size_t wide(std::int64_t width) const { return static_cast<std::size_t>(shape.heads * width); }

  /// A random table of scores with rows of `stride`, and its gradient, which goes on from 0.
  void tabulate(std::int64_t stride, unsigned seed) {
    const std::size_t n = static_cast<std::size_t>(shape.heads * stride * stride);
    reference.table = test::rounded<float>(random_normal(n, seed));
    reference.table_stride = stride;
  }

  /// Random scores by distance, given as such to a call and as a table to the reference, which knows nothing else. The
  /// results' dtable then is their gradient.
  void set_distances(std::int64_t reach, unsigned seed) {
    distances = test::rounded<float>(random_normal(static_cast<std::size_t>(2 * reach - 1), seed));
    tabulate_distances();
  }
  void tabulate_distances() {
    const std::int64_t stride = std::max(shape.length, reference.key_rows());
    reference.table_stride = stride;
    reference.table.assign(static_cast<std::size_t>(shape.heads * stride * stride), 0.0);
    for_near_pairs([&](std::size_t place, std::size_t pair) { reference.table[pair] = distances[place]; });
  }
  std::int64_t reach() const { return (static_cast<std::int64_t>(distances.size()) + 1) / 2; }
  /// The sums of the table's gradient over the pairs of a distance.
  std::vector<double> by_distance(const std::vector<double>& dtable) const {
    std::vector<double> sums(distances.size());
    for_near_pairs([&](std::size_t place, std::size_t pair) { sums[place] += dtable[pair]; });
    return sums;
  }
  template <class Body>
  void for_near_pairs(const Body& body) const {
    const std::int64_t stride = reference.table_stride;
    for (std::int64_t row = 0; row < shape.heads * stride; ++row)
      for (std::int64_t j = 0; j < stride; ++j)
        if (const std::int64_t place = reach() - 1 + j - row % stride; place >= 0 && place < 2 * reach() - 1)
          body(static_cast<std::size_t>(place), static_cast<std::size_t>(row * stride + j));
  }

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
  std::vector<double> distances;     ///< empty: none are given
  std::vector<double> q, k, v, dout; ///< dense, exact in T
};

/// What a call left behind, and whether it left alone what is not its own.
struct AttentionResult {
  std::vector<double> out, lse, dq, dk, dv, dtable;
  bool clean = true; ///< guards and gaps between rows still hold their sentinels
};

/// Rows of T at a stride, between guards; what is not put stays a sentinel.
template <class T>
class StridedRows {
 public:
  StridedRows(std::size_t rows, std::int64_t stride)
      : rows_(rows), stride_(static_cast<std::size_t>(stride)), host_(rows_ * stride_, Guarded<T>::sentinel()),
        memory_(host_) {}
  void put(std::size_t column, const std::vector<double>& from, std::size_t width) {
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t e = 0; e < width; ++e)
        host_[r * stride_ + column + e] = store<T>(static_cast<float>(from[r * width + e]));
    copy_to_device(memory_.data(), host_.data(), host_.size() * sizeof(T));
  }
  T* data() { return memory_.data(); }
  std::vector<double> take(std::size_t column, std::size_t width) const {
    const std::vector<T> from = memory_.get();
    std::vector<double> to;
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t e = 0; e < width; ++e)
        to.push_back(load(from[r * stride_ + column + e]));
    return to;
  }
  /// Guards and what lies behind the first `used` columns.
  bool surroundings_survive(std::size_t used) const {
    const std::vector<T> x = memory_.get();
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t e = used; e < stride_; ++e)
        if (!Guarded<T>::is_sentinel(x[r * stride_ + e]))
          return false;
    return memory_.guards_survive();
  }
  bool unchanged() const { return same_bits(memory_.get(), host_); }

 private:
  std::size_t rows_, stride_;
  std::vector<T> host_;
  Guarded<T> memory_;
};

template <class T>
AttentionResult run_attention(AttentionCase<T>& c, AttentionPath path = AttentionPath::best, bool backward = true) {
  const AttentionShape& s = c.shape;
  const std::size_t wk = c.wide(s.key_width), wv = c.wide(s.value_width);
  const bool own = s.key_length > 0; // the keys have rows of their own
  StridedRows<T> queries(c.rows(), s.row_stride_qkv), dqueries(c.rows(), s.row_stride_qkv);
  StridedRows<T> own_keys(own ? c.key_rows() : 0, s.row_stride_kv), own_dkeys(own ? c.key_rows() : 0, s.row_stride_kv);
  StridedRows<T> dout(c.rows(), s.row_stride_out), out(c.rows(), s.row_stride_out);
  StridedRows<T>&keys = own ? own_keys : queries, &dkeys = own ? own_dkeys : dqueries;
  const std::size_t at_k = own ? 0 : wk, at_v = at_k + wk;
  queries.put(0, c.q, wk);
  keys.put(at_k, c.k, wk);
  keys.put(at_v, c.v, wv);
  dout.put(0, c.dout, wv);
  Guarded<float> lse(static_cast<std::size_t>(s.batch * s.heads * s.length));
  Guarded<float> forward_work(attention_workspace_bytes(c.plan, s, false) / sizeof(float));
  Guarded<float> backward_work(attention_workspace_bytes(c.plan, s, true, c.reach()) / sizeof(float));

  Buffer<std::uint32_t> bits(static_cast<std::int64_t>(c.bits.size()), "test");
  AttentionExtras extras{nullptr, c.reference.dropout, c.reference.dropout_stride};
  extras.scale = static_cast<float>(c.reference.scale);
  if (!c.bits.empty()) {
    copy_to_device(bits.data(), c.bits.data(), bits.bytes());
    extras.seen = bits.data();
  }
  Guarded<float> table(stored<float>(c.reference.table)), dtable(std::vector<float>(c.reference.table.size(), 0.0f));
  Guarded<float> distances(stored<float>(c.distances)), ddistances(std::vector<float>(c.distances.size(), 0.0f));
  if (!c.distances.empty()) {
    extras.distances = distances.data();
    extras.reach = c.reach();
    extras.ddistances = ddistances.data();
  } else if (!c.reference.table.empty()) {
    extras.table = table.data();
    extras.table_stride = c.reference.table_stride;
    extras.dtable = dtable.data();
  }

  AttentionResult result;
  const T *q = queries.data(), *k = keys.data() + at_k, *v = keys.data() + at_v;
  attention_forward<T>(c.plan, s, out.data(), lse.data(), q, k, v, forward_work.data(), path, extras);
  result.out = out.take(0, wv);
  result.lse = widened(lse.get());
  result.clean = out.surroundings_survive(wv) && lse.guards_survive() && forward_work.guards_survive();
  if (backward) {
    attention_backward<T>(c.plan, s, dqueries.data(), dkeys.data() + at_k, dkeys.data() + at_v, dout.data(), q, k, v,
                          out.data(), lse.data(), backward_work.data(), path, extras);
    result.dq = dqueries.take(0, wk);
    result.dk = dkeys.take(at_k, wk);
    result.dv = dkeys.take(at_v, wv);
    result.dtable = widened(c.distances.empty() ? dtable.get() : ddistances.get());
    result.clean = result.clean && dqueries.surroundings_survive(own ? wk : 2 * wk + wv) &&
                   dkeys.surroundings_survive(at_v + wv) && backward_work.guards_survive() && dtable.guards_survive() &&
                   ddistances.guards_survive();
  }
  result.clean = result.clean && queries.unchanged() && keys.unchanged() && dout.unchanged();
  return result;
}

/// The judge's answer.
template <class T>
AttentionResult run_reference(const AttentionCase<T>& c) {
  AttentionResult r;
  r.out.resize(c.value_numbers());
  r.lse.resize(static_cast<std::size_t>(c.shape.batch * c.shape.heads * c.shape.length));
  r.dq.resize(c.key_numbers());
  r.dk.resize(c.k.size());
  r.dv.resize(c.v.size());
  r.dtable.assign(c.reference.table.size(), 0.0);
  weft::reference::Attention judge = c.reference;
  judge.dtable = judge.table.empty() ? nullptr : r.dtable.data();
  weft::reference::attention_forward(judge, r.out.data(), r.lse.data(), c.q.data(), c.k.data(), c.v.data());
  weft::reference::attention_backward(judge, r.dq.data(), r.dk.data(), r.dv.data(), c.dout.data(), c.q.data(),
                                      c.k.data(), c.v.data());
  if (!c.distances.empty())
    r.dtable = c.by_distance(r.dtable);
  return r;
}

} // namespace weft::test
