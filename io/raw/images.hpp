// A folder of PNG files of one size, such as ImageNet 64x64.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <string>

namespace weft {

/// Prepares `folder` from all files of `raw` whose names end in .png (in any case; not those of folders in it) as
/// examples of 3 * width * height bytes by row, column, channel, label -1 (none), in RGB as read_png gives it.
///
/// Of n files, in the order in which the SHA-256 of the texts "weft images <name>" sorts them, the first
/// n - 2 floor(n/20) are train, the next floor(n/20) valid, the last floor(n/20) test (90, 5, 5 %). With `test`,
/// another such folder, its files are the test split and floor(4 %) of the others are valid. Within a split files are
/// in the order of their names.
///
/// DataError, naming the file, at a PNG file that is damaged or of another size than the first; where there are fewer
/// than 20 (25 with `test`) files.
Prepared prepare_images(const std::string& raw, const std::string& test, const std::string& folder, int shards);

} // namespace weft
