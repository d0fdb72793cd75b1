#include "kernels/sinkhorn/sinkhorn.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
/// X of a pair with a dead block: finite, and nothing beside any number
KOKKOS_INLINE_FUNCTION float nowhere() { return -1e30f; }

/// -log(-log U) for U in the middle of one of 2^32 equal pieces of (0, 1); near 1, where U rounds to 1, -log U = 1 - U.
KOKKOS_INLINE_FUNCTION float gumbel(std::uint32_t random) {
  const float up = (static_cast<float>(~random) + 0.5f) * 2.3283064365386963e-10f; // 1 - U
  const float u = (static_cast<float>(random) + 0.5f) * 2.3283064365386963e-10f;
  const float e = up < 1e-4f ? up : -Kokkos::log(u);
  return -Kokkos::log(e);
}

void scaled_logits(const SinkhornShape& shape, float* x, const float* logits, const unsigned char* alive,
                   const Dropout* noise) {
  const std::int64_t H = shape.heads, n = shape.blocks, M = shape.most;
  const bool noisy = noise != nullptr;
  const Dropout from = noisy ? *noise : Dropout{};
  const float tau = shape.temperature;
  for_each(
      "weft::sinkhorn_logits", shape.sequences * H * n, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / (H * n), h = task / n % H, i = task % n;
        const float* row = logits + ((s * n + i) * H + h) * M;
        const bool lives = !alive || alive[s * n + i] != 0;
        Philox4 random{};
        std::int64_t drawn = -1;
        RandomKey key{};
        if (noisy)
          key = key_of(from, s);
        for (std::int64_t k = 0; k < n; ++k) {
          float g = 0;
          if (noisy) {
            const std::int64_t element = (h * M + i) * M + k;
            if (element / 4 != drawn) {
              drawn = element / 4;
              random = random4(key, static_cast<std::uint32_t>(drawn));
            }
            g = gumbel(random.x[element % 4]);
          }
          x[task * n + k] = lives && (!alive || alive[s * n + k] != 0) ? (row[k] + g) / tau : nowhere();
        }
      });
}

/// u[i] = logsumexp_k (x[i,k] - v[k]); v null: zeros.
void row_step(const SinkhornShape& shape, const float* x, float* u, const float* v, std::int64_t stride,
              const unsigned char* alive) {
  const std::int64_t H = shape.heads, n = shape.blocks;
  for_each(
      "weft::sinkhorn_rows", shape.sequences * H * n, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t matrix = task / n, i = task % n;
        const float *row = x + task * n, *minus = v ? v + matrix * stride : nullptr;
        float largest = nowhere();
        for (std::int64_t k = 0; k < n; ++k) {
          const float y = minus ? row[k] - minus[k] : row[k];
          largest = y > largest ? y : largest;
        }
        const float sum = sum_of_numbers(n, [&](std::int64_t k, std::int64_t count) {
          const Numbers y = numbers_at(row + k, count);
          return exp_of((minus ? y - numbers_at(minus + k, count) : y) - largest);
        });
        const bool lives = !alive || alive[matrix / H * n + i] != 0;
        u[matrix * stride + i] = lives ? largest + Kokkos::log(sum) : 0.0f;
      });
}

/// v[k] = logsumexp_i (x[i,k] - u[i])
void column_step(const SinkhornShape& shape, const float* x, const float* u, float* v, std::int64_t stride,
                 const unsigned char* alive) {
  const std::int64_t H = shape.heads, n = shape.blocks, groups = (n + number_count - 1) / number_count;
  for_each(
      "weft::sinkhorn_columns", shape.sequences * H * groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t matrix = task / groups, k = task % groups * number_count;
        const std::int64_t count = n - k < number_count ? n - k : number_count;
        const float *column = x + matrix * n * n + k, *minus = u + matrix * stride;
        Numbers largest = Numbers{} + nowhere(), sum = Numbers{};
        for (std::int64_t i = 0; i < n; ++i) {
          const Numbers y = numbers_at(column + i * n, count) - minus[i];
          largest = y > largest ? y : largest;
        }
        for (std::int64_t i = 0; i < n; ++i)
          sum = sum + exp_of(numbers_at(column + i * n, count) - minus[i] - largest);
        float sums[number_count], most[number_count];
        put_numbers(sums, sum, number_count);
        put_numbers(most, largest, number_count);
        for (std::int64_t c = 0; c < count; ++c)
          v[matrix * stride + k + c] =
              !alive || alive[matrix / H * n + k + c] != 0 ? most[c] + Kokkos::log(sums[c]) : 0.0f;
      });
}

/// g[i,:] -= exp(x[i,:] - u[i] - v) sum of g[i,:]; v null: zeros.
void row_step_back(const SinkhornShape& shape, float* g, const float* x, const float* u, const float* v,
                   std::int64_t stride) {
  const std::int64_t n = shape.blocks;
  for_each(
      "weft::sinkhorn_rows_back", shape.sequences * shape.heads * n, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t matrix = task / n;
        const float *row = x + task * n, *minus = v ? v + matrix * stride : nullptr;
        const float own = u[matrix * stride + task % n];
        float* to = g + task * n;
        const float sum =
            sum_of_numbers(n, [&](std::int64_t k, std::int64_t count) { return numbers_at(to + k, count); });
        for_numbers(0, n, [&](std::int64_t k, std::int64_t count) {
          const Numbers y = numbers_at(row + k, count) - own;
          put_numbers(to + k, numbers_at(to + k, count) - sum * exp_of(minus ? y - numbers_at(minus + k, count) : y),
                      count);
        });
      });
}

/// g[:,k] -= exp(x[:,k] - u - v[k]) sum of g[:,k]
void column_step_back(const SinkhornShape& shape, float* g, const float* x, const float* u, const float* v,
                      std::int64_t stride) {
  const std::int64_t n = shape.blocks, groups = (n + number_count - 1) / number_count;
  for_each(
      "weft::sinkhorn_columns_back", shape.sequences * shape.heads * groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t matrix = task / groups, k = task % groups * number_count;
        const std::int64_t count = n - k < number_count ? n - k : number_count;
        const float *column = x + matrix * n * n + k, *minus = u + matrix * stride;
        const Numbers own = numbers_at(v + matrix * stride + k, count);
        float* to = g + matrix * n * n + k;
        Numbers sum = Numbers{};
        for (std::int64_t i = 0; i < n; ++i)
          sum = sum + numbers_at(to + i * n, count);
        for (std::int64_t i = 0; i < n; ++i) {
          const Numbers y = numbers_at(column + i * n, count) - minus[i] - own;
          put_numbers(to + i * n, numbers_at(to + i * n, count) - sum * exp_of(y), count);
        }
      });
}
} // namespace

void sinkhorn_forward(const SinkhornShape& shape, float* p, float* x, float* potentials, const float* logits,
                      const unsigned char* alive, const Dropout* noise) {
  const std::int64_t n = shape.blocks, stride = 2 * shape.iterations * n;
  scaled_logits(shape, x, logits, alive, noise);
  for (std::int64_t t = 0; t < shape.iterations; ++t) {
    float *u = potentials + 2 * t * n, *v = u + n;
    row_step(shape, x, u, t > 0 ? u - n : nullptr, stride, alive);
    column_step(shape, x, u, v, stride, alive);
  }
  const float *u = potentials + stride - 2 * n, *v = u + n;
  for_each(
      "weft::sinkhorn_matrix", shape.sequences * shape.heads * n, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t matrix = task / n;
        const float own = u[matrix * stride + task % n];
        for_numbers(0, n, [&](std::int64_t k, std::int64_t count) {
          const Numbers y = numbers_at(x + task * n + k, count) - own - numbers_at(v + matrix * stride + k, count);
          put_numbers(p + task * n + k, exp_of(y), count);
        });
      });
}

template <class T>
void sinkhorn_backward(const SinkhornShape& shape, T* dlogits, float* dp, const float* p, const float* x,
                       const float* potentials) {
  const std::int64_t H = shape.heads, n = shape.blocks, M = shape.most, stride = 2 * shape.iterations * n;
  for_each_range(
      "weft::sinkhorn_matrix_back", shape.entries(), KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          dp[i] = p[i] == 0.0f ? 0.0f : dp[i] * p[i]; // what is mixed with weight 0 may not be finite
      });
  for (std::int64_t t = shape.iterations - 1; t >= 0; --t) {
    const float *u = potentials + 2 * t * n, *v = u + n;
    column_step_back(shape, dp, x, u, v, stride);
    row_step_back(shape, dp, x, u, t > 0 ? u - n : nullptr, stride);
  }
  const float by = 1.0f / shape.temperature;
  for_each(
      "weft::sinkhorn_logits_back", shape.sequences * n * H, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / (n * H), i = task / H % n, h = task % H;
        const float* from = dp + ((s * H + h) * n + i) * n;
        T* to = dlogits + task * M;
        for_numbers(0, n, [&](std::int64_t k, std::int64_t count) {
          put_numbers(to + k, by * numbers_at(from + k, count), count);
        });
        for (std::int64_t k = n; k < M; ++k)
          to[k] = store<T>(0.0f);
      });
}

#define WEFT_SINKHORN_OF(T)                                                                                            \
  template void sinkhorn_backward(const SinkhornShape&, T*, float*, const float*, const float*, const float*)
WEFT_FOR_EACH_STORAGE(WEFT_SINKHORN_OF);

} // namespace weft
