#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/hdf5_calls.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft::hdf5 {
using namespace detail;
using namespace std::string_literals;

namespace {
constexpr const char* sums_name = "crc32c"; ///< an attribute, beside "crc32c_rows"
}

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
  check_rows(0, shape_.empty() ? 0 : shape_[0]);
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
  const Lock lock;
  check_rows(first, count);
  transfer_rows(first, count, type, to, nullptr);
}

std::uint32_t Dataset::crc_of(std::int64_t first, std::int64_t count) const {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(elements() / shape_[0] * count) * bytes_of(type_));
  transfer_rows(first, count, type_, bytes.data(), nullptr);
  return crc32c(bytes.data(), bytes.size());
}

void Dataset::write_sums(std::int64_t rows) {
  const Lock lock;
  std::vector<std::uint32_t> sums;
  for (std::int64_t first = 0; first < shape_[0]; first += rows)
    sums.push_back(crc_of(first, std::min(rows, shape_[0] - first)));
  set_attribute(sums_name + "_rows"s, rows);
  const hsize_t count = sums.size();
  const Handle space(H5Screate_simple(1, &count, nullptr));
  const Handle attribute(H5Acreate2(handle_.get(), sums_name, H5T_STD_U32LE, space.get(), H5P_DEFAULT, H5P_DEFAULT));
  if (!attribute.valid() || H5Awrite(attribute.get(), H5T_NATIVE_UINT32, sums.data()) < 0)
    cannot_write("the sums of " + name_, file_);
}

void Dataset::use_sums() {
  const Lock lock;
  if (shape_.empty() || shape_[0] < 1 || type_ == Type::other || H5Aexists(handle_.get(), sums_name) <= 0)
    return;
  const Attributes all = attributes();
  const auto rows = all.find(sums_name + "_rows"s);
  const auto* block = rows == all.end() ? nullptr : std::get_if<std::int64_t>(&rows->second);
  const Handle attribute(H5Aopen(handle_.get(), sums_name, H5P_DEFAULT));
  const Handle space(attribute.valid() ? H5Aget_space(attribute.get()) : -1);
  const hssize_t count = space.valid() ? H5Sget_simple_extent_npoints(space.get()) : -1;
  if (block == nullptr || *block < 1 || count != (shape_[0] - 1) / *block + 1)
    cannot_read("the sums of " + name_, file_);
  sums_.resize(static_cast<std::size_t>(count));
  if (H5Aread(attribute.get(), H5T_NATIVE_UINT32, sums_.data()) < 0)
    cannot_read("the sums of " + name_, file_);
  block_ = *block;
  checked_.assign(sums_.size(), false);
}

void Dataset::check_rows(std::int64_t first, std::int64_t count) const {
  if (sums_.empty() || first < 0 || count < 1 || first > shape_[0] - count)
    return;
  for (std::int64_t k = first / block_; k <= (first + count - 1) / block_; ++k) {
    const auto at = static_cast<std::size_t>(k);
    if (checked_[at])
      continue;
    const std::int64_t begin = k * block_, rows = std::min(block_, shape_[0] - begin);
    if (crc_of(begin, rows) != sums_[at])
      throw DataError(fmt::format("{}[{}:{}] of {} are not the numbers that were written; the file is damaged", name_,
                                  begin, begin + rows, file_));
    checked_[at] = true;
  }
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
