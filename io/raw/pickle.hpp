// The one kind of Python pickle that is read here: a batch of the Python version of CIFAR-10.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// `data` is rows x columns bytes, row after row; `labels` has one number per row.
struct PickledBatch {
  std::int64_t rows = 0, columns = 0;
  std::string data;
  std::vector<std::int64_t> labels;
};

/// Reads a pickle of protocol 2 that is one dictionary with the entries "data" (a two-dimensional numpy array of uint8
/// in C order) and "labels" (a list of integers), with text keys or byte keys; other entries (file names) are read and
/// left out. A pickle is a program; nothing is ever called here: the only names it may use are those of which such an
/// array consists, and these are understood, not run. DataError, naming `name` and the place, at any other opcode, name
/// or protocol, at a type or count that does not fit, and where the bytes end early or go on.
/// Opcodes as CPython's pickletools documents them.
PickledBatch read_pickled_batch(const std::string& bytes, const std::string& name);

} // namespace weft
