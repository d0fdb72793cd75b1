// The one list of parameters. Allocation, counting, initialisation, checkpoints, reduction buckets, the optimiser and
// the summary all read it; nothing else knows which tensors there are.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class Initialiser {
  zero,
  one,
  normal,
  uniform,          ///< in [-std, std]; Xavier's bound is sqrt(6 / (inputs + outputs))
  truncated_normal, ///< cut at two standard deviations, std being what is left (LeCun: sqrt(1 / inputs))
  alternating,      ///< 1, -1, 1, -1, ... along the last axis, and normal numbers added
  ring_size,        ///< log(-log r) of points spread evenly over the ring between radius `inner` and `std`
  ring_gain,        ///< log sqrt(1 - r^2) of the tensor before, which is a ring_size
  ring_angle,       ///< log of angles, uniform from 0 to `std`
  constant,         ///< std
  multiples,        ///< 0, std, 2 std, ... along the last axis
  between           ///< uniform from `inner` to `std`
};

/// On which tensors weight decay acts.
enum class Decay { by_rank /* matrices only */, always, never };

struct Parameter {
  std::string name;
  std::vector<std::int64_t> shape; ///< matrices as (inputs, outputs): y = x W + b
  Initialiser initialiser = Initialiser::zero;
  double std = 0;          ///< of the normal initialisers; bound of Initialiser::uniform
  std::int64_t offset = 0; ///< of the first element in the flat buffers, in elements
  std::int64_t size = 0;   ///< number of elements
  Decay decay = Decay::by_rank;
  double inner = 0;       ///< of Initialiser::ring_size and between
  bool recurrent = false; ///< of a linear recurrence: optimizer.state_rate is a factor on its learning rate
  double momentum = 0;    ///< of a running statistic, what a step takes of the new one; 0: trained

  /// Or a running statistic: its place in a micro-batch's gradient holds the statistic of that micro-batch, which is
  /// neither scaled with the loss nor part of the gradient's norm.
  bool trained() const { return momentum == 0; }
  bool decayed() const { return decay == Decay::always || (decay == Decay::by_rank && shape.size() >= 2); }
};

class ParameterList {
 public:
  /// Adds a tensor behind the ones before it and returns its index. The order is that of the forward pass, so that the
  /// backward pass finishes the flat gradient from its end towards its start.
  int add(std::string name, std::vector<std::int64_t> shape, Initialiser initialiser, double std = 0,
          Decay decay = Decay::by_rank, double inner = 0);

  /// The tensor belongs to a linear recurrence.
  void mark_recurrent(int index) { list_[static_cast<std::size_t>(index)].recurrent = true; }

  /// The tensor is a running statistic.
  void mark_running(int index, double momentum) {
    Parameter& it = list_[static_cast<std::size_t>(index)];
    it.momentum = momentum;
    count_ -= it.size;
    running_ += it.size;
  }

  const std::vector<Parameter>& all() const { return list_; }
  const Parameter& operator[](int index) const { return list_[static_cast<std::size_t>(index)]; }
  std::int64_t count() const { return count_; }             ///< trained numbers
  std::int64_t stored() const { return count_ + running_; } ///< and running statistics
  std::int64_t extent() const { return extent_; } ///< elements of a flat buffer: every tensor starts on a cache line

 private:
  std::vector<Parameter> list_;
  std::int64_t count_ = 0, running_ = 0, extent_ = 0;
};

/// The initial weights, in host memory: values[extent()] overwritten (the gaps with zero).
void initialise(float* values, const ParameterList& parameters, std::uint64_t seed);

} // namespace weft
