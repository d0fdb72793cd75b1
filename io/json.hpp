// JSON to write: what run folders hold beside HDF5.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace weft {

std::string json_text(std::string_view text); ///< in quotes, escaped
std::string json_list(const std::vector<std::string>& texts);
std::string json_lines(const std::vector<std::string>& texts, const std::string& indent); ///< a list, a text per line
std::string json_number(double value); ///< shortest text that reads back as the same number; null where not finite

/// An object of name/value pairs, one per line, the values being JSON already.
class JsonObject {
 public:
  explicit JsonObject(std::string indent = "") : indent_(std::move(indent)) {}
  JsonObject& add(std::string_view name, const std::string& json);
  std::string json() const { return "{" + body_ + "\n" + indent_ + "}"; }

 private:
  std::string indent_, body_;
};

} // namespace weft
