// HDF5 through its C interface: handles that close themselves, errors that name file and object. Files are
// little-endian and in the HDF5 1.10 format, whose structures carry checksums, and sealed where it lacks them
// (io/seal.hpp), so damage is met as an error. Serial use only: no MPI call is made here. The library bears one thread
// at a time; a lock that every call here takes for its own length sees to that, so that a checkpoint can be written
// while the training loop reads data.
#pragma once
#include <cstdint>
#include <hdf5.h>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

/// What a file says about itself, by name.
using Attribute = std::variant<std::int64_t, double, std::string>;
using Attributes = std::map<std::string, Attribute>;

namespace hdf5 {

/// Owns one identifier of any HDF5 class.
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(other.id_) { other.id_ = -1; }
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();
  hid_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  hid_t release() {
    const hid_t id = id_;
    id_ = -1;
    return id;
  }

 private:
  hid_t id_ = -1;
};

/// Element types as stored in files; in memory they are the C++ types of the same width.
enum class Type { u8, u16, i32, i64, f32, f64, other };
std::size_t bytes_of(Type type);

/// A data set within a file.
class Dataset {
 public:
  Dataset(Handle handle, std::string file, std::string name);
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t elements() const;
  Type type() const { return type_; }
  /// Reads or writes all of it; `type` is the type in memory.
  void read(Type type, void* to) const;
  void write(Type type, const void* from);
  /// The block of `count` rows (index 0) from `first` on, all of every row.
  void read_rows(std::int64_t first, std::int64_t count, Type type, void* to) const;
  void write_rows(std::int64_t first, std::int64_t count, Type type, const void* from);
  void set_attribute(const std::string& name, const Attribute& value);
  Attributes attributes() const;
  /// Where the bytes of a contiguous data set lie in the file; -1 where it has none.
  std::int64_t offset() const;

  /// Writes the CRC-32C of the bytes of every `rows` rows (the last block may be shorter), as attributes.
  void write_sums(std::int64_t rows);
  /// From now on every block of rows is compared with its sum, where there are sums, before the first of it is read.
  void use_sums();

 private:
  void check_rows(std::int64_t first, std::int64_t count) const;
  std::uint32_t crc_of(std::int64_t first, std::int64_t count) const;
  void transfer_rows(std::int64_t first, std::int64_t count, Type type, void* to, const void* from) const;
  Handle handle_;
  std::string file_, name_;
  std::vector<std::int64_t> shape_;
  Type type_ = Type::other;
  std::int64_t block_ = 0;          ///< rows of a block that has a sum
  std::vector<std::uint32_t> sums_; ///< of the blocks; empty: there are none, or they are not to be used
  mutable std::vector<bool> checked_;
};

/// A file. Reading errors are DataErrors (status 4); errors while writing are Errors with status 1.
class File {
 public:
  File(File&&) noexcept = default;
  File& operator=(File&&) noexcept = default;
  ~File();
  /// Creates, or truncates, a file for writing.
  static File create(const std::string& path);
  /// Opens a file for reading.
  static File open(const std::string& path);
  /// Opens a file to add to it.
  static File open_to_write(const std::string& path);

  const std::string& path() const { return path_; }
  /// A new data set; groups named in `name` are made as needed. With `chunk` rows > 0 it is stored in chunks, each
  /// with a checksum (fletcher32) that every later read verifies; else contiguously. To fletcher32 a pair of bytes 0 is
  /// the same as a pair of bytes 255, and a chunk of zeros has the checksum 0; so close() adds the CRC-32C of every
  /// chunk, which readers of a sealed file compare.
  Dataset create_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape,
                         std::int64_t chunk = 0);
  /// A new contiguous data set whose bytes have their place in the file at once and are left to somebody else to write
  /// (Dataset::offset), after close().
  Dataset reserve_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape);
  Dataset dataset(const std::string& name) const;
  bool has(const std::string& name) const;
  void create_group(const std::string& name);
  /// Full names ("parameters/x/w") of all data sets, in alphabetical order.
  std::vector<std::string> datasets() const;
  void set_attribute(const std::string& name, const Attribute& value);
  Attributes attributes() const;
  void set_attributes(const Attributes& attributes);
  /// Flushes and closes, open data sets too, and seals a file that was written (io/seal.hpp). A file for writing that
  /// is destroyed without it is given up: what lies on the disk is then of no use.
  void close();
  /// The same without the seal, for a file that is opened to write once more.
  void close_unsealed();

 private:
  File(Handle handle, std::string path, bool writing, bool sealed = false)
      : handle_(std::move(handle)), path_(std::move(path)), writing_(writing), sealed_(sealed) {}
  Handle handle_;
  std::string path_;
  bool writing_ = false, sealed_ = false;
  std::vector<std::pair<std::string, std::int64_t>> chunked_; ///< data sets that were made, and rows of their chunks
  Dataset new_dataset(const std::string& name, Type type, const std::vector<std::int64_t>& shape, hid_t creation);
};

} // namespace hdf5
} // namespace weft
