// From an input file and overrides to a checked Config.
#pragma once
#include "config/config.hpp"
#include "io/error.hpp"
#include <map>
#include <string>
#include <vector>

namespace weft {

/// Where a key was set. Overrides have the file "command line" and line 0.
struct Origin {
  std::string file;
  int line = 0;
  std::string text() const { return line > 0 ? file + ":" + std::to_string(line) : file; }
};

struct LoadedConfig {
  Config config;
  std::map<std::string, Origin> origins; ///< "section.key" of every key that was set; the others have their default
  std::string file;                      ///< the name used in messages
};

/// `required`: data.path must hold a training split. `skipped`: for commands that read no data set.
enum class DataCheck { required, skipped };

/// The data set named by data.path is not there, and nothing else is wrong. The same on every rank.
struct MissingDataError : DataError {
  using DataError::DataError;
};

/// Reads the TOML file `path`, behind the file that its `base` names, applies the overrides ("section.key=value"; later
/// ones win; a bare word is text where the key is text), and checks every value, all cross-key rules (validate.hpp) and
/// that something reads every key that was set to another value than its default (readers.hpp): with the values of the
/// file that sets it, or of a later file or the command line. A file that sets nearly every key, as resolved ones do,
/// is not held to it. `base` is a path relative to the file; the later value wins. All problems are told at once:
/// InputError with one line each, "file:line: key: got ..., expected ...; did you mean ...?", or MissingDataError if
/// the missing data set is the only one. Nothing is written and nothing allocated.
LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides = {},
                         DataCheck data = DataCheck::required);

/// The same from text, e.g. the resolved input stored in a checkpoint; `name` stands for the file in messages, and a
/// `base` is relative to its folder.
LoadedConfig load_config_text(const std::string& text, const std::string& name,
                              const std::vector<std::string>& overrides = {}, DataCheck data = DataCheck::required);

} // namespace weft
