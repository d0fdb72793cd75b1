// What the cross checks are written with: a broken rule, the keys it ties together, and where they were set.
#pragma once
#include "config/problems.hpp"
#include "config/readers.hpp"
#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

namespace weft {

class Checker {
 public:
  Checker(const LoadedConfig& loaded, Problems& problems)
      : loaded_(loaded), problems_(problems), copy_(loaded.config), readers_(copy_) {}
  Checker(const Checker&) = delete;

  /// True if none of these keys was found wrong already.
  bool sound(std::initializer_list<const char*> keys) const {
    return std::none_of(keys.begin(), keys.end(), [&](const char* key) { return problems_.names(key); });
  }

  /// Whether a run with these values reads the key: rules about others are none.
  bool reads(const char* key) const { return readers_.read(key); }

  /// Adds a problem at the first of the keys that was set (all sound, or nothing is added).
  void fail(std::initializer_list<const char*> keys, const std::string& text) {
    if (!sound(keys))
      return;
    const std::string key = blamed(keys);
    reported_.push_back({where(key), key, text});
  }
  void check(bool holds, std::initializer_list<const char*> keys, const std::string& text) {
    if (!holds)
      fail(keys, text);
  }

  /// Rules are judged against the values alone; only then are they added, so that one broken rule hides no other.
  void finish() {
    for (const Found& found : reported_)
      problems_.add(found.where, found.key, found.text);
  }

  std::string blamed(std::initializer_list<const char*> keys) const {
    for (const char* key : keys)
      if (loaded_.origins.count(key) > 0)
        return key;
    return *keys.begin();
  }
  Origin where(const std::string& key) const {
    const auto origin = loaded_.origins.find(key);
    return origin != loaded_.origins.end() ? origin->second : Origin{loaded_.file + " (by default)", 0};
  }

 private:
  struct Found {
    Origin where;
    std::string key, text;
  };
  const LoadedConfig& loaded_;
  Problems& problems_;
  Config copy_;
  Readers readers_;
  std::vector<Found> reported_;
};

/// The rules of data.task, [model] and [attention] (validate_model.cpp).
void check_model(const Config& config, Checker& rules);
void check_recurrent(const Config& config, Checker& rules); ///< called by check_model

} // namespace weft
