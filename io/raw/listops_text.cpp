#include "io/raw/listops_text.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace weft {
namespace {

constexpr std::string_view words[listops_symbols] = {"0", "1",    "2",    "3",    "4",   "5", "6", "7", "8",
                                                     "9", "[MIN", "[MAX", "[MED", "[SM", "]", "(", ")"};

bool operation(std::uint8_t symbol) { return symbol >= listops_min && symbol <= listops_sm; }

std::uint8_t symbol_of(std::string_view word) {
  if (word.size() == 1 && word[0] >= '0' && word[0] <= '9')
    return static_cast<std::uint8_t>(word[0] - '0');
  for (std::uint8_t symbol = listops_symbols - 1; symbol >= listops_min; --symbol) // parentheses first: most are
    if (word == words[symbol])
      return symbol;
  throw DataError(
      fmt::format("\"{}\" is no symbol of ListOps (digits, [MIN, [MAX, [MED, [SM, ], (, ))", shown(word, 20)));
}

/// How the tokenizer of the published runs of MEGA counts (docs/listops_study.md).
constexpr std::string_view parts[] = {"<pad>", "<unk>", "<cls>", "<sep>", "<mask>", "(",   ")", "[",
                                      "]",     "8",     "7",     "9",     "5",      "4",   "6", "3",
                                      "1",     "0",     "2",     "MIN",   "MED",    "MAX", "SM"};
std::uint16_t part(std::string_view word) {
  return static_cast<std::uint16_t>(std::find(std::begin(parts), std::end(parts), word) - std::begin(parts));
}

/// The value of one list; `arguments` is reordered.
int applied(std::uint8_t symbol, int* arguments, std::size_t count) {
  switch (symbol) {
  case listops_min:
    return *std::min_element(arguments, arguments + count);
  case listops_max:
    return *std::max_element(arguments, arguments + count);
  case listops_med:
    std::sort(arguments, arguments + count);
    return (arguments[(count - 1) / 2] + arguments[count / 2]) / 2;
  default: {
    int sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += arguments[i];
    return sum % 10;
  }
  }
}

} // namespace

std::string shown(std::string_view text, std::size_t most) {
  std::string all(text.substr(0, most));
  for (char& c : all)
    c = c >= ' ' && c <= '~' ? c : '?';
  return all;
}

std::string_view listops_word(std::uint8_t symbol) { return words[symbol]; }

int listops_value(const ListOps& symbols) {
  struct Open {
    std::uint8_t symbol;
    std::size_t first; // of its arguments
  };
  std::vector<Open> open;
  std::vector<int> values;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (i > 0 && open.empty())
      throw DataError(fmt::format("the expression is over after {} of {} symbols", i, symbols.size()));
    const std::uint8_t symbol = symbols[i];
    if (symbol < 10) {
      values.push_back(symbol);
    } else if (operation(symbol)) {
      open.push_back({symbol, values.size()});
    } else {
      if (open.empty() || symbol != listops_close)
        throw DataError(fmt::format("the {} of the expression is \"{}\", which cannot stand there", i + 1,
                                    symbol < listops_symbols ? words[symbol] : "?"));
      const Open last = open.back();
      open.pop_back();
      if (values.size() == last.first)
        throw DataError(fmt::format("a list {} has no argument", words[last.symbol]));
      const int value = applied(last.symbol, values.data() + last.first, values.size() - last.first);
      values.resize(last.first);
      values.push_back(value);
    }
  }
  if (!open.empty() || values.size() != 1)
    throw DataError(symbols.empty() ? "the expression is empty"
                                    : fmt::format("{} lists of the expression are not closed", open.size()));
  return values.front();
}

std::vector<std::uint8_t> with_parentheses(const ListOps& symbols) {
  // How many arguments each list has is known at its end only.
  std::vector<std::size_t> arguments(symbols.size(), 0), open;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i] == listops_close) {
      open.pop_back();
      continue;
    }
    if (!open.empty())
      ++arguments[open.back()];
    if (operation(symbols[i]))
      open.push_back(i);
  }
  std::vector<std::uint8_t> all;
  all.reserve(3 * symbols.size());
  for (std::size_t i = 0, depth = 0; i < symbols.size(); ++i) {
    if (operation(symbols[i])) {
      all.insert(all.end(), arguments[i] + 1, listops_open_parenthesis);
      all.push_back(symbols[i]);
      ++depth;
      continue;
    }
    all.push_back(symbols[i]);
    if (symbols[i] == listops_close) {
      all.push_back(listops_close_parenthesis);
      --depth;
    }
    if (depth > 0) // it was an argument
      all.push_back(listops_close_parenthesis);
  }
  return all;
}

std::string listops_text(const ListOps& symbols) {
  std::string text;
  for (const std::uint8_t symbol : with_parentheses(symbols)) {
    if (!text.empty())
      text += ' ';
    text += words[symbol];
  }
  return text;
}

std::int64_t listops_characters(const ListOps& symbols) {
  const auto L = static_cast<std::int64_t>(symbols.size());
  std::int64_t sum = 2 * (L - 1) + 3 * (L - 1); // parentheses, and the blanks between 3 L - 2 words
  for (const std::uint8_t symbol : symbols)
    sum += static_cast<std::int64_t>(words[symbol].size());
  return sum;
}

ListOps read_listops(std::string_view text) {
  std::vector<std::uint8_t> all;
  ListOps symbols;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty())
      continue;
    all.push_back(symbol_of(word));
    if (all.back() <= listops_close)
      symbols.push_back(all.back());
  }
  listops_value(symbols); // refuses what is not whole
  if (all != with_parentheses(symbols))
    throw DataError("the parentheses are not those of a ListOps expression: ( ( ( [MAX 2 ) 9 ) ] )");
  return symbols;
}

const std::vector<std::string>& listops_tokens_names() {
  static const std::vector<std::string> names = {"lra", "lra2020", "brackets", "blind", "words"};
  return names;
}

ListOpsTokens listops_tokens_named(const std::string& name) {
  const auto& names = listops_tokens_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError(fmt::format("got --tokens {}, expected {}", name, fmt::join(names, ", ")));
  return static_cast<ListOpsTokens>(found - names.begin());
}

int listops_vocabulary(ListOpsTokens kind) {
  switch (kind) {
  case ListOpsTokens::lra:
    return 17;
  case ListOpsTokens::lra2020:
    return 16;
  case ListOpsTokens::blind:
    return 15;
  case ListOpsTokens::words:
    return static_cast<int>(std::size(parts));
  default:
    return 19;
  }
}

int listops_tokens_per_symbol(ListOpsTokens kind) {
  return kind == ListOpsTokens::lra || kind == ListOpsTokens::lra2020 ? 1 : kind == ListOpsTokens::words ? 4 : 3;
}

std::string listops_vocabulary_words(ListOpsTokens kind) {
  if (kind == ListOpsTokens::words)
    return fmt::format("{}", fmt::join(parts, " "));
  if (kind == ListOpsTokens::blind)
    return "<pad> 0 1 2 3 4 5 6 7 8 9 ] ( ) <unk>";
  std::string all = "<pad>";
  for (int token = 1; token < listops_vocabulary(kind) - 1; ++token) {
    const std::string_view word = words[token - 1];
    all += ' ';
    all += kind == ListOpsTokens::lra2020 && word.front() == '[' ? word.substr(1) : word;
  }
  return all + " <unk>";
}

std::vector<std::uint16_t> listops_tokens(const ListOps& symbols, ListOpsTokens kind) {
  std::vector<std::uint16_t> tokens;
  const bool whole = kind != ListOpsTokens::lra && kind != ListOpsTokens::lra2020;
  for (const std::uint8_t symbol : whole ? with_parentheses(symbols) : symbols) {
    if (kind == ListOpsTokens::words) {
      std::string_view word = words[symbol];
      if (operation(symbol)) {
        tokens.push_back(part("["));
        word.remove_prefix(1);
      }
      tokens.push_back(part(word));
    } else if (kind == ListOpsTokens::blind) {
      tokens.push_back(static_cast<std::uint16_t>(operation(symbol) ? 14 : symbol < 10 ? symbol + 1 : symbol - 3));
    } else if (symbol != listops_close || kind != ListOpsTokens::lra2020) {
      tokens.push_back(static_cast<std::uint16_t>(symbol + 1));
    }
  }
  return tokens;
}

} // namespace weft
