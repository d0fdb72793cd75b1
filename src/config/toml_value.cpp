#include "config/toml_value.hpp"
#include <fmt/format.h>
#include <sstream>

namespace weft {

std::string got_text(const toml::node& node) {
  const char* type = "";
  switch (node.type()) {
  case toml::node_type::table:
    return "a section";
  case toml::node_type::string:
    type = "text";
    break;
  case toml::node_type::integer:
    type = "an integer";
    break;
  case toml::node_type::floating_point:
    type = "a number";
    break;
  case toml::node_type::boolean:
    type = "true or false";
    break;
  case toml::node_type::array:
    type = "a list";
    break;
  default:
    type = "a date or time";
    break;
  }
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  std::string text;
  for (const char c : out.str()) // lists within lists come in many lines
    if (c != '\n' && (c != ' ' || text.empty() || text.back() != ' '))
      text += c;
    else if (c == '\n')
      text += text.empty() || text.back() == ' ' ? "" : " ";
  constexpr std::size_t most = 200;
  if (text.size() > most)
    text = text.substr(0, most) + " ...";
  return fmt::format("{} ({})", text, type);
}

namespace {

template <class T>
bool assign_list(const toml::node& node, std::vector<T>& to) {
  const toml::array* list = node.as_array();
  if (list == nullptr)
    return false;
  std::vector<T> values;
  for (const toml::node& entry : *list) {
    const auto value = entry.value_exact<T>();
    if (!value)
      return false;
    values.push_back(*value);
  }
  to = std::move(values);
  return true;
}

} // namespace

bool assign(const toml::node& node, const Member& member) {
  if (auto* to = std::get_if<bool*>(&member)) {
    const auto value = node.value_exact<bool>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<std::int64_t*>(&member)) {
    const auto value = node.value_exact<std::int64_t>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<double*>(&member)) {
    if (const auto whole = node.value_exact<std::int64_t>())
      return **to = static_cast<double>(*whole), true;
    const auto value = node.value_exact<double>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<std::string*>(&member)) {
    const auto value = node.value_exact<std::string>();
    return value ? (**to = *value, true) : false;
  }
  if (auto* to = std::get_if<std::vector<std::int64_t>*>(&member))
    return assign_list(node, **to);
  auto* texts = std::get<std::vector<std::string>*>(member);
  if (const auto value = node.value_exact<std::string>())
    return *texts = {*value}, true;
  return assign_list(node, *texts);
}

} // namespace weft
