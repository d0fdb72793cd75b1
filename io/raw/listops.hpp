// ListOps as published: the Long Range Arena's files and the original ones of 2018.
#pragma once
#include "io/raw/listops_set.hpp"
#include <string>
#include <vector>

namespace weft {

/// Prepares `folder` from the files named train, val (or valid) and test, with or without "basic_" before and anything
/// behind, that end in .tsv (or .tsv.gz ...): named one by one, in a folder, or in an archive, such as lra_release.gz,
/// of which everything else is passed over. Each has a header (Source, Target in either order) and rows in that order,
/// or no header and rows of value, tab, expression. Where a source holds more than one such set (the release has two
/// copies) the innermost is taken; the note says so and whether they are the same.
///
/// Every expression must be whole, with the official parentheses, and every label its value.
///
/// `held_out`: -1: the files' own valid split; where there is none, 4 % of the training rows (floor) are held out as
/// hold_out(order, count, "weft listops ") says. 0 or more: so many, and 0 for the test rows as valid; an InputError
/// where the files have a valid split.
///
/// `characters`: rows with other lengths are left out. InputError where a file then has none.
///
/// DataError, naming file and line, at anything else than this; where train or test is missing.
Prepared prepare_listops(const std::vector<std::string>& from, const std::string& folder, const ListOpsShape& shape,
                         std::int64_t held_out = -1, Console* console = nullptr,
                         const ListOpsCharacters& characters = {});

} // namespace weft
