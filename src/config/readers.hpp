// Who reads a key: the column `of` of the table, asked of a config.
#pragma once
#include "config/keys.hpp"
#include <string>
#include <vector>

namespace weft {

/// The keys of one config, by name. `config` must outlive it.
class Readers {
 public:
  explicit Readers(Config& config);

  /// Whether a run with these values reads the key: it has no column `of`, or one of its readers has all its conditions
  /// met, by keys that are read themselves. InputError for a name that is no key.
  bool read(const std::string& name) const;

  /// Why not: `attention.pattern = "strided" reads stride, window`.
  std::string reason(const std::string& name) const;

  const Key& key(const std::string& name) const;
  const std::vector<Key>& keys() const { return keys_; }

 private:
  bool met(const Condition& condition) const;
  std::vector<Key> keys_;
};

/// The same for a config that is not to be touched.
bool is_read(const Config& config, const std::string& name);

/// The column in words: "attention.pattern local or strided"; "" where every run reads the key. Keys of `section` are
/// named without it.
std::string readers_text(const Key& key, const std::string& section = "");

} // namespace weft
