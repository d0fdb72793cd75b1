#include "io/json.hpp"
#include <cmath>
#include <fmt/format.h>

namespace weft {

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  return out + "\"";
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts)
    out += (out.size() > 1 ? ", " : "") + json_text(text);
  return out + "]";
}

std::string json_lines(const std::vector<std::string>& texts, const std::string& indent) {
  std::string out = "[";
  for (const std::string& text : texts)
    out += fmt::format("{}\n{}  {}", out.size() > 1 ? "," : "", indent, json_text(text));
  return out + (texts.empty() ? "]" : "\n" + indent + "]");
}

std::string json_number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

JsonObject& JsonObject::add(std::string_view name, const std::string& json) {
  body_ += fmt::format("{}\n{}  {}: {}", body_.empty() ? "" : ",", indent_, json_text(name), json);
  return *this;
}

} // namespace weft
