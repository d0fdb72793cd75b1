// Memory where the kernels run (the device in a CUDA build, the host otherwise), and the runtime that owns it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace weft {

/// Starts Kokkos (and the device, in a CUDA build) for the life of the object: one per process, in main.
/// `device` is the device number for this rank. Throws std::runtime_error with one line if no usable device is there.
class Runtime {
 public:
  explicit Runtime(int device = 0);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  static std::string description(); ///< execution space, threads, instruction set, device name
  static int threads();             ///< host threads per rank

  /// The device in use; in a build for the host all is empty and zero.
  struct Device {
    int number = 0;                ///< among those that the process sees
    std::string name, id;          ///< id: of the hardware, as nvidia-smi -L shows it
    std::size_t free = 0, all = 0; ///< bytes of its memory
    int capability_10 = 0;         ///< 10 major + minor of its compute capability
  };
  static Device device();
  /// Devices that this process sees, before a Runtime is there, too; 0 in a build for the host. Throws like Runtime.
  static int devices();
};

/// Whether host code may read and write the kernels' memory directly.
#ifdef WEFT_CUDA
constexpr bool device_is_host = false;
#else
constexpr bool device_is_host = true;
#endif

void* device_allocate(std::size_t bytes, const char* label); ///< 64-byte aligned; throws std::bad_alloc with the size
void device_free(void* memory) noexcept;
void device_zero(void* memory, std::size_t bytes);
void copy_to_device(void* to, const void* from, std::size_t bytes);
void copy_to_host(void* to, const void* from, std::size_t bytes);
void copy_on_device(void* to, const void* from, std::size_t bytes);
void at_runtime_end(void (*release)()); ///< called before the runtime ends: for memory that is kept between calls
void fence();                           ///< waits until all work given to the device is done

/// Host memory that the device copies to and from at full speed (page-locked, in a CUDA build).
struct HostFree {
  void operator()(void* memory) const noexcept;
};
using HostFloats = std::unique_ptr<float[], HostFree>;
HostFloats host_floats(std::int64_t n, const char* label);

/// An array of n elements where the kernels run; owns it.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::int64_t n, const char* label)
      : data_(static_cast<T*>(device_allocate(static_cast<std::size_t>(n) * sizeof(T), label))), size_(n) {}
  ~Buffer() { device_free(data_); }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

} // namespace weft
