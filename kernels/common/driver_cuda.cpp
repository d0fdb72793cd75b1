// The three functions of the CUDA driver that Kokkos calls, looked up at run time. Linking libcuda itself would keep
// the program from starting on a machine without a driver, and so from saying what is missing.
#include <cuda.h>
#include <cuda_runtime_api.h>

namespace {
template <class Function>
Function driver_function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result;
  // 12000: the version whose signatures Kokkos was compiled with (cuCtxPushCurrent_v2 and so on).
  if (cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result) != cudaSuccess)
    return nullptr;
  return reinterpret_cast<Function>(found);
}
} // namespace

extern "C" {
CUresult cuCtxGetDevice(CUdevice* device) {
  static const auto call = driver_function<CUresult (*)(CUdevice*)>("cuCtxGetDevice");
  return call ? call(device) : CUDA_ERROR_NOT_INITIALIZED;
}
CUresult cuCtxPushCurrent(CUcontext context) {
  static const auto call = driver_function<CUresult (*)(CUcontext)>("cuCtxPushCurrent");
  return call ? call(context) : CUDA_ERROR_NOT_INITIALIZED;
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  static const auto call = driver_function<CUresult (*)(CUstream, CUcontext*)>("cuStreamGetCtx");
  return call ? call(stream, context) : CUDA_ERROR_NOT_INITIALIZED;
}
}
