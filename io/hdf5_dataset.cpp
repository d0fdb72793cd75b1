#include "io/error.hpp"
#include "io/hdf5_calls.hpp"
#include <fmt/core.h>

namespace weft::hdf5 {
using namespace detail;

std::size_t bytes_of(Type type) {
  constexpr std::size_t bytes[] = {1, 2, 4, 8, 4, 8, 0}; // in the order of Type
  return bytes[static_cast<std::size_t>(type)];
}

Dataset::Dataset(Handle handle, std::string file, std::string name)
    : handle_(std::move(handle)), file_(std::move(file)), name_(std::move(name)) {
  const Lock lock;
  const Handle space(H5Dget_space(handle_.get()));
  const Handle type(H5Dget_type(handle_.get()));
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0 || !type.valid())
    cannot_read(name_, file_);
  std::vector<hsize_t> extent(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr);
  shape_.assign(extent.begin(), extent.end());
  for (const Type candidate : {Type::u8, Type::u16, Type::i32, Type::i64, Type::f32, Type::f64})
    if (H5Tequal(type.get(), ids_of(candidate).file) > 0)
      type_ = candidate;
}

std::int64_t Dataset::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape_)
    count *= extent;
  return count;
}

void Dataset::read(Type type, void* to) const {
  const Lock lock;
  if (elements() > 0 && H5Dread(handle_.get(), ids_of(type).memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0)
    cannot_read(name_, file_);
}

void Dataset::write(Type type, const void* from) {
  const Lock lock;
  if (elements() > 0 && H5Dwrite(handle_.get(), ids_of(type).memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, from) < 0)
    cannot_write(name_, file_);
}

void Dataset::transfer_rows(std::int64_t first, std::int64_t count, Type type, void* to, const void* from) const {
  const Lock lock;
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
  const hid_t memory = ids_of(type).memory;
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
  const Lock lock;
  write_attribute(handle_.get(), name, value, file_);
}

Attributes Dataset::attributes() const {
  const Lock lock;
  return read_attributes(handle_.get(), name_, file_);
}

std::int64_t Dataset::offset() const {
  const Lock lock;
  const haddr_t address = H5Dget_offset(handle_.get());
  return address == HADDR_UNDEF ? -1 : static_cast<std::int64_t>(address);
}

} // namespace weft::hdf5
