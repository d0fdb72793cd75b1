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

/// body(Form{}) with the form of this kind.
template <class Body>
void with_form(Activation kind, const Body& body) {
  switch (kind) {
  case Activation::sigmoid_gelu:
    return body(SigmoidGelu{});
  case Activation::gelu_tanh:
    return body(GeluTanh{});
  case Activation::gelu:
    return body(ExactGelu{});
  case Activation::relu:
    return body(Relu{});
  case Activation::silu:
    return body(Silu{});
  case Activation::tanh:
    return body(Tanh{});
  }
}
} // namespace

template <class T>
void activation_forward(T* out, const T* u, std::int64_t n, Activation kind) {
  with_form(kind, [&]<class Form>(Form) { forward_of<Form>(out, u, n); });
}

template <class T>
void activation_backward(T* out, T* du, float* dbias, const T* dout, const T* u, std::int64_t rows, std::int64_t width,
                         float* partial, Activation kind) {
  with_form(kind, [&]<class Form>(Form) { backward_of<Form>(out, du, dbias, dout, u, rows, width, partial); });
}

#define WEFT_ACTIVATION_OF(T)                                                                                          \
  template void activation_forward(T*, const T*, std::int64_t, Activation);                                            \
  template void activation_backward(T*, T*, float*, const T*, const T*, std::int64_t, std::int64_t, float*, Activation)
WEFT_FOR_EACH_STORAGE(WEFT_ACTIVATION_OF);

} // namespace weft
