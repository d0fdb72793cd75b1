#include "io/error.hpp"
#include "model/storage.hpp"
#include "model/stream/post_norm.hpp"
#include "model/stream/pre_norm.hpp"
#include "model/stream/reversible.hpp"

namespace weft {

template <class T>
std::unique_ptr<Stream<T>> make_stream(const std::string& kind, Plan& plan, std::int64_t width, float dropout,
                                       NormKind norms) {
  if (kind == "pre_norm")
    return std::make_unique<PreNorm<T>>(plan, width, dropout, norms);
  if (kind == "post_norm")
    return std::make_unique<PostNorm<T>>(plan, width, dropout, norms);
  if (kind == "reversible")
    return std::make_unique<Reversible<T>>(plan, width, dropout);
  throw InputError("model.stream: got \"" + kind + "\", expected pre_norm, post_norm or reversible");
}

template std::unique_ptr<Stream<float>> make_stream(const std::string&, Plan&, std::int64_t, float, NormKind);
template std::unique_ptr<Stream<bf16>> make_stream(const std::string&, Plan&, std::int64_t, float, NormKind);
template std::unique_ptr<Stream<fp16>> make_stream(const std::string&, Plan&, std::int64_t, float, NormKind);

} // namespace weft
