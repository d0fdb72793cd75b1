#include "kernels/common/memory.hpp"
#include "kernels/common/device_problem.hpp"
#include "kernels/common/isa.hpp"
#include "kernels/common/kokkos.hpp"
#include <algorithm>
#include <iomanip>
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
#ifdef WEFT_CUDA
using HostMemory = Kokkos::CudaHostPinnedSpace;
#else
using HostMemory = Kokkos::HostSpace;
#endif
using Bytes = Kokkos::View<unsigned char*, Memory, Kokkos::MemoryUnmanaged>;
using HostBytes = Kokkos::View<const unsigned char*, Kokkos::HostSpace, Kokkos::MemoryUnmanaged>;
using HostTarget = Kokkos::View<unsigned char*, Kokkos::HostSpace, Kokkos::MemoryUnmanaged>;

Bytes device(const void* p, std::size_t n) { return Bytes(static_cast<unsigned char*>(const_cast<void*>(p)), n); }

#ifdef WEFT_CUDA
__global__ void probe() {}

/// Throws one line unless device `number` can run this program's kernels. -1: unless there is a device; touches none,
/// since the first touch takes memory on it.
void require_device(int number) {
  DeviceState state;
  cudaDriverGetVersion(&state.driver);
  cudaRuntimeGetVersion(&state.runtime);
  const cudaError_t counted = cudaGetDeviceCount(&state.devices);
  if (counted != cudaSuccess) {
    state.devices = 0;
    state.said = cudaGetErrorString(counted);
  }
  cudaDeviceProp properties;
  const cudaError_t taken = number >= 0 && state.devices > 0 ? cudaSetDevice(number) : cudaSuccess;
  if (taken != cudaSuccess)
    throw std::runtime_error("cannot take device " + std::to_string(number) + " of " + std::to_string(state.devices) +
                             ": " + cudaGetErrorString(taken) + "; nvidia-smi shows what is there and who uses it");
  if (number >= 0 && state.devices > 0 && cudaGetDeviceProperties(&properties, number) == cudaSuccess) {
    cudaFuncAttributes attributes;
    state.name = properties.name;
    state.capability_10 = 10 * properties.major + properties.minor;
    state.code_runs = cudaFuncGetAttributes(&attributes, probe) == cudaSuccess;
  }
  if (const std::string problem = device_problem(state); !problem.empty())
    throw std::runtime_error(problem);
}
#endif

#ifdef WEFT_CUDA
void prefer_large_pages(void*, std::size_t) {}
#else
/// Asks for large pages, before the first use: rows that lie thousands of bytes apart are read by tiles, and every row
/// is in a small page of its own. A hint, without effect where the system has none to give.
void prefer_large_pages(void* memory, std::size_t bytes) {
  constexpr std::uintptr_t page = std::uintptr_t{2} << 20;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (address + page - 1) / page * page, last = (address + bytes) / page * page;
  if (first < last)
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}
#endif
} // namespace

Runtime::Runtime(int device_number) {
  Kokkos::InitializationSettings settings;
#ifdef WEFT_CUDA
  require_device(device_number);
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
  if (device_is_host)
    text << ", " << name(attention_isa());
  if (device_is_host && product_isa() != attention_isa())
    text << " (products " << name(product_isa()) << ")";
  if (const Device it = device(); !it.id.empty())
    text << ", device " << it.number << " " << it.name;
  return text.str();
}

Runtime::Device Runtime::device() {
  Device it;
#ifdef WEFT_CUDA
  cudaDeviceProp properties;
  if (cudaGetDevice(&it.number) != cudaSuccess || cudaGetDeviceProperties(&properties, it.number) != cudaSuccess ||
      cudaMemGetInfo(&it.free, &it.all) != cudaSuccess)
    throw std::runtime_error("the device cannot be asked for its properties; was it lost? nvidia-smi tells");
  it.name = properties.name;
  it.capability_10 = 10 * properties.major + properties.minor;
  std::ostringstream id;
  id << "GPU" << std::hex << std::setfill('0');
  for (std::size_t byte = 0; byte < sizeof properties.uuid.bytes; ++byte)
    id << (byte == 0 || (byte >= 4 && byte <= 10 && byte % 2 == 0) ? "-" : "") << std::setw(2)
       << static_cast<int>(static_cast<unsigned char>(properties.uuid.bytes[byte]));
  it.id = id.str();
#endif
  return it;
}

int Runtime::devices() {
  int count = 0;
#ifdef WEFT_CUDA
  require_device(-1);
  if (cudaGetDeviceCount(&count) != cudaSuccess)
    count = 0;
#endif
  return count;
}

void* device_allocate(std::size_t bytes, const char* label) {
  if (bytes == 0)
    return nullptr;
  try {
    void* const memory = Kokkos::kokkos_malloc<Memory>(label, bytes);
    prefer_large_pages(memory, bytes);
    return memory;
  } catch (const std::exception&) {
    std::string left;
#ifdef WEFT_CUDA
    std::size_t free = 0, all = 0;
    if (cudaMemGetInfo(&free, &all) == cudaSuccess)
      left = " (" + std::to_string(free >> 20) + " MiB of the device's " + std::to_string(all >> 20) + " are free)";
#endif
    throw std::runtime_error("out of memory: " + std::to_string(bytes >> 20) + " MiB for " + label +
                             " could not be had" + left +
                             "; take a smaller training.micro_batch or model.recompute = \"block\"");
  }
}

void device_free(void* memory) noexcept {
  if (memory)
    Kokkos::kokkos_free<Memory>(memory);
}

void HostFree::operator()(void* memory) const noexcept { Kokkos::kokkos_free<HostMemory>(memory); }

HostFloats host_floats(std::int64_t n, const char* label) {
  return HostFloats(static_cast<float*>(Kokkos::kokkos_malloc<HostMemory>(
      label, static_cast<std::size_t>(std::max<std::int64_t>(n, 1)) * sizeof(float))));
}

void device_zero(void* memory, std::size_t bytes) {
  Kokkos::deep_copy(Space(), device(memory, bytes), static_cast<unsigned char>(0));
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
