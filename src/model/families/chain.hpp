// What the Transformers have in common: an embedding, a chain of blocks with attention and a feed-forward layer each,
// and a head.
#pragma once
#include "model/attention_plans.hpp"
#include "model/layers/attention.hpp"
#include "model/layers/chunked_feed_forward.hpp"
#include "model/layers/embedding.hpp"
#include "model/layers/feed_forward.hpp"
#include "model/program.hpp"
#include "model/stream/stream.hpp"

namespace weft {

struct ChainSetup {
  std::int64_t layers;
  EmbeddingSetup embedding;
  AttentionSetup attention;
  FeedForwardSetup feed_forward;
  std::string stream;                 ///< a word of model.stream
  float dropout;                      ///< of the two additions of a block
  float block_epsilon, final_epsilon; ///< of the norms
  std::int64_t feed_forward_chunks = 1;
  bool final_norm = true;           ///< of a stream "pre_norm"
  NormKind norms = NormKind::layer; ///< of a stream "pre_norm" or "post_norm"
};

/// H_0 = embedding(x);   H' = H + dropout(attention(norm1(H)));   H'' = H' + dropout(feedforward(norm2(H')));
/// head(norm(H_L)), or what another kind of stream makes of the same layers
template <class T, class Head>
class Chain : public Program<T> {
 protected:
  using Program<T>::plan_;

  /// sequences: of a micro-batch. head: what the head is made of beside the plan.
  template <class... HeadArguments>
  Chain(const Config& config, std::int64_t sequences, std::optional<FrontBit> front, const ChainSetup& setup,
        const HeadArguments&... head)
      : Program<T>(config, sequences, config.model.context, front), patterns_(config),
        embedding_(plan_, setup.embedding), stream_(blocks(config, setup)), head_(plan_, head...) {
    plan_.tables(patterns_.bytes());
    this->plan_inputs();
  }

  void run_forward(const Pass<T>& p) override {
    embedding_.forward(p, stream_->entry(p));
    head_.forward(p, stream_->forward(p));
  }
  void run_backward(const Pass<T>& p) override {
    embedding_.backward(p, stream_->backward(p, head_.backward(p, stream_->out(p))));
  }
  const Predictions<T>& predictions() const override { return head_.predictions(); }

  AttentionPlans patterns_;
  Embedding<T> embedding_;
  std::unique_ptr<Stream<T>> stream_;
  Head head_;

 private:
  std::unique_ptr<Stream<T>> blocks(const Config& config, const ChainSetup& setup) {
    auto stream = make_stream<T>(setup.stream, plan_, setup.embedding.width, setup.dropout, setup.norms);
    for (std::int64_t r = 0; r < setup.layers; ++r) {
      const std::string block = block_name(r, setup.layers);
      stream->block();
      stream->norm(block + "norm1", block, "input", "1", setup.block_epsilon);
      stream->add(make_attention<T>(config, plan_, block, r, setup.attention, patterns_));
      stream->norm(block + "norm2", block, "middle", "2", setup.block_epsilon);
      if (setup.feed_forward_chunks > 1)
        stream->add(
            std::make_unique<ChunkedFeedForward<T>>(plan_, block, setup.feed_forward, setup.feed_forward_chunks));
      else
        stream->add(std::make_unique<FeedForward<T>>(plan_, block, setup.feed_forward));
    }
    stream->end(setup.final_norm ? "norm" : "", setup.final_epsilon);
    return stream;
  }
};

} // namespace weft
