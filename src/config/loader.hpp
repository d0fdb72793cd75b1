// What load_config fills a Config with: files, each over the one that it starts from, then the command line.
#pragma once
#include "config/problems.hpp"
#include "config/readers.hpp"
#include <cstddef>
#include <set>
#include <string>
#include <toml++/toml.h>
#include <vector>

namespace weft {

// Inputs have a few thousand bytes. The TOML library's stack does not survive some tens of thousands of nested tables,
// and a dotted key ("a.a.a") makes one of every two bytes.
constexpr std::size_t most_input_bytes = 32768;

/// The file's bytes, one more than is taken at most: a device such as /dev/zero has no end. False, with errno, if it
/// cannot be read.
bool read_input(const std::string& path, std::string& text);

class Loader {
 public:
  Loader(LoadedConfig& loaded, Problems& problems)
      : loaded_(loaded), problems_(problems), keys_(keys_of(loaded.config)) {}

  /// The file's keys, over those of the file that it starts from. False if a text is not TOML at all.
  bool file(const std::string& text, const std::string& name);

  /// What is set up to here stands together: a key that these values read is in order, whatever comes later.
  void end_of_layer();

  /// Adds a problem for every key that was set to another value than its default, was not read then, and is not now.
  void check_read();

  void override_with(const std::string& argument);

 private:
  /// The file that `base` names, first. False if a text is not TOML at all.
  bool start_from(const toml::node& base, const Origin& where);

  void entry(const std::string& word, const toml::node& node, const Origin& where);

  /// Whether it cannot be said who reads the key, since a key that decides on it is wrong itself.
  bool doubtful(const Readers& readers, const Key& key) const;

  void section(const std::string& name, const toml::table& table);

  void set(const Key& key, const toml::node& node, const Origin& where);

  const Key* find(const std::string& name) const;

  std::string key_hint(const std::string& name);
  std::string section_hint(const std::string& name);

  LoadedConfig& loaded_;
  Problems& problems_;
  std::vector<Key> keys_;
  std::vector<std::string> chain_; ///< the files that are open, each the start of the one before
  std::string file_;               ///< the one whose keys are set
  std::set<std::string> set_now_;  ///< keys that it sets
  std::set<std::string> read_;     ///< keys that were set where something read them
};

} // namespace weft
