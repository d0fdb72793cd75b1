// Sinkhorn attention (Tay, Bahri, Yang, Metzler, Juan 2020, arXiv:2002.11296). The sequence is n blocks of b positions:
//   sum_n = sum of the rows of block n of the layer's input
//   R_n = relu(sum_n W_1 + b_1) W_2   or   sum_n W        n logits for every head: the sort net
//   P = Sinkhorn((R + Gumbel) / tau)                       kernels/sinkhorn/sinkhorn.hpp
//   K~_n = sum_m P[n,m] K_m, V~ likewise                   whole blocks: kernels/sinkhorn/blocks.hpp
//   attended = softmax of a query of block n over the keys of K~_n and of its own block together
// With SortCut a query sees the first sorted blocks and nothing else. Gumbel noise is drawn in training only.
// Padding: rows that are not real add nothing to a sum and are zero vectors in a mixture; a block of padding alone is
// not sorted; place s of a sorted block is a key where some block has a real row at s.
#pragma once
#include "kernels/sinkhorn/blocks.hpp"
#include "kernels/sinkhorn/sinkhorn.hpp"
#include "model/attention_plans.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

struct SinkhornSetup {
  std::int64_t block; ///< b
  bool hidden;        ///< the sort net has a hidden layer
  std::int64_t iterations;
  float temperature; ///< tau
  bool noise;
  std::int64_t cut; ///< SortCut's blocks; 0: off
};

template <class T>
class Sinkhorn final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::D, Base::H, Base::E, Base::Ev;

 public:
  /// Tensors behind those of the maps, for M blocks of the full length: name + "attention.sort.in.weight" (D, D) and
  /// ".bias" (D) with a hidden layer, "attention.sort.out.weight" (D, H M). `plans` must outlive the layer.
  Sinkhorn(Plan& plan, const std::string& name, const AttentionSetup& setup, const SinkhornSetup& sinkhorn,
           const AttentionPlans& plans);

 private:
  void project(const Pass<T>& p, const T* x) override;
  void add_input_gradient(const Pass<T>& p, T* dx) override;
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  BlockShape blocks(std::int64_t sequences, std::int64_t length) const { return {sequences, length, setup_.block}; }
  BlockShape blocks(const Pass<T>& p) const { return blocks(p.sequences(), p.length()); }
  SinkhornShape matrices(std::int64_t sequences, std::int64_t length) const;
  /// Positions of the engine: the sequence's, then from begin_ on those of the sorted blocks.
  std::int64_t positions(std::int64_t length) const { return begin_ + blocks(1, length).whole(); }
  const AttentionPlan& plan_of(std::int64_t length) const;
  HeadRows keys(const Pass<T>& p) const;   ///< of qkv and of the engine's rows
  HeadRows values(const Pass<T>& p) const; ///< likewise
  const unsigned char* alive(const Pass<T>& p) const { return p.seen() ? p(alive_) : nullptr; }
  void lay_out(const Pass<T>& p, const T* qkv); ///< rows_: q, k, v of the sequence and of the sorted blocks
  AttentionExtras extras(const Pass<T>& p) const;
  void sort_net_backward(const Pass<T>& p);

  SinkhornSetup setup_;
  float dropout_;
  std::uint32_t site_ = 0, noise_site_ = 0;
  const AttentionPlans& plans_;
  std::int64_t begin_, most_; ///< N filled up, and blocks, of the longest micro-batch
  Weight in_weight_, in_bias_, out_weight_;
  Piece<unsigned char> alive_, places_; ///< (S, n), (S, b)
  Piece<std::uint32_t> bits_;           ///< keys of the engine
  Piece<T> sums_, hidden_;              ///< (S, n, D): sums, and before the ReLU
  Piece<T> gate_, dgate_, dsums_, dlogits_;
  Piece<float> logits_, x_, p_, dp_, potentials_; ///< logits_ (S, n, H, M), the others (S, H, n, n) and so on
  Piece<T> rows_, drows_, out_, dout_;            ///< of the engine's positions
  Piece<float> lse_, workspace_, partial_;
};

} // namespace weft
