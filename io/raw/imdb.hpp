// The IMDb review set (Maas et al. 2011) as bytes: the Text task of the Long Range Arena.
#pragma once
#include "io/raw/example_splits.hpp"
#include <string>
#include <vector>

namespace weft {

/// What the whole set must be.
struct KnownImdb {
  std::int64_t reviews = 12'500; ///< in each of train/neg, train/pos, test/neg, test/pos
  std::int64_t train_bytes = 33'132'823, test_bytes = 32'350'685;
};

struct ImdbShape {
  std::int64_t length = 1000; ///< of a row; longer reviews lose their end, as in the arena
  int shards = 1;
  std::int64_t held_out = 0; ///< training reviews that are the valid split; 0: valid is the test split, as in the arena
  bool allow_partial = false;
};

/// The token of byte b is b + 1, 0 is padding, vocabulary 257; label 0 neg, 1 pos. White space at both ends of a review
/// is left out. The reviews of a split are in the order of SHA-256("weft imdb " + name), name such as
/// train/neg/0_3.txt, so that the first ones hold both classes; held out are those that hold_out(order, held_out, "weft
/// imdb ") says. source_sha256: of the reviews in that order, train then test, each as a byte with the label, its bytes
/// and a 0.
///
/// Takes files {train,test}/{neg,pos}/<number>_<stars>.txt from folders or archives, whatever lies above; others are
/// passed over. DataError where there is none, where one is empty or there twice, or, unless allow_partial, some are
/// missing.
Prepared prepare_imdb(const std::vector<std::string>& from, const std::string& folder, const ImdbShape& shape,
                      Console* console = nullptr, const KnownImdb& known = {});

/// Without blanks, tabs and line ends at both ends.
std::string_view stripped(std::string_view text);
/// "<pad>" and the bytes, as the attribute `symbols` has them.
std::string byte_vocabulary_words();
constexpr int byte_vocabulary = 257;

} // namespace weft
