#include "kernels/common/recording.hpp"
#include "kernels/common/cuda.hpp"
#include "kernels/common/kokkos.hpp"
#include <stdexcept>

namespace weft {

#ifdef WEFT_CUDA

namespace {
constexpr const char* advice = "parallel.cuda_graph = false does without";
}

struct Recording::Parts {
  cudaGraphExec_t graph = nullptr; ///< null: nothing was written down
  ~Parts() {
    if (graph != nullptr)
      cudaGraphExecDestroy(graph);
  }
};

void Recording::begin() {
  // Relaxed: Kokkos asks for zero bytes before every team kernel, which the stricter modes take for an allocation; and
  // the threads of NCCL and of the checkpoint go on as ever.
  require(cudaStreamBeginCapture(Space().cuda_stream(), cudaStreamCaptureModeRelaxed),
          "CUDA graph: begin of a recording", advice);
}

Recording Recording::end() {
  cudaGraph_t graph = nullptr;
  require(cudaStreamEndCapture(Space().cuda_stream(), &graph), "CUDA graph: end of a recording", advice);
  auto parts = std::make_unique<Parts>();
  std::size_t nodes = 0;
  cudaError_t status = cudaGraphGetNodes(graph, nullptr, &nodes);
  if (status == cudaSuccess && nodes > 0)
    status = cudaGraphInstantiate(&parts->graph, graph, 0);
  cudaGraphDestroy(graph);
  require(status, "CUDA graph: a recording cannot be replayed", advice);
  return Recording(std::move(parts));
}

void Recording::launch() const {
  if (parts_->graph != nullptr)
    require(cudaGraphLaunch(parts_->graph, Space().cuda_stream()), "CUDA graph: replay", advice);
}

#else

struct Recording::Parts {};

void Recording::begin() { throw std::logic_error("kernels on a host are not recorded"); }
Recording Recording::end() { throw std::logic_error("kernels on a host are not recorded"); }
void Recording::launch() const {}

#endif

Recording::Recording(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Recording::Recording(Recording&&) noexcept = default;
Recording::~Recording() = default;

} // namespace weft
