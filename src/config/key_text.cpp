// Keys in words: types, limits, values, and the nearest name to a misspelt one.
#include "config/keys.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace weft {
namespace {

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

/// The shortest decimal that parses back to the same double, always written so that TOML reads a float.
std::string toml_number(double x) {
  if (std::isnan(x))
    return "nan";
  if (std::isinf(x))
    return x > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", x);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text;
}

std::string toml_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04X}", static_cast<int>(c));
    else
      out += c;
  }
  return out + "\"";
}

bool within(double x, const Limits& limits) {
  return (limits.low_open ? x > limits.low : x >= limits.low) &&
         (limits.high_open ? x < limits.high : x <= limits.high);
}

std::string range_text(const Limits& limits) {
  const bool low = std::isfinite(limits.low), high = std::isfinite(limits.high);
  if (low && high)
    return fmt::format(" in {}{}, {}{}", limits.low_open ? '(' : '[', limits.low, limits.high,
                       limits.high_open ? ')' : ']');
  if (low)
    return fmt::format(" {} {}", limits.low_open ? ">" : ">=", limits.low);
  if (high)
    return fmt::format(" {} {}", limits.high_open ? "<" : "<=", limits.high);
  return "";
}

} // namespace

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    Config config;
    for (const Key& key : keys_of(config))
      if (all.empty() || all.back() != key.section())
        all.push_back(key.section());
    return all;
  }();
  return names;
}

std::string type_text(const Key& key) {
  static const char* names[] = {"true or false", "integer",          "number",
                                "text",          "list of integers", "text or list of texts"};
  return names[key.value.index()];
}

std::string expected_text(const Key& key) {
  if (!key.limits.words.empty())
    return fmt::format("one of {}", joined(key.limits.words, ", "));
  static const char* names[] = {"true or false",  "an integer",         "a number",
                                "text in quotes", "a list of integers", "text or a list of texts"};
  const std::string range = range_text(key.limits);
  const bool list = key.value.index() == 4;
  return names[key.value.index()] + (list && !range.empty() ? ", each" + range : range);
}

std::string value_text(const Key& key) {
  const auto list = [](const auto& values, const auto& write) {
    std::string out = "[";
    for (std::size_t i = 0; i < values.size(); ++i)
      out += (i > 0 ? ", " : "") + write(values[i]);
    return out + "]";
  };
  return std::visit(overloaded{[](const bool* x) -> std::string { return *x ? "true" : "false"; },
                               [](const std::int64_t* x) { return std::to_string(*x); },
                               [](const double* x) { return toml_number(*x); },
                               [](const std::string* x) { return toml_text(*x); },
                               [&](const std::vector<std::int64_t>* x) {
                                 return list(*x, [](std::int64_t i) { return std::to_string(i); });
                               },
                               [&](const std::vector<std::string>* x) {
                                 return x->size() == 1 ? toml_text(x->front()) : list(*x, toml_text);
                               }},
                    key.value);
}

std::string plain_text(const Key& key) {
  if (const auto* text = std::get_if<std::string*>(&key.value))
    return **text;
  if (const auto* texts = std::get_if<std::vector<std::string>*>(&key.value))
    return joined(**texts, ", ");
  return value_text(key);
}

std::string limits_violation(const Key& key) {
  const auto outside = [&](double x) { return !std::isfinite(x) || !within(x, key.limits); };
  const bool bad =
      std::visit(overloaded{[](const bool*) { return false; },
                            [&](const std::int64_t* x) { return outside(static_cast<double>(*x)); },
                            [&](const double* x) { return outside(*x); },
                            [&](const std::string* x) {
                              const auto& words = key.limits.words;
                              return !words.empty() && std::find(words.begin(), words.end(), *x) == words.end();
                            },
                            [&](const std::vector<std::int64_t>* x) {
                              return std::any_of(x->begin(), x->end(),
                                                 [&](std::int64_t i) { return outside(static_cast<double>(i)); });
                            },
                            [](const std::vector<std::string>* x) { return x->empty(); }},
                 key.value);
  return bad ? "got " + value_text(key) : "";
}

// fmt::join would do, but GCC 12 warns falsely inside it at -O3.
std::string joined(const std::vector<std::string>& texts, std::string_view between) {
  std::string out;
  for (std::size_t i = 0; i < texts.size(); ++i)
    out.append(i > 0 ? between : "").append(texts[i]);
  return out;
}

std::string joined(const std::vector<std::int64_t>& numbers, std::string_view between) {
  std::vector<std::string> texts;
  for (const std::int64_t number : numbers)
    texts.push_back(std::to_string(number));
  return joined(texts, between);
}

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> before, last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before = last;
    last = now;
  }
  return last[b.size()];
}

namespace {

/// A misspelling worth answering: at most about a third of the letters are wrong.
bool near_enough(int distance, std::size_t letters) { return 3 * distance <= static_cast<int>(letters) + 2; }

} // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  int least = std::numeric_limits<int>::max();
  for (const std::string& candidate : candidates) {
    const int distance = edit_distance(word, candidate);
    if (distance < least && near_enough(distance, std::max(word.size(), candidate.size()))) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string nearest_key(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') == name.npos ? 0 : name.rfind('.') + 1);
  std::string best;
  int least = std::numeric_limits<int>::max();
  static Config config; // the table is large, and a file may have many names that nobody knows
  static const std::vector<Key> keys = keys_of(config);
  for (const Key& key : keys) {
    // Another section costs one point, so that the right key of a wrong section is found, but its own section first.
    const int full = edit_distance(name, key.name);
    const int part = edit_distance(last, key.last());
    const int distance = std::min(full, part + 1);
    const bool near = near_enough(part, std::max(last.size(), key.last().size()));
    if (near && distance < least) {
      least = distance;
      best = key.name;
    }
  }
  return best;
}

} // namespace weft
