// What a model is made of, told before anything is allocated: parameters, pieces of memory, dropout sites, work. The
// order of the calls is the order of the forward pass.
#pragma once
#include "kernels/gemm/gemm.hpp"
#include "model/arena.hpp"
#include "model/model.hpp"
#include "model/parameters.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct Config;
class AttentionPlan;
struct AttentionShape;

/// A tensor of the parameter list.
struct Weight {
  int number = -1;
  explicit operator bool() const { return number >= 0; }
};

/// A place in the arena for numbers of type U.
template <class U>
struct Piece {
  int number = -1;
  explicit operator bool() const { return number >= 0; }
};

/// How a tensor's numbers begin.
struct Initial {
  Initialiser kind = Initialiser::zero;
  double scale = 0; ///< standard deviation, or the bound of Initialiser::uniform
};

/// What is computed again in the backward pass instead of kept (model.recompute).
enum class Recompute { none, attention, block };

/// Whether a piece holds numbers that are finite unless something went bad: then it is searched for the first bad one.
enum class Finite { yes, no };

class Plan {
 public:
  /// Micro-batches of at most `sequences` sequences of `length` tokens.
  Plan(ParameterList& parameters, Arena& arena, std::int64_t sequences, std::int64_t length, Recompute recompute)
      : S(sequences), N(length), R(sequences * length), recompute(recompute), parameters_(parameters), arena_(arena) {}

  const std::int64_t S, N, R; ///< sequences, tokens of each, rows S N
  const Recompute recompute;

  Weight weight(std::string name, std::vector<std::int64_t> shape, Initialiser initialiser, double std = 0,
                Decay decay = Decay::by_rank, double inner = 0) {
    return {parameters_.add(std::move(name), std::move(shape), initialiser, std, decay, inner)};
  }
  Weight weight(std::string name, std::vector<std::int64_t> shape, const Initial& initial) {
    return weight(std::move(name), std::move(shape), initial.kind, initial.scale);
  }

  /// The same, of a linear recurrence: with the learning rate of optimizer.state_rate, and never decayed.
  Weight recurrent_weight(std::string name, std::vector<std::int64_t> shape, Initialiser initialiser, double std = 0,
                          double inner = 0) {
    const Weight w = weight(std::move(name), std::move(shape), initialiser, std, Decay::never, inner);
    parameters_.mark_recurrent(w.number);
    return w;
  }

  /// A running statistic: the forward pass of a training step writes the micro-batch's own to p.dw(), and p.w() is
  /// what an evaluation reads.
  Weight running(std::string name, std::vector<std::int64_t> shape, Initialiser initialiser, double momentum) {
    const Weight w = weight(std::move(name), std::move(shape), initialiser, 0, Decay::never);
    parameters_.mark_running(w.number, momentum);
    return w;
  }

  /// One tensor for all layers that ask by this name: planned by the first, whose backward pass is the last.
  Weight shared_weight(const std::string& name, const std::vector<std::int64_t>& shape, const Initial& initial) {
    for (std::size_t n = 0; n < parameters_.all().size(); ++n)
      if (parameters_.all()[n].name == name)
        return {static_cast<int>(n)};
    return weight(name, shape, initial);
  }

  /// From the forward to the backward pass: a place of its own.
  template <class U>
  Piece<U> keep(const std::string& name, std::int64_t n, Finite finite = Finite::yes) {
    return {arena_.plan(piece<U>(name, n, finite))};
  }
  /// Made again in the backward pass: one place for all layers, "recomputed." + name.
  template <class U>
  Piece<U> remade(const std::string& name, std::int64_t n, Finite finite = Finite::yes) {
    return {arena_.share(piece<U>("recomputed." + name, n, finite))};
  }
  /// The one or the other: `name` is the layer's, `what` the piece's.
  template <class U>
  Piece<U> keep_unless(bool again, const std::string& name, const std::string& what, std::int64_t n,
                       Finite finite = Finite::yes) {
    return again ? remade<U>(what, n, finite) : keep<U>(name + what, n, finite);
  }
  /// Used within one call: one place for all that ask by this name, as large as the largest wants it.
  template <class U>
  Piece<U> scratch(const std::string& name, std::int64_t n) {
    return {arena_.share(piece<U>("scratch." + name, n, Finite::no))};
  }

  /// 0, 1, 2, ...: the tensor of a dropout's random numbers.
  std::uint32_t dropout_site() { return sites_++; }

  /// A linear layer's three products; again: the forward one is also computed in the backward pass.
  void product(const LinearShape& shape, bool again = false);
  /// `times` such a layer's gradient of the weight alone, where a kernel of its own makes the other two products.
  void weight_product(const LinearShape& shape, int times);
  /// Attention over a plan's keys, for S sequences: two products per key and head forward, five backward.
  void attention(const AttentionPlan& plan, std::int64_t key_width, std::int64_t value_width, bool again);
  /// Attention that is not over a plan's keys, in operations per micro-batch.
  void attention(double forward, double backward);
  /// What attention_forward and attention_backward want, for the larger of the two.
  Piece<float> attention_workspace(const AttentionPlan& plan, const AttentionShape& shape, std::int64_t reach = 0);
  /// Tables that patterns hold outside the arena.
  void tables(std::size_t bytes) { costs_.pattern_bytes += bytes; }

  const std::vector<LinearShape>& products() const { return products_; }
  /// All but the bytes that depend on the storage type.
  ModelCosts costs() const;

 private:
  template <class U>
  static Arena::Piece piece(std::string name, std::int64_t n, Finite finite) {
    return {std::move(name), 0, static_cast<std::size_t>(n) * sizeof(U), sizeof(U), finite == Finite::yes};
  }

  ParameterList& parameters_;
  Arena& arena_;
  std::uint32_t sites_ = 0;
  std::vector<LinearShape> products_;
  ModelCosts costs_;
  double backward_ = 0; ///< operations per token
};

/// model.recompute as a value.
Recompute recompute_of(const Config& config);

/// "block.07." for the layer's part of names: as many digits as the last layer has, two at least.
std::string block_name(std::int64_t layer, std::int64_t layers);

} // namespace weft
