// NumPy's .npy files of text, which is all that Pathfinder's metadata needs.
#pragma once
#include <string>
#include <vector>

namespace weft {

bool is_npy(const std::string& bytes);

/// The rows of a .npy file of version 1 to 3 that holds a one- or two-dimensional array of text ("|S13", "<U13"), its
/// columns joined by blanks: what the same array looks like in a text file. Nothing is ever unpickled. DataError,
/// naming `name`, at any other type, a shape that does not fit the bytes, or text that is not ASCII.
std::vector<std::string> npy_rows(const std::string& bytes, const std::string& name);

} // namespace weft
