// The recurrence of a bidirectional LSTM: its reference against finite differences, its kernel against the reference.
#include "kernels/gemm/gemm.hpp"
#include "kernels/lstm/lstm.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <algorithm>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(Lstm);

using Lengths = std::vector<std::int32_t>;
struct Case {
  LstmShape shape;
  Lengths lengths;
};
/// Widths beside and at a multiple of the lanes and of a panel; one, two, four and more sequences; length 1 and 0.
const Case cases[] = {
    {{1, 1, 1}, {1}},
    {{1, 6, 3}, {4}},
    {{2, 7, 8}, {7, 1}},
    {{4, 9, 13}, {2, 9, 9, 5}},
    {{5, 5, 33}, {5, 5, 5, 5, 5}},
    {{7, 12, 32}, {1, 12, 0, 3, 12, 11, 2}},
    {{14, 35, 40}, {35, 1, 33, 32, 31, 2, 3, 35, 20, 20, 20, 7, 34, 9}},
};

struct Numbers {
  Doubles out, gates, cells, dgates, before[2], own[2];
};
struct Inputs {
  Doubles gates, dout, weight, bias;
};

std::size_t rows_of(const LstmShape& p) { return static_cast<std::size_t>(p.sequences * p.length); }

template <class T>
Inputs inputs_of(const LstmShape& p, unsigned seed = 1) {
  const std::int64_t rows = p.sequences * p.length, h = p.hidden;
  return {rounded<T>(random_doubles(rows * 8 * h, seed)), rounded<T>(random_doubles(rows * 2 * h, seed + 1)),
          rounded<float>(random_doubles(8 * h * h, seed + 2, 1 / std::sqrt(static_cast<double>(h)))),
          rounded<float>(random_doubles(8 * h, seed + 3, 0.5))};
}

Numbers reference_of(const Case& c, const Inputs& in, const Doubles* gates_kept = nullptr,
                     const Doubles* cells_kept = nullptr, const Doubles* out_kept = nullptr) {
  const LstmShape& p = c.shape;
  const std::size_t rows = rows_of(p), h = static_cast<std::size_t>(p.hidden);
  Numbers n{Doubles(rows * 2 * h), in.gates, Doubles(rows * 2 * h), {}, {}, {}};
  reference::lstm_forward(p, n.out.data(), n.gates.data(), n.cells.data(), in.weight.data(), in.bias.data(),
                          c.lengths.data());
  n.dgates = gates_kept ? *gates_kept : n.gates;
  reference::lstm_backward(p, n.dgates.data(), in.dout.data(), cells_kept ? cells_kept->data() : n.cells.data(),
                           in.weight.data(), c.lengths.data());
  for (int d = 0; d < 2; ++d) {
    n.before[d].resize(rows * h);
    n.own[d].resize(rows * 4 * h);
    reference::lstm_state_operands(p, d, n.before[d].data(), n.own[d].data(), (out_kept ? *out_kept : n.out).data(),
                                   n.dgates.data(), c.lengths.data());
  }
  return n;
}

/// Whole numbers where the kernels run, between guards.
struct Whole {
  explicit Whole(std::size_t n) : memory(buffer_of(Lengths(n + 2, guard))) {}
  std::int32_t* data() { return memory.data() + 1; }
  Lengths all() const {
    fence();
    Lengths values(static_cast<std::size_t>(memory.size()));
    copy_to_host(values.data(), memory.data(), memory.bytes());
    return values;
  }
  Lengths get() const {
    const Lengths values = all();
    return Lengths(values.begin() + 1, values.end() - 1);
  }
  bool guards_survive() const { return all().front() == guard && all().back() == guard; }
  static constexpr std::int32_t guard = -77;
  Buffer<std::int32_t> memory;
};

/// Bits up to each length; those behind the shape's are set, to show that nobody reads them.
std::vector<std::uint32_t> seen_of(const Case& c) {
  const std::int64_t words = (c.shape.length + 31) / 32;
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(c.shape.sequences * words), 0);
  for (std::int64_t s = 0; s < c.shape.sequences; ++s)
    for (std::int64_t i = 0; i < 32 * words; ++i)
      if (i < c.lengths[static_cast<std::size_t>(s)] || i >= c.shape.length)
        seen[static_cast<std::size_t>(s * words + i / 32)] |= 1u << (i % 32);
  return seen;
}

template <class T>
Numbers run(const Case& c, const Inputs& in, bool& clean) {
  const LstmShape& p = c.shape;
  const std::size_t rows = rows_of(p), h = static_cast<std::size_t>(p.hidden);
  const auto seen = buffer_of(seen_of(c));
  Whole lengths(c.lengths.size()), order(c.lengths.size());
  lstm_sequences(lengths.data(), order.data(), seen.data(), p);
  EXPECT_EQ(lengths.get(), c.lengths);
  Guarded<T> gates(test::stored<T>(in.gates)), dout(test::stored<T>(in.dout)), out(rows * 2 * h);
  Guarded<float> cells(rows * 2 * h), weight(test::stored<float>(in.weight)), bias(test::stored<float>(in.bias)),
      workspace(static_cast<std::size_t>(lstm_workspace(p)));
  const LstmSequences of{lengths.data(), order.data()};
  lstm_forward(p, out.data(), gates.data(), cells.data(), weight.data(), bias.data(), of, workspace.data());
  Numbers n{widened(out.get()), widened(gates.get()), widened(cells.get()), {}, {}, {}};
  lstm_backward(p, gates.data(), dout.data(), cells.data(), weight.data(), of, workspace.data());
  n.dgates = widened(gates.get());
  clean = out.guards_survive() && gates.guards_survive() && cells.guards_survive() && workspace.guards_survive() &&
          lengths.guards_survive() && order.guards_survive();
  for (int d = 0; d < 2; ++d) {
    Guarded<T> before(rows * h), own(rows * 4 * h);
    lstm_state_operands(p, d, before.data(), own.data(), out.data(), gates.data(), of);
    n.before[d] = widened(before.get());
    n.own[d] = widened(own.get());
    clean = clean && before.guards_survive() && own.guards_survive();
  }
  return n;
}

/// x (S, N, width) with `with` behind every length.
Doubles behind(Doubles x, const Case& c, double with) {
  const std::size_t width = x.size() / rows_of(c.shape);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / width, n = static_cast<std::size_t>(c.shape.length);
    if (static_cast<std::int32_t>(row % n) >= c.lengths[row / n])
      x[i] = with;
  }
  return x;
}

/// The sequence s of x (S, N, width), its first n rows.
Doubles sequence_of(const Doubles& x, const LstmShape& p, std::int64_t s, std::int64_t n) {
  const std::int64_t width = static_cast<std::int64_t>(x.size()) / (p.sequences * p.length);
  return Doubles(x.begin() + s * p.length * width, x.begin() + (s * p.length + n) * width);
}

TEST(Reference, LstmGradientsAreThoseOfFiniteDifferences) {
  for (const Case& c : {cases[0], cases[1], Case{{3, 4, 2}, {4, 1, 3}}}) {
    const LstmShape& p = c.shape;
    const Inputs in = inputs_of<float>(p);
    const std::int64_t rows = p.sequences * p.length, h = p.hidden;
    const auto value = [&](const Inputs& at) { return dot(reference_of(c, at).out, in.dout); };
    const auto by = [&](Doubles Inputs::*member) {
      return finite_difference(
          [&](const Doubles& x) {
            Inputs at = in;
            at.*member = x;
            return value(at);
          },
          in.*member);
    };
    const Numbers n = reference_of(c, in);
    EXPECT_AT_MOST(relative_error(n.dgates, by(&Inputs::gates)), 1e-8);
    Doubles dbias(static_cast<std::size_t>(8 * h), 0), dweight(static_cast<std::size_t>(8 * h * h));
    for (std::size_t i = 0; i < n.dgates.size(); ++i)
      dbias[i % dbias.size()] += n.dgates[i];
    for (int d = 0; d < 2; ++d)
      reference::linear_backward_weight({rows, h, 4 * h}, dweight.data() + d * 4 * h * h, n.before[d].data(),
                                        n.own[d].data());
    EXPECT_AT_MOST(relative_error(dbias, by(&Inputs::bias)), 1e-8);
    if (p.length > 1) {
      EXPECT_AT_MOST(relative_error(dweight, by(&Inputs::weight)), 1e-8);
    } else {
      EXPECT_EQ(dweight, Doubles(dweight.size(), 0.0)); // the state before the only step is 0
    }
  }
}

TEST(LstmSequences, AreOrderedFromTheLongestAndAllThereWithoutBits) {
  const LstmShape p{5, 40, 1};
  const Case c{p, {33, 40, 0, 40, 7}};
  const auto seen = buffer_of(seen_of(c));
  Whole lengths(5), order(5);
  lstm_sequences(lengths.data(), order.data(), seen.data(), p);
  EXPECT_EQ(lengths.get(), c.lengths);
  EXPECT_EQ(order.get(), (Lengths{1, 3, 0, 4, 2}));
  lstm_sequences(lengths.data(), order.data(), nullptr, p);
  EXPECT_EQ(lengths.get(), Lengths(5, 40));
  EXPECT_EQ(order.get(), (Lengths{0, 1, 2, 3, 4}));
  EXPECT_TRUE(lengths.guards_survive() && order.guards_survive());
}

TYPED_TEST(Lstm, FollowsTheReference) {
  for (const Case& c : cases) {
    const Inputs in = inputs_of<TypeParam>(c.shape);
    bool clean = false;
    const Numbers got = run<TypeParam>(c, in, clean);
    // Backward from the gates and states that were kept, which storage has rounded.
    const Numbers want = reference_of(c, in, &got.gates, &got.cells, &got.out);
    EXPECT_AT_MOST(relative_error(got.out, want.out), this->limit);
    EXPECT_AT_MOST(relative_error(got.gates, want.gates), this->limit);
    EXPECT_AT_MOST(relative_error(got.cells, want.cells), 3e-6);
    EXPECT_AT_MOST(relative_error(got.dgates, want.dgates), this->limit);
    for (int d = 0; d < 2; ++d) {
      EXPECT_EQ(got.before[d], want.before[d]);
      EXPECT_AT_MOST(relative_error(got.own[d], want.own[d]), this->limit);
    }
    EXPECT_TRUE(clean);
  }
}

TYPED_TEST(Lstm, PaddingIsNeitherReadNorLeftAsItWas) {
  for (const Case& c : cases) {
    Inputs in = inputs_of<TypeParam>(c.shape);
    bool clean = false;
    const Numbers before = run<TypeParam>(c, in, clean);
    in.gates = behind(in.gates, c, NAN);
    in.dout = behind(in.dout, c, NAN);
    const Numbers after = run<TypeParam>(c, in, clean);
    EXPECT_EQ(after.out, before.out);
    EXPECT_EQ(after.cells, before.cells);
    EXPECT_EQ(after.dgates, before.dgates);
    EXPECT_EQ(after.out, behind(after.out, c, 0));
    EXPECT_EQ(after.cells, behind(after.cells, c, 0));
    EXPECT_EQ(after.dgates, behind(after.dgates, c, 0));
  }
}

TYPED_TEST(Lstm, ASequenceHasTheSameBitsAloneAndInAPaddedBatch) {
  for (const Case& c : cases) {
    const LstmShape& p = c.shape;
    const Inputs in = inputs_of<TypeParam>(p);
    bool clean = false;
    const Numbers together = run<TypeParam>(c, in, clean);
    for (std::int64_t s = 0; s < p.sequences; ++s) {
      const std::int32_t n = c.lengths[static_cast<std::size_t>(s)];
      if (n == 0)
        continue;
      const Case own{{1, n, p.hidden}, {n}};
      const Numbers alone = run<TypeParam>(
          own, {sequence_of(in.gates, p, s, n), sequence_of(in.dout, p, s, n), in.weight, in.bias}, clean);
      EXPECT_EQ(sequence_of(together.out, p, s, n), alone.out);
      EXPECT_EQ(sequence_of(together.dgates, p, s, n), alone.dgates);
    }
  }
}

/// x (S, N, 2, width): the real rows in reverse order, the directions exchanged.
Doubles reversed(const Doubles& x, const Case& c) {
  Doubles out = x;
  const std::size_t n = static_cast<std::size_t>(c.shape.length), width = x.size() / rows_of(c.shape) / 2;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / (2 * width), d = i / width % 2, s = row / n, t = row % n;
    const auto length = static_cast<std::size_t>(c.lengths[s]);
    out[((s * n + (t < length ? length - 1 - t : t)) * 2 + 1 - d) * width + i % width] = x[i];
  }
  return out;
}

TYPED_TEST(Lstm, ReversedSequencesExchangeTheDirections) {
  for (const Case& c : cases) {
    const Inputs in = inputs_of<TypeParam>(c.shape);
    const auto exchanged = [](Doubles x) {
      std::rotate(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
      return x;
    };
    bool clean = false;
    const Numbers a = run<TypeParam>(c, in, clean);
    const Numbers b = run<TypeParam>(
        c, {reversed(in.gates, c), reversed(in.dout, c), exchanged(in.weight), exchanged(in.bias)}, clean);
    EXPECT_EQ(b.out, reversed(a.out, c));
    EXPECT_EQ(b.dgates, reversed(a.dgates, c));
  }
}

TYPED_TEST(Lstm, ANanIsCarriedAlongItsOwnSequenceAndDirection) {
  const Case c{{3, 6, 9}, {6, 6, 5}};
  Inputs in = inputs_of<TypeParam>(c.shape);
  in.gates[static_cast<std::size_t>(((1 * 6 + 2) * 2 + 0) * 36 + 4)] = NAN; // sequence 1, step 2 of direction 0
  bool clean = false;
  const Numbers got = run<TypeParam>(c, in, clean);
  for (std::size_t i = 0; i < got.out.size(); ++i) {
    const std::size_t row = i / 18, d = i / 9 % 2, j = i % 9;
    const bool reached = row / 6 == 1 && d == 0 && (row % 6 > 2 || (row % 6 == 2 && j == 4));
    EXPECT_EQ(std::isnan(got.out[i]), reached) << i;
  }
  for (std::size_t i = 0; i < got.dgates.size(); ++i)
    if (i / 72 / 6 != 1 || i / 36 % 2 != 0) {
      ASSERT_FALSE(std::isnan(got.dgates[i])) << i;
    }
}

/// Where sigmoid and tanh are 0 or 1 to the last bit.
TYPED_TEST(Lstm, LargeGatesSaturate) {
  const Case c{{1, 2, 1}, {2}};
  Inputs in = inputs_of<TypeParam>(c.shape);
  std::fill(in.weight.begin(), in.weight.end(), 0.0);
  std::fill(in.bias.begin(), in.bias.end(), 0.0);
  for (std::size_t i = 0; i < in.gates.size(); ++i)
    in.gates[i] = i % 4 == 1 ? -60000 : 60000; // forgets all
  bool clean = false;
  const Numbers got = run<TypeParam>(c, in, clean);
  EXPECT_EQ(got.cells, Doubles(4, 1.0));
  EXPECT_AT_MOST(relative_error(got.out, Doubles(4, std::tanh(1.0))), this->limit);
  EXPECT_AT_MOST(test::largest(got.dgates), 1e-37);
}

std::string hash_of_all() {
  test::Hash hash;
  for (const Case& c : cases) {
    bool clean = false;
    const Numbers n = run<bf16>(c, inputs_of<bf16>(c.shape), clean);
    hash.add(n.out, n.cells, n.dgates);
  }
  return hash.text();
}
TEST(LstmThreads, DISABLED_PrintHash) { std::printf("%s\n", hash_of_all().c_str()); }
TEST(LstmThreads, AnyNumberGivesTheSameBits) {
  test::expect_from_threads("LstmThreads.DISABLED_PrintHash", hash_of_all(), {1, 2, 3, 8});
}

} // namespace
