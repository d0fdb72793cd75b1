#include "kernels/common/memory.hpp"
#include "kernels/common/kokkos.hpp"
#include <new>
#include <sstream>
#include <stdexcept>
#ifdef WEFT_CUDA
#include <cuda_runtime_api.h>
#else
#include <sys/mman.h>
#endif

namespace weft {
namespace {
using Memory = Space::memory_space;
using Bytes = Kokkos::View<unsigned char*, Memory, Kokkos::MemoryUnmanaged>;
using HostBytes = Kokkos::View<const unsigned char*, Kokkos::HostSpace, Kokkos::MemoryUnmanaged>;
using HostTarget = Kokkos::View<unsigned char*, Kokkos::HostSpace, Kokkos::MemoryUnmanaged>;

Bytes device(const void* p, std::size_t n) { return Bytes(static_cast<unsigned char*>(const_cast<void*>(p)), n); }

void require_device() {
#ifdef WEFT_CUDA
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0)
    throw std::runtime_error(std::string("this is the CUDA build of weft and no usable GPU was found (") +
                             (status == cudaSuccess ? "no device" : cudaGetErrorString(status)) +
                             "); install the NVIDIA driver, or use the cpu build");
#endif
}
} // namespace

Runtime::Runtime(int device_number) {
  require_device();
  Kokkos::InitializationSettings settings;
#ifdef WEFT_CUDA
  settings.set_device_id(device_number);
#else
  (void)device_number;
#endif
  settings.set_disable_warnings(true);
  Kokkos::initialize(settings);
}

Runtime::~Runtime() { Kokkos::finalize(); }

int Runtime::threads() { return Kokkos::DefaultHostExecutionSpace().concurrency(); }

std::string Runtime::description() {
  std::ostringstream text;
  text << Space::name() << ", " << threads() << (threads() == 1 ? " thread" : " threads") << " per rank";
#ifdef WEFT_CUDA
  cudaDeviceProp properties;
  int device = 0;
  if (cudaGetDevice(&device) == cudaSuccess && cudaGetDeviceProperties(&properties, device) == cudaSuccess)
    text << ", device " << device << " " << properties.name;
#endif
  return text.str();
}

void* device_allocate(std::size_t bytes, const char* label) {
  if (bytes == 0)
    return nullptr;
  try {
    return Kokkos::kokkos_malloc<Memory>(label, bytes);
  } catch (const std::exception&) {
    throw std::runtime_error("out of memory: " + std::to_string(bytes >> 20) + " MiB for " + label +
                             " could not be had; take a smaller training.micro_batch or model.recompute = \"block\"");
  }
}

void device_free(void* memory) noexcept {
  if (memory)
    Kokkos::kokkos_free<Memory>(memory);
}

void device_zero(void* memory, std::size_t bytes) {
  Kokkos::deep_copy(Space(), device(memory, bytes), static_cast<unsigned char>(0));
}

void prefer_large_pages(void* memory, std::size_t bytes) {
#ifdef WEFT_CUDA
  (void)memory;
  (void)bytes;
#else
  constexpr std::uintptr_t page = std::uintptr_t{2} << 20;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (address + page - 1) / page * page, last = (address + bytes) / page * page;
  if (first < last)
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  Kokkos::deep_copy(device(to, bytes), HostBytes(static_cast<const unsigned char*>(from), bytes));
}

void copy_to_host(void* to, const void* from, std::size_t bytes) {
  Kokkos::deep_copy(HostTarget(static_cast<unsigned char*>(to), bytes), device(from, bytes));
}

void copy_on_device(void* to, const void* from, std::size_t bytes) {
  Kokkos::deep_copy(Space(), device(to, bytes), device(from, bytes));
}

void at_runtime_end(void (*release)()) { Kokkos::push_finalize_hook(release); }

void fence() { Space().fence(); }

} // namespace weft
