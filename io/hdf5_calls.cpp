#include "io/hdf5_calls.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft::hdf5 {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are written in memory order");

/// The library cleans up when the program or MPI ends, and crashes then on a file that it could not write. All files
/// are closed by hand here, so it is told not to; and it is started before MPI, which would end it otherwise.
[[maybe_unused]] const bool started_without_an_end = H5dont_atexit() >= 0 && H5open() >= 0;

herr_t innermost(unsigned, const H5E_error2_t* error, void* to) {
  if (error->desc != nullptr && *error->desc != '\0')
    *static_cast<std::string*>(to) = error->desc;
  return 0;
}

} // namespace

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}

Handle::~Handle() {
  const detail::Lock lock;
  if (id_ >= 0 && H5Iis_valid(id_) > 0)
    H5Idec_ref(id_);
}

namespace detail {

std::recursive_mutex one_at_a_time;

void quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, innermost, &text);
  H5Eclear2(H5E_DEFAULT);
  // What the system said, where the library repeats it among addresses and descriptors of its own.
  const std::string mark = "error message = '";
  if (const std::size_t at = text.find(mark); at != std::string::npos)
    text = text.substr(at + mark.size(), text.find('\'', at + mark.size()) - at - mark.size());
  return text.empty() ? "no reason given" : text;
}

void cannot_read(const std::string& what, const std::string& path) {
  throw DataError(fmt::format("cannot read {} of {}: {}; the file is damaged or incomplete", what, path, reason()));
}
void cannot_write(const std::string& what, const std::string& path) {
  throw Error(exit_failure, fmt::format("cannot write {} of {}: {}; is the disk full?", what, path, reason()));
}

TypeIds ids_of(Type type) {
  // In the order of Type. The names are variables of the library, set when it is started.
  const TypeIds ids[] = {{H5T_STD_U8LE, H5T_NATIVE_UINT8},   {H5T_STD_U16LE, H5T_NATIVE_UINT16},
                         {H5T_STD_I32LE, H5T_NATIVE_INT32},  {H5T_STD_I64LE, H5T_NATIVE_INT64},
                         {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT}, {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE}};
  return type == Type::other ? TypeIds{-1, -1} : ids[static_cast<std::size_t>(type)];
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

} // namespace detail
} // namespace weft::hdf5
