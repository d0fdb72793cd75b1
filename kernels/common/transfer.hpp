// Copies between host and device that join the kernels' queue and let the host go on.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace weft {

void* host_allocate(std::size_t bytes); ///< page-locked in a CUDA build; throws std::bad_alloc
void host_free(void* memory) noexcept;

template <class T>
struct HostAllocator {
  using value_type = T;
  HostAllocator() = default;
  template <class U>
  HostAllocator(const HostAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(host_allocate(n * sizeof(T))); }
  void deallocate(T* p, std::size_t) noexcept { host_free(p); }
  bool operator==(const HostAllocator&) const = default;
};

/// Numbers that the device copies to and from at full speed while the host does something else.
template <class T>
using HostVector = std::vector<T, HostAllocator<T>>;

/// `to` holds the numbers after the next fence() (memory.hpp), and must be memory of a HostVector.
void copy_to_host_later(void* to, const void* from, std::size_t bytes);

/// Sends small arrays to the device, one after the other. They go through two buffers in turn, so the host fills one
/// while the other is on its way, and waits only where it is two ahead.
class Upload {
 public:
  explicit Upload(std::size_t most_bytes);
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  /// Kernels that are given work from now on find `from` at `to`. `from` may be changed at once.
  void send(void* to, const void* from, std::size_t bytes);

 private:
  struct Half;
  std::array<std::unique_ptr<Half>, 2> halves_;
  int next_ = 0;
};

} // namespace weft
