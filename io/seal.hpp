// What HDF5 leaves unprotected. Its 1.10 format puts checksums on every structure but the heaps in which texts of
// variable length lie (and h5py gives only such texts back as str); the library does not survive a damaged heap. So a
// finished file gets a line after the end of the HDF5 part that holds a digest of its heaps. Other programs do not see
// it, and it goes when one of them changes the file.
#pragma once
#include <string>

namespace weft {

/// Appends the seal to a finished and closed HDF5 file. Error (status 1) where that cannot be written.
void seal(const std::string& path);
/// To be called before the library opens a file: DataError where the file ends early, its seal is damaged or its heaps
/// are not those that were sealed. Files without a seal (those of other programs) pass: false.
bool check_seal(const std::string& path);

} // namespace weft
