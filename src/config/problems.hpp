// The list that parsing and validation both add to, so that a person is told everything at once.
#pragma once
#include "config/parse.hpp"
#include <set>
#include <string>
#include <vector>

namespace weft {

class Problems {
 public:
  /// `key` may be empty (syntax errors, unknown sections). A key named here takes no part in later cross checks.
  void add(const Origin& where, const std::string& key, const std::string& text);
  void add_missing_data(const Origin& where, const std::string& key, const std::string& text);

  /// Keys that are probably meant by something misspelt: no message, but no part in cross checks either.
  void doubt(const std::string& key) { keys_.insert(key); }

  bool empty() const { return list_.empty(); }
  bool names(const std::string& key) const { return keys_.count(key) > 0; }
  std::vector<std::string> lines() const; ///< "file:line: key: text", in the order of the file, then the command line

  /// Throws InputError, or MissingDataError if that is all there is; returns if the list is empty.
  void throw_if_any() const;

 private:
  struct Problem {
    Origin where;
    std::string line;
    bool data = false;
  };
  std::vector<Problem> list_;
  std::set<std::string> keys_;
};

} // namespace weft
