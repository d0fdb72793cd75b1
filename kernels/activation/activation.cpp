#include "kernels/activation/activation.hpp"
#include "kernels/activation/forms.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

namespace {
template <class Form, class T>
void forward_of(T* out, const T* u, std::int64_t n) {
  for_each_range(
      "weft::activation_forward", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for_numbers(begin, end, [&](std::int64_t i, std::int64_t count) {
          put_numbers(out + i, Form::value(numbers_at(u + i, count)), count);
        });
      });
}

template <class Form, class T>
void backward_of(T* out, T* du, float* dbias, const T* dout, const T* u, std::int64_t rows, std::int64_t width,
                 float* partial) {
  column_sums_of_pass(
      "weft::activation_backward", dbias, rows, width, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t i, std::int64_t j0, std::int64_t columns) {
        const std::int64_t row = i * width + j0;
        for_numbers(0, columns, [&](std::int64_t j, std::int64_t count) {
          const std::int64_t at = row + j;
          Numbers value, slope;
          Form::both(numbers_at(u + at, count), value, slope);
          const Numbers d = stored<T>(numbers_at(dout + at, count) * slope);
          put_numbers(out + at, value, count);
          put_numbers(du + at, d, count);
          put_numbers(sums + j, numbers_at(sums + j, count) + d, count);
        });
      });
}
} // namespace

template <class T>
void activation_forward(T* out, const T* u, std::int64_t n, Activation kind) {
  switch (kind) {
  case Activation::sigmoid_gelu:
    return forward_of<SigmoidGelu>(out, u, n);
  case Activation::gelu_tanh:
    return forward_of<GeluTanh>(out, u, n);
  case Activation::gelu:
    return forward_of<ExactGelu>(out, u, n);
  case Activation::relu:
    return forward_of<Relu>(out, u, n);
  case Activation::silu:
    return forward_of<Silu>(out, u, n);
  case Activation::tanh:
    return forward_of<Tanh>(out, u, n);
  }
}

template <class T>
void activation_backward(T* out, T* du, float* dbias, const T* dout, const T* u, std::int64_t rows, std::int64_t width,
                         float* partial, Activation kind) {
  switch (kind) {
  case Activation::sigmoid_gelu:
    return backward_of<SigmoidGelu>(out, du, dbias, dout, u, rows, width, partial);
  case Activation::gelu_tanh:
    return backward_of<GeluTanh>(out, du, dbias, dout, u, rows, width, partial);
  case Activation::gelu:
    return backward_of<ExactGelu>(out, du, dbias, dout, u, rows, width, partial);
  case Activation::relu:
    return backward_of<Relu>(out, du, dbias, dout, u, rows, width, partial);
  case Activation::silu:
    return backward_of<Silu>(out, du, dbias, dout, u, rows, width, partial);
  case Activation::tanh:
    return backward_of<Tanh>(out, du, dbias, dout, u, rows, width, partial);
  }
}

#define WEFT_ACTIVATION_OF(T)                                                                                          \
  template void activation_forward(T*, const T*, std::int64_t, Activation);                                            \
  template void activation_backward(T*, T*, float*, const T*, const T*, std::int64_t, std::int64_t, float*, Activation)
WEFT_FOR_EACH_STORAGE(WEFT_ACTIVATION_OF);

} // namespace weft
