// A ListOps data set on its way from expressions, read or drawn, to shards and to the official files.
#pragma once
#include "io/raw/example_splits.hpp"
#include "io/raw/listops_text.hpp"
#include <string>

namespace weft {

/// The two forms of the official files.
enum class ListOpsForm {
  arena, ///< basic_train.tsv, basic_val.tsv, basic_test.tsv: header Source, Target; expression, tab, value, CR LF
  d20    ///< train_d20s.tsv, val_d20s.tsv, test_d20s.tsv (2018): no header; value, tab, expression, LF
};
std::string listops_file(ListOpsForm form, int split); ///< its name

/// Expressions as their symbols, labels their values.
struct ListOpsSet {
  explicit ListOpsSet(const std::string& folder) : rows(folder) {}
  StagedRows rows;
  RowOrder order;
};

/// How a set becomes shards.
struct ListOpsShape {
  ListOpsTokens tokens = ListOpsTokens::lra;
  std::int64_t length = 0; ///< of a row, padding included; longer expressions lose their end; 0: 2000, or 6000 or
                           ///< 8000 where a symbol has up to three or four tokens
  int shards = 1;
};

/// Writes the splits, 10 classes, into the folder under construction and drops the staged rows. source_sha256 is that
/// of the arena's three files of these splits, train, valid, test, one after the other. Fills `splits`, `unit` and
/// `note` (vocabulary with its SHA-256, lengths, shares of the classes in train, how many rows were cut). `tsv` (may be
/// empty): another folder, into which the official files are written as well. InputError where a split is empty.
Prepared write_listops(const std::string& folder, ListOpsSet& set, const ListOpsShape& shape, const std::string& tsv,
                       ListOpsForm form, Console* console);

} // namespace weft
