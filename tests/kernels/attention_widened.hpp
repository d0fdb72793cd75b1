// Key bits, dropout and what is expected of results, for the tests of a widened attention.
#pragma once
#include "tests/kernels/attention_plain.hpp"
#include "tests/kernels/attention_support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cmath>
#include <gtest/gtest.h>

namespace weft::test {

/// A named choice of real keys in a batch of sequences of n positions.
struct BitsCase {
  std::string name;
  std::function<bool(int n, int b, int i)> seen;
};

inline std::vector<BitsCase> bits_cases() {
  return {
      {"random bits",
       [](int, int b, int i) { return (static_cast<unsigned>(b * 131 + i) * 2654435761u >> 16) % 3 > 0; }},
      {"prefixes", [](int n, int b, int i) { return i < (b % 2 == 0 ? (n + 1) / 2 : n - 1); }},
      {"a sequence unseen", [](int n, int b, int i) { return b % 2 == 0 && i % 40 < std::max(1, n - 3); }},
      {"one key", [](int n, int b, int i) { return i == (n / 3 + 7 * b) % n; }},
  };
}

inline Dropout some_dropout(float probability = 0.3f) {
  return {probability, 0x1234567890abcdefull, 11, 5, 40, nullptr};
}

template <class T>
AttentionCase<T> widened_case(const PatternCase& p, const BitsCase& bits, int length, std::int64_t width,
                              std::int64_t value_width) {
  AttentionCase<T> c(p.groups(length), 2, 3, width, value_width, 71);
  c.see([&](int b, int i) { return bits.seen(length, b, i); });
  return c;
}

inline void expect_same_bits(const AttentionResult& a, const AttentionResult& b) {
  EXPECT_TRUE(same_bits(a.out, b.out)) << "out";
  EXPECT_TRUE(same_bits(a.lse, b.lse)) << "lse";
  EXPECT_TRUE(same_bits(a.dq, b.dq)) << "dq";
  EXPECT_TRUE(same_bits(a.dk, b.dk)) << "dk";
  EXPECT_TRUE(same_bits(a.dv, b.dv)) << "dv";
  EXPECT_TRUE(same_bits(a.dtable, b.dtable)) << "dtable";
}

/// Against the reference: every error at most `limit` times the size of what it is an error of, at least 1e-3.
inline void expect_near(const AttentionResult& got, const AttentionResult& want, double limit) {
  EXPECT_TRUE(got.clean) << "written outside the result";
  const double gradient = std::max({largest(want.dq), largest(want.dk), largest(want.dv), 1e-3});
  const auto check = [limit](const char* name, const std::vector<double>& x, const std::vector<double>& y,
                             double size) {
    EXPECT_TRUE(difference(x, y) <= limit * size) << name << " " << difference(x, y) / size << " of " << size;
  };
  check("out", got.out, want.out, std::max(largest(want.out), 1e-3));
  check("lse", got.lse, want.lse, 4);
  check("dq", got.dq, want.dq, gradient);
  check("dk", got.dk, want.dk, gradient);
  check("dv", got.dv, want.dv, gradient);
  check("dtable", got.dtable, want.dtable, std::max(largest(want.dtable), gradient));
}

/// In bf16: errors at most twice those of an evaluation in plain loops that stores every matrix in bf16.
inline void expect_errors_of_plain_loops(AttentionCase<bf16>& c, AttentionPath path) {
  const auto rms = [](const std::vector<double>& x, const std::vector<double>& y) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      sum += (x[i] - y[i]) * (x[i] - y[i]);
    return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(1, x.size())));
  };
  const AttentionResult want = run_reference(c), got = run_attention(c, path);
  const AttentionResult plain = PlainAttention<bf16>(c, Roundings::everything).run();
  for (auto numbers : {&AttentionResult::out, &AttentionResult::dq, &AttentionResult::dk, &AttentionResult::dv,
                       &AttentionResult::dtable})
    EXPECT_TRUE(rms(got.*numbers, want.*numbers) <= 2 * rms(plain.*numbers, want.*numbers))
        << rms(got.*numbers, want.*numbers) << " " << rms(plain.*numbers, want.*numbers);
}

/// Of all that a call leaves behind, for every case: make(one) is its AttentionCase.
template <class Cases, class Make>
std::string hash_of(const Cases& cases, const Make& make) {
  Hash hash;
  for (const auto& one : cases)
    for (const AttentionPath path : {AttentionPath::best, AttentionPath::portable}) {
      auto c = make(one);
      const AttentionResult r = run_attention(c, path);
      hash.add(r.out, r.lse, r.dq, r.dk, r.dv, r.dtable);
    }
  return hash.text();
}

inline void expect_refused(const AttentionCase<float>& c, const AttentionExtras& extras) {
  EXPECT_THROW(attention_forward<float>(c.plan, c.shape, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                        AttentionPath::best, extras),
               std::invalid_argument);
}

/// Every path that a build can have.
inline std::vector<AttentionPath> all_paths() {
  std::vector<AttentionPath> paths = host_paths();
  paths.insert(paths.begin(), {AttentionPath::best, AttentionPath::portable});
  return paths;
}

class AttentionPathTest : public testing::TestWithParam<AttentionPath> {
 protected:
  void SetUp() override {
    if (!attention_path_runs(GetParam()))
      GTEST_SKIP() << "SKIPPED: this build or processor has no " << path_name(GetParam());
  }
  /// The team version is slow on a host.
  std::vector<int> lengths() const {
    const bool few = GetParam() == AttentionPath::portable || std::getenv("WEFT_TEST_FEW_SIZES") != nullptr;
    return few ? std::vector<int>{5, 70} : std::vector<int>{5, 33, 70, 130};
  }
};

} // namespace weft::test
