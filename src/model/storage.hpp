// The storage types that models are made for: one list for the instantiations, one place for the choice.
#pragma once
#include "kernels/common/types.hpp"
#include <string>
#include <type_traits>
#include <utility>

/// Behind the definitions of a class template over the storage type.
#define WEFT_FOR_STORAGE_TYPES(Name)                                                                                   \
  template class Name<float>;                                                                                          \
  template class Name<bf16>;                                                                                           \
  template class Name<fp16>

namespace weft {

/// f(std::type_identity<T>) with the T that run.precision names: fp32, bf16 or fp16.
template <class F>
auto with_storage(const std::string& precision, F&& f) {
  if (precision == "bf16")
    return std::forward<F>(f)(std::type_identity<bf16>{});
  if (precision == "fp16")
    return std::forward<F>(f)(std::type_identity<fp16>{});
  return std::forward<F>(f)(std::type_identity<float>{});
}

} // namespace weft
