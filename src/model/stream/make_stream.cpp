#include "io/error.hpp"
#include "model/stream/kinds.hpp"

namespace weft {

template <class T>
std::unique_ptr<Stream<T>> make_stream(const std::string& kind, Plan& plan, std::int64_t width, float dropout,
                                       NormKind norms) {
  if (kind == "pre_norm")
    return pre_norm<T>(plan, width, dropout, norms);
  if (kind == "post_norm")
    return post_norm<T>(plan, width, dropout, norms);
  if (kind == "reversible")
    return reversible<T>(plan, width, dropout, norms);
  throw InputError("model.stream: got \"" + kind + "\", expected pre_norm, post_norm or reversible");
}

template std::unique_ptr<Stream<float>> make_stream(const std::string&, Plan&, std::int64_t, float, NormKind);
template std::unique_ptr<Stream<bf16>> make_stream(const std::string&, Plan&, std::int64_t, float, NormKind);
template std::unique_ptr<Stream<fp16>> make_stream(const std::string&, Plan&, std::int64_t, float, NormKind);

} // namespace weft
