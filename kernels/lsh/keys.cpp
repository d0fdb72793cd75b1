#include "kernels/lsh/keys.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
/// 1 / the length that a query is divided by; 0 where the key is 0.
template <class T>
WEFT_FUNCTION float inverse_length(SharedKeys kind, const T* q, std::int64_t width) {
  const float squares = sum_of_numbers(width, [&](std::int64_t e, std::int64_t count) {
    const Numbers x = numbers_at(q + e, count);
    return x * x;
  });
  if (kind == SharedKeys::trax)
    return 1.0f / Kokkos::sqrt(squares + 1e-6f * static_cast<float>(width));
  const float length = Kokkos::sqrt(squares);
  return length <= 1e-12f ? 0.0f : 1.0f / length;
}
} // namespace

template <class T>
void shared_keys_forward(SharedKeys kind, const AttentionShape& shape, T* k, const T* q) {
  const std::int64_t H = shape.heads, E = shape.key_width, stride = shape.row_stride_qkv;
  for_each(
      "weft::shared_keys_forward", shape.batch * shape.length * H, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t at = task / H * stride + task % H * E;
        const float factor = kind == SharedKeys::raw ? 1.0f : inverse_length(kind, q + at, E);
        for_numbers(0, E, [&](std::int64_t e, std::int64_t count) {
          put_numbers(k + at + e, factor * numbers_at(q + at + e, count), count);
        });
      });
}

template <class T>
void shared_keys_backward(SharedKeys kind, const AttentionShape& shape, T* dq, T* dv, const float* dq_part,
                          const float* dk_part, const float* dv_part, const T* q) {
  const std::int64_t H = shape.heads, E = shape.key_width, Ev = shape.value_width, stride = shape.row_stride_qkv;
  for_each(
      "weft::shared_keys_backward", shape.batch * shape.length * H, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t at = task / H * stride + task % H * E;
        const float *by_q = dq_part + task * E, *by_k = dk_part + task * E;
        float factor = 1, along = 0; // along: k . dk / |q|, of which k = factor q
        if (kind != SharedKeys::raw) {
          factor = inverse_length(kind, q + at, E);
          along = factor * factor * sum_of_numbers(E, [&](std::int64_t e, std::int64_t count) {
                    return numbers_at(q + at + e, count) * numbers_at(by_k + e, count);
                  });
        }
        for_numbers(0, E, [&](std::int64_t e, std::int64_t count) {
          const Numbers d = numbers_at(by_k + e, count) - along * numbers_at(q + at + e, count);
          put_numbers(dq + at + e, numbers_at(by_q + e, count) + factor * d, count);
        });
        for_numbers(0, Ev, [&](std::int64_t e, std::int64_t count) {
          put_numbers(dv + task / H * stride + task % H * Ev + e, numbers_at(dv_part + task * Ev + e, count), count);
        });
      });
}

#define WEFT_SHARED_KEYS_OF(T)                                                                                         \
  template void shared_keys_forward(SharedKeys, const AttentionShape&, T*, const T*);                                  \
  template void shared_keys_backward(SharedKeys, const AttentionShape&, T*, T*, const float*, const float*,            \
                                     const float*, const T*)
WEFT_FOR_EACH_STORAGE(WEFT_SHARED_KEYS_OF);

} // namespace weft
