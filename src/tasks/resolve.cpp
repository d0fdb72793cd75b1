#include "tasks/resolve.hpp"
#include "config/families.hpp"
#include "io/error.hpp"
#include "io/shards.hpp"
#include "tasks/labelled.hpp"
#include <fmt/core.h>

namespace weft {

void resolve_from_data(Config& config) {
  if (!task_row(config.data.task).classes)
    return;
  const std::string& path = config.data.path;
  if (!has_split(path, "train")) {
    if (config.model.classes == 0)
      throw InputError(fmt::format("model.classes is 0, which takes the number of classes from the data, and data.path "
                                   "= \"{}\" holds no training split; set model.classes, or make the data set (weft "
                                   "prepare, weft generate)",
                                   path));
    return;
  }
  const std::int64_t classes = classes_of(path, "train");
  if (config.model.classes == 0)
    config.model.classes = classes;
  if (config.model.classes < classes)
    throw InputError(fmt::format("got model.classes = {}, expected at least {}, the classes of {}",
                                 config.model.classes, classes, path));
}

} // namespace weft
