#include "kernels/gate/gate.hpp"
#include "kernels/activation/forms.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/gate/rows.hpp"

namespace weft {

template <class T>
void gate_heads_forward(const GateShape& g, T* qkv, const T* mixed, const T* v, const GateTensors<const float*>& t) {
  const std::int64_t Z = g.shared, V = g.values, heads = g.heads(), stride = g.mixed(), skipped = g.width;
  for_rows(
      "weft::gate_heads_forward", g.rows, Z, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const Numbers z = Silu::value(numbers_at(mixed + i * stride + skipped + j, count));
        T* q = qkv + i * heads + j;
        put_numbers(q, numbers_at(t.gain_q + j, count) * z + numbers_at(t.shift_q + j, count), count);
        put_numbers(q + Z, numbers_at(t.gain_k + j, count) * z + numbers_at(t.shift_k + j, count), count);
      });
  for_rows(
      "weft::gate_values_forward", g.rows, V, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        put_numbers(qkv + i * heads + 2 * Z + j, Silu::value(numbers_at(v + i * V + j, count)), count);
      });
}

template <class T>
void gate_heads_backward(const GateShape& g, T* dmixed, T* dv, const GateTensors<float*>& gradients, const T* dqkv,
                         const T* mixed, const T* v, const GateTensors<const float*>& t, float* partial) {
  const std::int64_t R = g.rows, Z = g.shared, V = g.values, heads = g.heads(), stride = g.mixed(), skipped = g.width;
  const std::int64_t blocks = (R + gate_block - 1) / gate_block, groups = (Z + number_count - 1) / number_count;
  for_each(
      "weft::gate_heads_backward", blocks * groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j = task % groups * number_count, b = task / groups;
        const std::int64_t count = Z - j < number_count ? Z - j : number_count;
        const std::int64_t end = (b + 1) * gate_block < R ? (b + 1) * gate_block : R;
        const Numbers gain_q = numbers_at(t.gain_q + j, count), gain_k = numbers_at(t.gain_k + j, count);
        Numbers sums[4] = {};
        for (std::int64_t i = b * gate_block; i < end; ++i) {
          Numbers z, slope;
          Silu::both(numbers_at(mixed + i * stride + skipped + j, count), z, slope);
          const Numbers dq = numbers_at(dqkv + i * heads + j, count), dk = numbers_at(dqkv + i * heads + Z + j, count);
          sums[0] = sums[0] + dq * z;
          sums[1] = sums[1] + dq;
          sums[2] = sums[2] + dk * z;
          sums[3] = sums[3] + dk;
          put_numbers(dmixed + i * stride + skipped + j, (gain_q * dq + gain_k * dk) * slope, count);
        }
        for (int n = 0; n < 4; ++n)
          put_numbers(partial + (4 * b + n) * Z + j, sums[n], count);
      });
  for_each(
      "weft::gate_heads_sums", Z, KOKKOS_LAMBDA(std::int64_t j) {
        float sums[4] = {};
        for (std::int64_t b = 0; b < blocks; ++b)
          for (int n = 0; n < 4; ++n)
            sums[n] += partial[(4 * b + n) * Z + j];
        gradients.gain_q[j] = sums[0];
        gradients.shift_q[j] = sums[1];
        gradients.gain_k[j] = sums[2];
        gradients.shift_k[j] = sums[3];
      });
  for_rows(
      "weft::gate_values_backward", R, V, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        Numbers value, slope;
        Silu::both(numbers_at(v + i * V + j, count), value, slope);
        put_numbers(dv + i * V + j, numbers_at(dqkv + i * heads + 2 * Z + j, count) * slope, count);
      });
}

template <class T>
void gate_reset_forward(const GateShape& g, T* out, const T* attended, const T* mixed) {
  const std::int64_t V = g.values, stride = g.mixed(), skipped = g.width + g.shared;
  for_rows(
      "weft::gate_reset_forward", g.rows, V, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const Numbers r = Silu::value(numbers_at(mixed + i * stride + skipped + j, count));
        put_numbers(out + i * V + j, numbers_at(attended + i * V + j, count) * r, count);
      });
}

template <class T>
void gate_reset_backward(const GateShape& g, T* dattended, T* dmixed, const T* dout, const T* attended,
                         const T* mixed) {
  const std::int64_t V = g.values, stride = g.mixed(), skipped = g.width + g.shared;
  for_rows(
      "weft::gate_reset_backward", g.rows, V, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        Numbers r, slope;
        Silu::both(numbers_at(mixed + i * stride + skipped + j, count), r, slope);
        const Numbers d = numbers_at(dout + i * V + j, count);
        put_numbers(dmixed + i * stride + skipped + j, d * numbers_at(attended + i * V + j, count) * slope, count);
        put_numbers(dattended + i * V + j, d * r, count);
      });
}

template <class T>
void gate_hidden_forward(const GateShape& g, T* hidden, const T* mixed) {
  const std::int64_t D = g.width, stride = g.mixed(), skipped = stride - D;
  for_rows(
      "weft::gate_hidden_forward", g.rows, D, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const Numbers h = numbers_at(mixed + i * stride + skipped + j, count);
        put_numbers(hidden + i * D + j, numbers_at(hidden + i * D + j, count) + h, count);
      });
}

template <class T>
void gate_hidden_backward(const GateShape& g, T* dmixed, const T* dhidden) {
  const std::int64_t D = g.width, stride = g.mixed(), skipped = stride - D;
  for_rows(
      "weft::gate_hidden_backward", g.rows, D, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        put_numbers(dmixed + i * stride + skipped + j, numbers_at(dhidden + i * D + j, count), count);
      });
}

template <class T>
void gate_update_forward(const GateShape& g, T* y, const T* mixed, const T* hidden, const T* x) {
  const std::int64_t D = g.width, stride = g.mixed();
  for_rows(
      "weft::gate_update_forward", g.rows, D, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const std::int64_t at = i * D + j;
        const Numbers s = sigmoid_of(numbers_at(mixed + i * stride + j, count));
        put_numbers(y + at, s * (numbers_at(hidden + at, count) - numbers_at(x + at, count)), count);
      });
}

template <class T>
void gate_update_backward(const GateShape& g, T* dhidden, T* dx, T* dmixed, const T* dy, const T* mixed,
                          const T* hidden, const T* x) {
  const std::int64_t D = g.width, stride = g.mixed();
  for_rows(
      "weft::gate_update_backward", g.rows, D, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const std::int64_t at = i * D + j;
        const Numbers s = sigmoid_of(numbers_at(mixed + i * stride + j, count)), d = numbers_at(dy + at, count);
        const Numbers apart = numbers_at(hidden + at, count) - numbers_at(x + at, count);
        put_numbers(dmixed + i * stride + j, d * apart * s * (1.0f - s), count);
        put_numbers(dhidden + at, d * s, count);
        put_numbers(dx + at, -(d * s), count);
      });
}

#define WEFT_GATE_OF(T)                                                                                                \
  template void gate_heads_forward(const GateShape&, T*, const T*, const T*, const GateTensors<const float*>&);        \
  template void gate_heads_backward(const GateShape&, T*, T*, const GateTensors<float*>&, const T*, const T*,          \
                                    const T*, const GateTensors<const float*>&, float*);                               \
  template void gate_reset_forward(const GateShape&, T*, const T*, const T*);                                          \
  template void gate_reset_backward(const GateShape&, T*, T*, const T*, const T*, const T*);                           \
  template void gate_hidden_forward(const GateShape&, T*, const T*);                                                   \
  template void gate_hidden_backward(const GateShape&, T*, const T*);                                                  \
  template void gate_update_forward(const GateShape&, T*, const T*, const T*, const T*);                               \
  template void gate_update_backward(const GateShape&, T*, T*, T*, const T*, const T*, const T*, const T*)
WEFT_FOR_EACH_STORAGE(WEFT_GATE_OF);

} // namespace weft
