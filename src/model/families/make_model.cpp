// Which family an input file asks for.
#include "config/families.hpp"
#include "config/keys.hpp"
#include "io/error.hpp"
#include "model/families/arena.hpp"
#include "model/families/bilstm.hpp"
#include "model/families/mega.hpp"
#include "model/families/recurrent.hpp"
#include "model/families/reformer.hpp"
#include "model/families/sparse_transformer.hpp"
#include "model/precision.hpp"
#include "model/storage.hpp"

namespace weft {

std::unique_ptr<Model> make_model(const Config& config) {
  require_precision(config.run.precision, Runtime::device());
  return with_storage(config.run.precision, [&]<class T>(std::type_identity<T>) -> std::unique_ptr<Model> {
    if (config.model.family == "sparse_transformer")
      return std::make_unique<SparseTransformer<T>>(config);
    if (config.model.family == "arena")
      return std::make_unique<ArenaEncoder<T>>(config);
    if (config.model.family == "reformer")
      return std::make_unique<Reformer<T>>(config);
    if (config.model.family == "mega" && task_row(config.data.task).causal)
      return std::make_unique<MegaLanguage<T>>(config);
    if (config.model.family == "mega")
      return std::make_unique<Mega<T>>(config);
    if (config.model.family == "bilstm")
      return std::make_unique<BiLstmClassifier<T>>(config);
    if (config.model.family == "lru" || config.model.family == "s4d")
      return std::make_unique<RecurrentClassifier<T>>(config);
    throw InputError("model.family: got \"" + config.model.family + "\", expected " + joined(family_names(), ", "));
  });
}

} // namespace weft
