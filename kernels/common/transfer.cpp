#include "kernels/common/transfer.hpp"
#include "kernels/common/cuda.hpp"
#include "kernels/common/kokkos.hpp"
#include <cstring>
#include <new>

namespace weft {

#ifdef WEFT_CUDA

namespace {
constexpr const char* lost_device = "nvidia-smi and the system's log tell whether the device is lost";
}

void* host_allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaHostAlloc(&memory, bytes, cudaHostAllocDefault) != cudaSuccess)
    throw std::bad_alloc();
  return memory;
}

void host_free(void* memory) noexcept { cudaFreeHost(memory); }

void copy_to_host_later(void* to, const void* from, std::size_t bytes) {
  require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, Space().cuda_stream()), "copy from the device",
          lost_device);
}

struct Upload::Half {
  HostVector<unsigned char> memory;
  cudaEvent_t taken = nullptr; ///< the device has read the memory
  explicit Half(std::size_t bytes) : memory(bytes) {
    require(cudaEventCreateWithFlags(&taken, cudaEventDisableTiming), "new event", lost_device);
  }
  ~Half() { cudaEventDestroy(taken); }
};

void Upload::send(void* to, const void* from, std::size_t bytes) {
  Half& half = *halves_[static_cast<std::size_t>(next_)];
  next_ = 1 - next_;
  require(cudaEventSynchronize(half.taken), "copy to the device", lost_device);
  std::memcpy(half.memory.data(), from, bytes);
  require(cudaMemcpyAsync(to, half.memory.data(), bytes, cudaMemcpyHostToDevice, Space().cuda_stream()),
          "copy to the device", lost_device);
  require(cudaEventRecord(half.taken, Space().cuda_stream()), "copy to the device", lost_device);
}

#else

void* host_allocate(std::size_t bytes) { return ::operator new(bytes); }
void host_free(void* memory) noexcept { ::operator delete(memory); }
void copy_to_host_later(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

struct Upload::Half {
  explicit Half(std::size_t) {}
};

void Upload::send(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

#endif

Upload::Upload(std::size_t most_bytes) {
  for (auto& half : halves_)
    half = std::make_unique<Half>(most_bytes);
}

Upload::~Upload() = default;

} // namespace weft
