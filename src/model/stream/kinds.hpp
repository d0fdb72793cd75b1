// The kinds of stream (model.stream), each in a file of its name, which says what it computes.
#pragma once
#include "model/stream/stream.hpp"

namespace weft {

/// dropout: of every stage.
template <class T>
std::unique_ptr<Stream<T>> pre_norm(Plan& plan, std::int64_t width, float dropout, NormKind norms);
template <class T>
std::unique_ptr<Stream<T>> post_norm(Plan& plan, std::int64_t width, float dropout, NormKind norms);
/// plan.recompute must be Recompute::block: what layers keep is made again. Layer norms, whatever `norms` says.
template <class T>
std::unique_ptr<Stream<T>> reversible(Plan& plan, std::int64_t width, float dropout, NormKind norms);

} // namespace weft

/// Behind a kind's class, in its file: the function above that makes one.
#define WEFT_STREAM_KIND(kind, Class)                                                                                  \
  template <class T>                                                                                                   \
  std::unique_ptr<Stream<T>> kind(Plan& plan, std::int64_t width, float dropout, NormKind norms) {                     \
    return std::make_unique<Class<T>>(plan, width, dropout, norms);                                                    \
  }                                                                                                                    \
  template std::unique_ptr<Stream<float>> kind(Plan&, std::int64_t, float, NormKind);                                  \
  template std::unique_ptr<Stream<bf16>> kind(Plan&, std::int64_t, float, NormKind);                                   \
  template std::unique_ptr<Stream<fp16>> kind(Plan&, std::int64_t, float, NormKind)
