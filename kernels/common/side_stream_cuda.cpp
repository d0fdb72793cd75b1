#include "kernels/common/kokkos.hpp"
#include "kernels/common/side_stream.hpp"
#include <algorithm>
#include <cuda_runtime_api.h>
#include <stdexcept>
#include <string>

namespace weft {

namespace {
void require(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("the device reports an error (") + what + "): " + cudaGetErrorString(status) +
                             "; nvidia-smi and the system's log tell whether it is lost");
}

__global__ void add_kernel(float* into, const float* from, std::int64_t n) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step)
    into[i] = into[i] + from[i];
}
} // namespace

struct SideStream::Parts {
  cudaStream_t kernels = Space().cuda_stream(), queue = nullptr;
  cudaEvent_t given = nullptr;                            ///< work that the kernels had at after_kernels()
  cudaEvent_t kernels_end = nullptr, queue_end = nullptr; ///< where both stood at before_kernels(), with their times
  bool open = false;                                      ///< queue_end has not been seen yet
  double waited = 0;
};

SideStream::SideStream() : parts_(std::make_unique<Parts>()) {
  Parts& p = *parts_;
  // Of the highest priority: what it holds are short sums and messages that other ranks wait for.
  int lowest = 0, highest = 0;
  require(cudaDeviceGetStreamPriorityRange(&lowest, &highest), "stream priorities");
  require(cudaStreamCreateWithPriority(&p.queue, cudaStreamNonBlocking, highest), "new stream");
  require(cudaEventCreateWithFlags(&p.given, cudaEventDisableTiming), "new event");
  require(cudaEventCreate(&p.kernels_end), "new event");
  require(cudaEventCreate(&p.queue_end), "new event");
}

SideStream::~SideStream() {
  cudaEventDestroy(parts_->given);
  cudaEventDestroy(parts_->kernels_end);
  cudaEventDestroy(parts_->queue_end);
  cudaStreamDestroy(parts_->queue);
}

void SideStream::after_kernels() {
  Parts& p = *parts_;
  require(cudaEventRecord(p.given, p.kernels), "event");
  require(cudaStreamWaitEvent(p.queue, p.given, 0), "wait for an event");
}

void SideStream::before_kernels() {
  Parts& p = *parts_;
  done(); // takes the times of the call before
  require(cudaEventRecord(p.kernels_end, p.kernels), "event");
  require(cudaEventRecord(p.queue_end, p.queue), "event");
  require(cudaStreamWaitEvent(p.kernels, p.queue_end, 0), "wait for an event");
  p.open = true;
}

bool SideStream::done() {
  Parts& p = *parts_;
  if (!p.open)
    return true;
  for (const cudaEvent_t event : {p.queue_end, p.kernels_end}) {
    const cudaError_t state = cudaEventQuery(event);
    if (state == cudaErrorNotReady)
      return false;
    require(state, "event");
  }
  float milliseconds = 0;
  require(cudaEventElapsedTime(&milliseconds, p.kernels_end, p.queue_end), "time between events");
  p.waited += std::max(0.0f, milliseconds) / 1e3;
  p.open = false;
  return true;
}

double SideStream::waited_seconds() const { return parts_->waited; }

void SideStream::add(float* into, const float* from, std::int64_t n) {
  constexpr int threads = 256;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>((n + threads - 1) / threads, 1024));
  add_kernel<<<blocks, threads, 0, parts_->queue>>>(into, from, n);
  require(cudaGetLastError(), "sum of gradients");
}

void SideStream::copy(float* to, const float* from, std::int64_t n) {
  require(
      cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(float), cudaMemcpyDeviceToDevice, parts_->queue),
      "copy of a gradient");
}

void* SideStream::stream() const { return parts_->queue; }

} // namespace weft
