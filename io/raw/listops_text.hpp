// ListOps expressions (Nangia and Bowman 2018; the Long Range Arena's longer ones): their symbols, text and value.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// One byte per symbol: a digit is itself; parentheses are part of the text and of one tokenisation only.
enum ListOpsSymbol : std::uint8_t {
  listops_min = 10,
  listops_max,
  listops_med,
  listops_sm,
  listops_close, ///< ]
  listops_open_parenthesis,
  listops_close_parenthesis,
  listops_symbols
};
/// An expression in prefix order, such as [MAX 2 9 [MIN 4 7 ] ], without parentheses.
using ListOps = std::vector<std::uint8_t>;

/// At most `most` characters of a text for a message: a zero would end it, and others upset a terminal.
std::string shown(std::string_view text, std::size_t most);
/// "0" .. "9", "[MIN", "[MAX", "[MED", "[SM", "]", "(", ")"
std::string_view listops_word(std::uint8_t symbol);

/// The value of an expression, 0 to 9: MIN, MAX, MED (the middle value; for an even count the mean of the two middle
/// ones, its fraction cut off), SM (sum modulo 10). DataError where the symbols are not one whole expression.
int listops_value(const ListOps& symbols);

/// The symbols with the parentheses of the official files: the binary tree that leans to the left, in which a list
/// begins as its operator, takes one argument after the other, `( <so far> <argument> )`, and at last its `]`.
/// L symbols become 3 L - 2. The symbols must be a whole expression.
std::vector<std::uint8_t> with_parentheses(const ListOps& symbols);

/// "( ( ( [MAX 2 ) 9 ) ] )": with_parentheses as words with blanks between them.
std::string listops_text(const ListOps& symbols);

/// Its length, without making it.
std::int64_t listops_characters(const ListOps& symbols);

/// Lengths of a text in characters that are taken.
struct ListOpsCharacters {
  std::int64_t least = 0, below = 0; ///< least <= characters < below; below = 0: any
  bool take(std::int64_t characters) const { return characters >= least && (below == 0 || characters < below); }
};

/// The symbols of such a text. DataError at any other word, where it is not a whole expression, and where its
/// parentheses are not those of with_parentheses.
ListOps read_listops(std::string_view text);

/// How expressions become tokens; 0 is padding in all of them.
enum class ListOpsTokens {
  lra,      ///< the arena since March 2021: digits 1-10, MIN MAX MED SM 11-14, ] 15; 16 stands for unknown words
  lra2020,  ///< the arena before: brackets were lost; digits 1-10, MIN MAX MED SM 11-14; 15 unknown
  brackets, ///< everything: as lra, ( 16, ) 17; 18 unknown
  blind,    ///< digits 1-10, ] 11, ( 12, ) 13; every operator is the unknown word 14: a fault of published runs
  words ///< everything, [ and the operator apart, with the five special words and the order of a published tokenizer
};
/// "lra", "lra2020", ...
const std::vector<std::string>& listops_tokens_names();
ListOpsTokens listops_tokens_named(const std::string& name); ///< InputError at another name
/// Tokens are below this: 17, 16, 19, 15, 23.
int listops_vocabulary(ListOpsTokens kind);
/// What the tokens mean, in order, with blanks between: "<pad> 0 1 ... ] <unk>".
std::string listops_vocabulary_words(ListOpsTokens kind);
/// Tokens of an expression of L symbols are below this times L.
int listops_tokens_per_symbol(ListOpsTokens kind);
/// The tokens of an expression.
std::vector<std::uint16_t> listops_tokens(const ListOps& symbols, ListOpsTokens kind);

} // namespace weft
