#include "io/hdf5.hpp"
#include "io/error.hpp"
#include "io/hdf5_calls.hpp"
#include "io/seal.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weft::hdf5 {
using namespace detail;

namespace {

Handle file_access() {
  Handle list(H5Pcreate(H5P_FILE_ACCESS));
  // The 1.10 format: every structure of the file has a checksum, which older ones lack.
  H5Pset_libver_bounds(list.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Pset_fclose_degree(list.get(), H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(list.get(), 1, 1); // some parallel file systems refuse locks; finished files need none
#endif
  return list;
}

/// Of a link whose groups are made as needed.
Handle with_groups() {
  Handle list(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(list.get(), 1);
  return list;
}

herr_t collect(hid_t, const char* name, const H5O_info_t* info, void* to) {
  if (info->type == H5O_TYPE_DATASET)
    static_cast<std::vector<std::string>*>(to)->push_back(name);
  return 0;
}

} // namespace

File File::create(const std::string& path) {
  const Lock lock;
  quiet();
  const Handle access = file_access();
  // Every write goes to the file at once: what fails must fail where it is told, not when a data set is closed, which
  // leaves the library with a broken object that it crashes on at the end of the program.
  H5Pset_sieve_buf_size(access.get(), 0);
  H5Pset_cache(access.get(), 0, 0, 0, 0);
  Handle handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()));
  if (!handle.valid())
    throw Error(exit_failure, fmt::format("cannot create {}: {}", path, reason()));
  return File(std::move(handle), path, true);
}

File File::open(const std::string& path) {
  const Lock lock;
  quiet();
  if (!std::filesystem::exists(path))
    throw DataError(fmt::format("there is no file {}", path));
  if (!std::filesystem::is_regular_file(path)) // a pipe would be waited for
    throw DataError(fmt::format("{} is no file but a folder, a pipe or a device, expected an HDF5 file", path));
  if (access(path.c_str(), R_OK) != 0)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  const bool sealed = check_seal(path);
  const Handle access = file_access();
  Handle handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!handle.valid())
    throw DataError(
        fmt::format("{} is not a whole HDF5 file (damaged, cut short, or of another kind): {}", path, reason()));
  return File(std::move(handle), path, false, sealed);
}

File File::open_to_write(const std::string& path) {
  const Lock lock;
  quiet();
  const Handle access = file_access();
  Handle handle(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()));
  if (!handle.valid())
    throw Error(exit_failure, fmt::format("cannot open {} to write: {}", path, reason()));
  return File(std::move(handle), path, true);
}

Dataset File::new_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape, hid_t creation) {
  std::vector<hsize_t> extent(shape.begin(), shape.end());
  const Handle space(shape.empty() ? H5Screate(H5S_SCALAR)
                                   : H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr));
  const Handle links = with_groups();
  Handle handle(
      H5Dcreate2(handle_.get(), name.c_str(), ids_of(type).file, space.get(), links.get(), creation, H5P_DEFAULT));
  if (!handle.valid())
    cannot_write(name, path_);
  return Dataset(std::move(handle), path_, name);
}

Dataset File::create_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape,
                             std::int64_t chunk) {
  const Lock lock;
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE));
  if (chunk > 0 && !shape.empty()) {
    std::vector<hsize_t> block(shape.begin(), shape.end());
    block[0] = static_cast<hsize_t>(shape[0] > 0 ? std::min(chunk, shape[0]) : chunk);
    for (hsize_t& size : block)
      size = std::max<hsize_t>(size, 1);
    H5Pset_chunk(creation.get(), static_cast<int>(block.size()), block.data());
    H5Pset_fletcher32(creation.get());
    if (type != Type::other && shape[0] > 0)
      chunked_.emplace_back(name, static_cast<std::int64_t>(block[0]));
  }
  return new_dataset(name, type, shape, creation.get());
}

Dataset File::reserve_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape) {
  const Lock lock;
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  return new_dataset(name, type, shape, creation.get());
}

Dataset File::dataset(const std::string& name) const {
  const Lock lock;
  Handle handle(H5Dopen2(handle_.get(), name.c_str(), H5P_DEFAULT));
  if (!handle.valid())
    cannot_read("data set " + name, path_);
  Dataset found(std::move(handle), path_, name);
  if (sealed_) // where another program has changed the file, the seal is gone and the sums are not of its numbers
    found.use_sums();
  return found;
}

bool File::has(const std::string& name) const {
  const Lock lock;
  for (std::size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1))
    if (H5Lexists(handle_.get(), name.substr(0, end).c_str(), H5P_DEFAULT) <= 0)
      return false;
  return H5Lexists(handle_.get(), name.c_str(), H5P_DEFAULT) > 0;
}

void File::create_group(const std::string& name) {
  const Lock lock;
  const Handle links = with_groups();
  const Handle group(H5Gcreate2(handle_.get(), name.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT));
  if (!group.valid())
    cannot_write("group " + name, path_);
}

std::vector<std::string> File::datasets() const {
  const Lock lock;
  std::vector<std::string> names;
  if (H5Ovisit2(handle_.get(), H5_INDEX_NAME, H5_ITER_INC, collect, &names, H5O_INFO_BASIC) < 0)
    cannot_read("the list of data sets", path_);
  std::sort(names.begin(), names.end());
  return names;
}

void File::set_attribute(const std::string& name, const Attribute& value) {
  const Lock lock;
  const Handle root(H5Gopen2(handle_.get(), "/", H5P_DEFAULT));
  write_attribute(root.get(), name, value, path_);
}

Attributes File::attributes() const {
  const Lock lock;
  const Handle root(H5Gopen2(handle_.get(), "/", H5P_DEFAULT));
  if (!root.valid())
    cannot_read("the root group", path_);
  return read_attributes(root.get(), "the file", path_);
}

void File::set_attributes(const Attributes& attributes) {
  const Lock lock;
  for (const auto& [name, value] : attributes)
    set_attribute(name, value);
}

File::~File() {
  const Lock lock;
  if (!writing_ || !handle_.valid())
    return;
  // Given up half-way, perhaps on a full disk. The library keeps a file that it cannot flush; so what it still wants to
  // write goes to memory, and closing succeeds in most cases.
  void* descriptor = nullptr;
  const int memory = memfd_create("weft", MFD_CLOEXEC);
  if (memory < 0)
    return;
  if (H5Fget_vfd_handle(handle_.get(), H5P_DEFAULT, &descriptor) >= 0 && descriptor != nullptr)
    dup2(memory, *static_cast<int*>(descriptor));
  ::close(memory);
}

void File::close_unsealed() {
  const Lock lock;
  if (H5Fflush(handle_.get(), H5F_SCOPE_GLOBAL) < 0)
    cannot_write("the end", path_);
  if (H5Fclose(handle_.release()) < 0)
    cannot_write("the end", path_);
}

void File::close() {
  if (!handle_.valid())
    return;
  if (writing_)
    for (const auto& [name, rows] : chunked_)
      dataset(name).write_sums(rows);
  close_unsealed();
  if (writing_)
    seal(path_);
}

} // namespace weft::hdf5
