#include "io/hdf5.hpp"
#include "io/error.hpp"
#include "io/seal.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace weft::hdf5 {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are written in memory order");

/// Recursive, because the functions here call each other. The library keeps its last error beside the files, so a
/// function holds the lock until it has asked for the reason of a failure.
std::recursive_mutex one_at_a_time;
using Lock = std::lock_guard<std::recursive_mutex>;

/// The library prints its error stack to stderr; we collect the innermost reason for our own message instead.
void quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

herr_t innermost(unsigned, const H5E_error2_t* error, void* to) {
  if (error->desc != nullptr && *error->desc != '\0')
    *static_cast<std::string*>(to) = error->desc;
  return 0;
}

std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, innermost, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "no reason given" : text;
}

[[noreturn]] void cannot_read(const std::string& what, const std::string& path) {
  throw DataError(fmt::format("cannot read {} of {}: {}; the file is damaged or incomplete", what, path, reason()));
}
[[noreturn]] void cannot_write(const std::string& what, const std::string& path) {
  throw Error(exit_failure, fmt::format("cannot write {} of {}: {}; is the disk full?", what, path, reason()));
}

hid_t file_type(Type type) {
  switch (type) {
  case Type::u8:
    return H5T_STD_U8LE;
  case Type::u16:
    return H5T_STD_U16LE;
  case Type::i32:
    return H5T_STD_I32LE;
  case Type::i64:
    return H5T_STD_I64LE;
  case Type::f32:
    return H5T_IEEE_F32LE;
  case Type::f64:
    return H5T_IEEE_F64LE;
  case Type::other:
    break;
  }
  return -1;
}

hid_t memory_type(Type type) {
  switch (type) {
  case Type::u8:
    return H5T_NATIVE_UINT8;
  case Type::u16:
    return H5T_NATIVE_UINT16;
  case Type::i32:
    return H5T_NATIVE_INT32;
  case Type::i64:
    return H5T_NATIVE_INT64;
  case Type::f32:
    return H5T_NATIVE_FLOAT;
  case Type::f64:
    return H5T_NATIVE_DOUBLE;
  case Type::other:
    break;
  }
  return -1;
}

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

Attributes read_attributes(hid_t object, const std::string& what, const std::string& path) {
  Attributes all;
  H5O_info_t info;
  if (H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS) < 0)
    cannot_read("the attributes of " + what, path);
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Handle attribute(H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute.valid())
      cannot_read("an attribute of " + what, path);
    std::vector<char> name(static_cast<std::size_t>(std::max<ssize_t>(H5Aget_name(attribute.get(), 0, nullptr), 0)) +
                           1);
    H5Aget_name(attribute.get(), name.size(), name.data());
    const std::string label = fmt::format("attribute {} of {}", name.data(), what);
    const Handle type(H5Aget_type(attribute.get()));
    const Handle space(H5Aget_space(attribute.get()));
    if (!type.valid() || !space.valid())
      cannot_read(label, path);
    if (H5Sget_simple_extent_npoints(space.get()) != 1)
      continue; // not one of ours
    const H5T_class_t kind = H5Tget_class(type.get());
    if (kind == H5T_INTEGER) {
      std::int64_t value = 0;
      if (H5Aread(attribute.get(), H5T_NATIVE_INT64, &value) < 0)
        cannot_read(label, path);
      all[name.data()] = value;
    } else if (kind == H5T_FLOAT) {
      double value = 0;
      if (H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, &value) < 0)
        cannot_read(label, path);
      all[name.data()] = value;
    } else if (kind == H5T_STRING && H5Tis_variable_str(type.get()) > 0) {
      char* value = nullptr;
      if (H5Aread(attribute.get(), type.get(), &value) < 0)
        cannot_read(label, path);
      all[name.data()] = std::string(value == nullptr ? "" : value);
      H5free_memory(value);
    } else if (kind == H5T_STRING) {
      std::string value(H5Tget_size(type.get()), '\0');
      if (H5Aread(attribute.get(), type.get(), value.data()) < 0)
        cannot_read(label, path);
      value.resize(std::min(value.size(), value.find('\0')));
      all[name.data()] = value;
    }
  }
  return all;
}

void write_attribute(hid_t object, const std::string& name, const Attribute& value, const std::string& path) {
  const Handle space(H5Screate(H5S_SCALAR));
  Handle type;
  hid_t type_id = -1;
  const void* from = nullptr;
  const char* text = nullptr;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    type_id = H5T_STD_I64LE;
    from = integer;
  } else if (const auto* real = std::get_if<double>(&value)) {
    type_id = H5T_IEEE_F64LE;
    from = real;
  } else {
    // Variable length is what h5py gives back as str; a fixed one would come back as bytes.
    type = Handle(H5Tcopy(H5T_C_S1));
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    type_id = type.get();
    text = std::get<std::string>(value).c_str();
    from = &text;
  }
  if (H5Aexists(object, name.c_str()) > 0)
    H5Adelete(object, name.c_str());
  const Handle attribute(H5Acreate2(object, name.c_str(), type_id, space.get(), H5P_DEFAULT, H5P_DEFAULT));
  if (!attribute.valid() || H5Awrite(attribute.get(), type_id, from) < 0)
    cannot_write("attribute " + name, path);
}

} // namespace

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}

Handle::~Handle() {
  const Lock lock(one_at_a_time);
  if (id_ >= 0 && H5Iis_valid(id_) > 0)
    H5Idec_ref(id_);
}

std::size_t bytes_of(Type type) {
  switch (type) {
  case Type::u8:
    return 1;
  case Type::u16:
    return 2;
  case Type::i32:
  case Type::f32:
    return 4;
  case Type::i64:
  case Type::f64:
    return 8;
  case Type::other:
    break;
  }
  return 0;
}

Dataset::Dataset(Handle handle, std::string file, std::string name)
    : handle_(std::move(handle)), file_(std::move(file)), name_(std::move(name)) {
  const Lock lock(one_at_a_time);
  const Handle space(H5Dget_space(handle_.get()));
  const Handle type(H5Dget_type(handle_.get()));
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0 || !type.valid())
    cannot_read(name_, file_);
  std::vector<hsize_t> extent(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr);
  shape_.assign(extent.begin(), extent.end());
  for (const Type candidate : {Type::u8, Type::u16, Type::i32, Type::i64, Type::f32, Type::f64})
    if (H5Tequal(type.get(), file_type(candidate)) > 0)
      type_ = candidate;
}

std::int64_t Dataset::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape_)
    count *= extent;
  return count;
}

void Dataset::read(Type type, void* to) const {
  const Lock lock(one_at_a_time);
  if (elements() > 0 && H5Dread(handle_.get(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0)
    cannot_read(name_, file_);
}

void Dataset::write(Type type, const void* from) {
  const Lock lock(one_at_a_time);
  if (elements() > 0 && H5Dwrite(handle_.get(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, from) < 0)
    cannot_write(name_, file_);
}

void Dataset::transfer_rows(std::int64_t first, std::int64_t count, Type type, void* to, const void* from) const {
  const Lock lock(one_at_a_time);
  if (shape_.empty() || first < 0 || count < 0 || first > shape_[0] - count)
    throw Error(exit_failure, fmt::format("rows {} to {} of {} in {} asked for, but it has {}", first, first + count,
                                          name_, file_, shape_.empty() ? 0 : shape_[0]));
  if (count == 0)
    return;
  std::vector<hsize_t> start(shape_.size(), 0), extent(shape_.begin(), shape_.end());
  start[0] = static_cast<hsize_t>(first);
  extent[0] = static_cast<hsize_t>(count);
  const Handle file_space(H5Dget_space(handle_.get()));
  const Handle memory_space(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr));
  const bool chosen =
      file_space.valid() && memory_space.valid() &&
      H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr) >= 0;
  const hid_t memory = memory_type(type);
  if (to != nullptr &&
      (!chosen || H5Dread(handle_.get(), memory, memory_space.get(), file_space.get(), H5P_DEFAULT, to) < 0))
    cannot_read(fmt::format("{}[{}:{}]", name_, first, first + count), file_);
  if (from != nullptr &&
      (!chosen || H5Dwrite(handle_.get(), memory, memory_space.get(), file_space.get(), H5P_DEFAULT, from) < 0))
    cannot_write(fmt::format("{}[{}:{}]", name_, first, first + count), file_);
}

void Dataset::read_rows(std::int64_t first, std::int64_t count, Type type, void* to) const {
  transfer_rows(first, count, type, to, nullptr);
}

void Dataset::write_rows(std::int64_t first, std::int64_t count, Type type, const void* from) {
  transfer_rows(first, count, type, nullptr, from);
}

void Dataset::set_attribute(const std::string& name, const Attribute& value) {
  const Lock lock(one_at_a_time);
  write_attribute(handle_.get(), name, value, file_);
}

Attributes Dataset::attributes() const {
  const Lock lock(one_at_a_time);
  return read_attributes(handle_.get(), name_, file_);
}

std::int64_t Dataset::offset() const {
  const Lock lock(one_at_a_time);
  const haddr_t address = H5Dget_offset(handle_.get());
  return address == HADDR_UNDEF ? -1 : static_cast<std::int64_t>(address);
}

File File::create(const std::string& path) {
  const Lock lock(one_at_a_time);
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
  const Lock lock(one_at_a_time);
  quiet();
  if (!std::filesystem::exists(path))
    throw DataError(fmt::format("there is no file {}", path));
  if (access(path.c_str(), R_OK) != 0)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  check_seal(path);
  const Handle access = file_access();
  Handle handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!handle.valid())
    throw DataError(
        fmt::format("{} is not a whole HDF5 file (damaged, cut short, or of another kind): {}", path, reason()));
  return File(std::move(handle), path, false);
}

File File::open_to_write(const std::string& path) {
  const Lock lock(one_at_a_time);
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
  const Handle links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  Handle handle(
      H5Dcreate2(handle_.get(), name.c_str(), file_type(type), space.get(), links.get(), creation, H5P_DEFAULT));
  if (!handle.valid())
    cannot_write(name, path_);
  return Dataset(std::move(handle), path_, name);
}

Dataset File::create_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape,
                             std::int64_t chunk) {
  const Lock lock(one_at_a_time);
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE));
  if (chunk > 0 && !shape.empty()) {
    std::vector<hsize_t> block(shape.begin(), shape.end());
    block[0] = static_cast<hsize_t>(shape[0] > 0 ? std::min(chunk, shape[0]) : chunk);
    for (hsize_t& size : block)
      size = std::max<hsize_t>(size, 1);
    H5Pset_chunk(creation.get(), static_cast<int>(block.size()), block.data());
    H5Pset_fletcher32(creation.get());
  }
  return new_dataset(name, type, shape, creation.get());
}

Dataset File::reserve_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape) {
  const Lock lock(one_at_a_time);
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  return new_dataset(name, type, shape, creation.get());
}

Dataset File::dataset(const std::string& name) const {
  const Lock lock(one_at_a_time);
  Handle handle(H5Dopen2(handle_.get(), name.c_str(), H5P_DEFAULT));
  if (!handle.valid())
    cannot_read("data set " + name, path_);
  return Dataset(std::move(handle), path_, name);
}

bool File::has(const std::string& name) const {
  const Lock lock(one_at_a_time);
  for (std::size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1))
    if (H5Lexists(handle_.get(), name.substr(0, end).c_str(), H5P_DEFAULT) <= 0)
      return false;
  return H5Lexists(handle_.get(), name.c_str(), H5P_DEFAULT) > 0;
}

void File::create_group(const std::string& name) {
  const Lock lock(one_at_a_time);
  const Handle links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  const Handle group(H5Gcreate2(handle_.get(), name.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT));
  if (!group.valid())
    cannot_write("group " + name, path_);
}

namespace {
herr_t collect(hid_t, const char* name, const H5O_info_t* info, void* to) {
  if (info->type == H5O_TYPE_DATASET)
    static_cast<std::vector<std::string>*>(to)->push_back(name);
  return 0;
}
} // namespace

std::vector<std::string> File::datasets() const {
  const Lock lock(one_at_a_time);
  std::vector<std::string> names;
  if (H5Ovisit2(handle_.get(), H5_INDEX_NAME, H5_ITER_INC, collect, &names, H5O_INFO_BASIC) < 0)
    cannot_read("the list of data sets", path_);
  std::sort(names.begin(), names.end());
  return names;
}

void File::set_attribute(const std::string& name, const Attribute& value) {
  const Lock lock(one_at_a_time);
  const Handle root(H5Gopen2(handle_.get(), "/", H5P_DEFAULT));
  write_attribute(root.get(), name, value, path_);
}

Attributes File::attributes() const {
  const Lock lock(one_at_a_time);
  const Handle root(H5Gopen2(handle_.get(), "/", H5P_DEFAULT));
  if (!root.valid())
    cannot_read("the root group", path_);
  return read_attributes(root.get(), "the file", path_);
}

void File::set_attributes(const Attributes& attributes) {
  const Lock lock(one_at_a_time);
  for (const auto& [name, value] : attributes)
    set_attribute(name, value);
}

File::~File() {
  const Lock lock(one_at_a_time);
  if (!writing_ || !handle_.valid())
    return;
  // Given up half-way, perhaps on a full disk. The library keeps a file that it cannot flush and crashes on it when the
  // program ends; so what it still wants to write goes to memory, and closing succeeds.
  rlimit size = {}; // which may be what made it fail, and would hit the memory, too
  if (getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur != size.rlim_max) {
    size.rlim_cur = size.rlim_max;
    setrlimit(RLIMIT_FSIZE, &size);
  }
  void* descriptor = nullptr;
  const int memory = memfd_create("weft", MFD_CLOEXEC);
  if (memory < 0)
    return;
  if (H5Fget_vfd_handle(handle_.get(), H5P_DEFAULT, &descriptor) >= 0 && descriptor != nullptr)
    dup2(memory, *static_cast<int*>(descriptor));
  ::close(memory);
}

void File::close_unsealed() {
  const Lock lock(one_at_a_time);
  if (H5Fflush(handle_.get(), H5F_SCOPE_GLOBAL) < 0)
    cannot_write("the end", path_);
  if (H5Fclose(handle_.release()) < 0)
    cannot_write("the end", path_);
}

void File::close() {
  if (!handle_.valid())
    return;
  close_unsealed();
  if (writing_)
    seal(path_);
}

} // namespace weft::hdf5
