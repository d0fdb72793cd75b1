// What every call of the HDF5 library here shares: the lock, the reason of a failure, element types, attributes. For
// io/hdf5*.cpp only.
#pragma once
#include "io/hdf5.hpp"
#include <mutex>

namespace weft::hdf5::detail {

/// Recursive, because the functions here call each other. The library keeps its last error beside the files, so a
/// function holds the lock until it has asked for the reason of a failure.
extern std::recursive_mutex one_at_a_time;
class Lock {
  std::lock_guard<std::recursive_mutex> guard_{one_at_a_time};
};

/// The library prints its error stack to stderr; we collect the innermost reason for our own message instead.
void quiet();
/// The innermost reason of the call that failed last; it is forgotten.
std::string reason();
/// DataError, or Error with status 1: `what` of the file `path` could not be read, or written, and the reason.
[[noreturn]] void cannot_read(const std::string& what, const std::string& path);
[[noreturn]] void cannot_write(const std::string& what, const std::string& path);

/// The library's names of an element type, in files and in memory; -1 for Type::other.
struct TypeIds {
  hid_t file, memory;
};
TypeIds ids_of(Type type);

/// The attributes of an object that are one number or one text; others are passed over. `what` and `path` name it in
/// a DataError.
Attributes read_attributes(hid_t object, const std::string& what, const std::string& path);
/// Writes one attribute, in place of one of this name. Error with status 1 if that fails.
void write_attribute(hid_t object, const std::string& name, const Attribute& value, const std::string& path);

} // namespace weft::hdf5::detail
