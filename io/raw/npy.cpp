#include "io/raw/npy.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fmt/core.h>
#include <string_view>

namespace weft {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::int64_t most_rows = 10'000'000, most_columns = 1000, most_width = 4096;

struct Header {
  char kind = 0; ///< S: bytes; U: 32-bit characters
  std::int64_t width = 0, rows = 0, columns = 1;
  std::size_t data = 0; ///< where it begins
};

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw DataError(fmt::format("{} cannot be used as a .npy file of text: {}; download it again", name, why));
}

/// What follows 'key': in the header, a Python dictionary; without the blanks before it.
std::string_view value_of(std::string_view text, const std::string& key, const std::string& name) {
  for (const char quote : {'\'', '"'}) {
    const std::size_t at = text.find(quote + key + quote);
    if (at == std::string_view::npos)
      continue;
    std::size_t begin = at + key.size() + 2;
    while (begin < text.size() && (text[begin] == ' ' || text[begin] == ':'))
      ++begin;
    return text.substr(begin);
  }
  refuse(name, "its header has no " + key);
}

std::int64_t number(std::string_view& text, std::int64_t most, const std::string& name) {
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits)
    if ((value = 10 * value + text[digits] - '0') > most)
      refuse(name, fmt::format("a number in its header is above {}", most));
  if (digits == 0)
    refuse(name, "a number is missing in its header");
  text.remove_prefix(digits);
  return value;
}

Header header_of(const std::string& bytes, const std::string& name) {
  Header header;
  const int version = bytes.size() > 7 ? static_cast<unsigned char>(bytes[6]) : 0;
  const std::size_t field = version == 1 ? 2 : 4, begin = magic.size() + 2 + field;
  if (version < 1 || version > 3 || bytes.size() < begin)
    refuse(name, "its version is not 1, 2 or 3, or it is cut short");
  std::size_t length = 0;
  for (std::size_t i = 0; i < field; ++i)
    length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[begin - field + i])) << (8 * i);
  if (length > bytes.size() - begin)
    refuse(name, "it is cut short");
  header.data = begin + length;
  const std::string_view text = std::string_view(bytes).substr(begin, length);
  std::string_view type = value_of(text, "descr", name);
  if (type.size() < 4 || (type[2] != 'S' && type[2] != 'U') || (type[2] == 'U' && type[1] != '<'))
    refuse(name, fmt::format("its type is {:.12}, expected text such as '|S13' or '<U13' (an array of objects is a "
                             "pickle, which is not run)",
                             type));
  header.kind = type[2];
  type.remove_prefix(3);
  header.width = number(type, most_width, name);
  if (value_of(text, "fortran_order", name).substr(0, 5) != "False")
    refuse(name, "it is stored by columns");
  std::string_view shape = value_of(text, "shape", name);
  if (shape.empty() || shape[0] != '(')
    refuse(name, "its shape is damaged");
  shape.remove_prefix(1);
  header.rows = number(shape, most_rows, name);
  while (!shape.empty() && (shape[0] == ',' || shape[0] == ' '))
    shape.remove_prefix(1);
  if (!shape.empty() && shape[0] != ')')
    header.columns = number(shape, most_columns, name);
  if (shape.empty() || shape[0] != ')')
    refuse(name, "it has more than two dimensions");
  return header;
}

} // namespace

bool is_npy(const std::string& bytes) { return std::string_view(bytes).substr(0, magic.size()) == magic; }

std::vector<std::string> npy_rows(const std::string& bytes, const std::string& name) {
  const Header header = header_of(bytes, name);
  const std::int64_t unit = header.kind == 'U' ? 4 : 1;
  const std::int64_t have = static_cast<std::int64_t>(bytes.size() - header.data);
  const std::int64_t field = header.width * unit, row_bytes = field * header.columns;
  if (row_bytes == 0 || have % row_bytes != 0 || have / row_bytes != header.rows)
    refuse(name, fmt::format("{} bytes follow its header, expected {} x {} texts of {} bytes", have, header.rows,
                             header.columns, field));
  std::vector<std::string> rows(static_cast<std::size_t>(header.rows));
  std::size_t at = header.data;
  for (std::string& row : rows)
    for (std::int64_t column = 0; column < header.columns; ++column) {
      if (column > 0)
        row += ' ';
      for (std::int64_t i = 0; i < header.width; ++i, at += static_cast<std::size_t>(unit)) {
        const char letter = bytes[at];
        for (std::int64_t k = 1; k < unit; ++k)
          if (bytes[at + static_cast<std::size_t>(k)] != '\0')
            refuse(name, "its text is not ASCII");
        if (static_cast<unsigned char>(letter) >= 128)
          refuse(name, "its text is not ASCII");
        if (letter != '\0')
          row += letter;
      }
    }
  return rows;
}

} // namespace weft
