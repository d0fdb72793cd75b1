#include "kernels/linear_attention/random_features.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/common/tiles.hpp"
#include <cmath>

namespace weft {

namespace {
using tiles::each_group;
using tiles::Left;
using tiles::Member;
using tiles::product;

constexpr std::uint32_t purpose_directions = 0xFEA70001, purpose_lengths = 0xFEA70002;
constexpr std::int64_t chunk = device_is_host ? 64 : 32;
constexpr float least = -3.0e38f; ///< below every projection

/// Number n of a purpose: normal, by Box-Muller.
KOKKOS_INLINE_FUNCTION double normal(const RandomKey& key, std::int64_t n) {
  const Philox4 r = random4(key, static_cast<std::uint32_t>(n / 2));
  const double u = (r.x[0] + 0.5) * 0x1p-32, angle = 6.283185307179586 * (r.x[1] * 0x1p-32);
  const double radius = Kokkos::sqrt(-2 * Kokkos::log(u));
  return n % 2 == 0 ? radius * Kokkos::cos(angle) : radius * Kokkos::sin(angle);
}

/// Rows a[count, width] become orthonormal, each by taking its part along the earlier ones away (modified
/// Gram-Schmidt).
KOKKOS_INLINE_FUNCTION void orthonormalise(const Member& member, double* a, std::int64_t count, std::int64_t width) {
  for (std::int64_t r = 0; r < count; ++r) {
    double* row = a + r * width;
    each(member, 1, [&](std::int64_t) {
      double squares = 0;
      for (std::int64_t e = 0; e < width; ++e)
        squares += row[e] * row[e];
      const double by = 1 / Kokkos::sqrt(squares);
      for (std::int64_t e = 0; e < width; ++e)
        row[e] *= by;
    });
    each(member, count - 1 - r, [&](std::int64_t n) {
      double *other = row + (n + 1) * width, along = 0;
      for (std::int64_t e = 0; e < width; ++e)
        along += other[e] * row[e];
      for (std::int64_t e = 0; e < width; ++e)
        other[e] -= along * row[e];
    });
  }
}

KOKKOS_INLINE_FUNCTION float largest(const float* u, std::int64_t n) {
  Numbers top = Numbers{} + least;
  std::int64_t m = 0;
  for (; m + number_count <= n; m += number_count) {
    const Numbers x = numbers_at(u + m, number_count);
    top = x > top ? x : top;
  }
  float each_top[number_count], result = least;
  put_numbers(each_top, top, number_count);
  for (int v = 0; v < number_count; ++v)
    result = each_top[v] > result ? each_top[v] : result;
  for (; m < n; ++m)
    result = u[m] > result ? u[m] : result;
  return result;
}

/// Device code holds a copy.
template <class T>
struct FeatureOperands {
  std::int64_t B, N, H, E, Ep, M, Mp, stride, chunks, words;
  float epsilon, ratio, scale;
  const T* x;
  const float *omega, *turned;
  const std::uint32_t* seen; ///< null for queries

  FeatureOperands(const RandomFeatures& f, FeaturesOf of, const AttentionShape& shape, const T* x_, const float* omega_,
                  const std::uint32_t* seen_)
      : B(shape.batch), N(shape.length), H(shape.heads), E(f.width), Ep(padded_features(E)), M(f.features),
        Mp(padded_features(M)), stride(shape.row_stride_qkv), chunks((N + chunk - 1) / chunk), words((N + 31) / 32),
        epsilon(f.epsilon), ratio(static_cast<float>(1 / std::sqrt(static_cast<double>(M)))),
        scale(static_cast<float>(1 / std::pow(static_cast<double>(E), 0.25))), x(x_), omega(omega_),
        turned(omega_ + M * Ep), seen(of == FeaturesOf::queries ? nullptr : seen_) {}

  KOKKOS_INLINE_FUNCTION std::int64_t rows(std::int64_t task) const {
    const std::int64_t first = task % chunks * chunk;
    return N - first < chunk ? N - first : chunk;
  }
  /// Row r of a chunk in an array of features.
  KOKKOS_INLINE_FUNCTION std::int64_t feature_row(std::int64_t task, std::int64_t r) const {
    return (task / chunks * N + task % chunks * chunk + r) * Mp;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t at(std::int64_t task, std::int64_t r) const {
    const std::int64_t b = task / chunks / H, h = task / chunks % H;
    return (b * N + task % chunks * chunk + r) * stride + h * E;
  }
  KOKKOS_INLINE_FUNCTION bool real(std::int64_t task, std::int64_t r) const {
    return tiles::is_seen(seen, words, task / chunks / H, task % chunks * chunk + r);
  }
  /// tile (rows, Ep): x', and 0 for rows that are not real.
  KOKKOS_INLINE_FUNCTION void load_rows(const Member& member, float* tile, std::int64_t task) const {
    each_group(member, rows(task), Ep, [&](std::int64_t r, std::int64_t e, std::int64_t) {
      const std::int64_t valid = E - e < number_count ? E - e : number_count;
      put_numbers(tile + r * Ep + e,
                  valid > 0 && real(task, r) ? scale * numbers_at(x + at(task, r) + e, valid) : Numbers{},
                  number_count);
    });
  }
  /// From omega . x' in phi to the features. shift: |x'|^2 / 2 + c of the rows.
  KOKKOS_INLINE_FUNCTION void finish(const Member& member, float* phi, std::int64_t task, const float* shift) const {
    each_group(member, rows(task), Mp, [&](std::int64_t r, std::int64_t m, std::int64_t) {
      const std::int64_t valid = M - m < number_count ? M - m : number_count;
      float* to = phi + feature_row(task, r) + m;
      const bool counts = valid > 0 && real(task, r);
      put_numbers(
          to, counts ? first_of(ratio * (exp_of(numbers_at(to, number_count) - shift[r]) + epsilon), valid) : Numbers{},
          number_count);
    });
  }
  KOKKOS_INLINE_FUNCTION float half_square(const float* row) const {
    return 0.5f * sum_of_numbers(Ep, [&](std::int64_t e, std::int64_t count) {
             const Numbers some = numbers_at(row + e, count);
             return some * some;
           });
  }
};

} // namespace

float RandomFeatures::floor() const {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(features))) * epsilon;
}

std::int64_t default_features(std::int64_t width) {
  const auto E = static_cast<double>(width);
  const auto M = static_cast<std::int64_t>(E * std::log(E));
  return M > 0 ? M : 1;
}

void draw_random_features(const RandomFeatures& features, const FeatureDraw& draw, float* omega, double* workspace) {
  const std::int64_t M = features.features, E = features.width, Ep = padded_features(E), Mp = padded_features(M);
  const std::int64_t every = draw.every;
  const Dropout moment = draw.moment;
  const std::uint32_t layer = draw.layer;
  for_each(
      "weft::random_features_padding", features.matrix(), KOKKOS_LAMBDA(std::int64_t i) { omega[i] = 0; });
  tiles::for_tasks(
      "weft::draw_random_features", (M + E - 1) / E, 1,
      KOKKOS_LAMBDA(const Member& member, float*, std::int64_t block) {
        const std::uint32_t step = at_moment(moment).step;
        const std::uint32_t number = every > 0 ? static_cast<std::uint32_t>(step / every) : 0;
        const RandomKey directions{moment.seed, number, layer, purpose_directions},
            lengths{moment.seed, number, layer, purpose_lengths};
        const std::int64_t first = block * E, count = M - first < E ? M - first : E;
        double* a = workspace + block * E * E;
        each(member, count * E, [&](std::int64_t n) { a[n] = normal(directions, first * E + n); });
        orthonormalise(member, a, count, E);
        each(member, count, [&](std::int64_t r) {
          const std::int64_t m = first + r;
          double squares = 0;
          for (std::int64_t e = 0; e < E; ++e) {
            const double g = normal(lengths, m * E + e);
            squares += g * g;
          }
          const double length = Kokkos::sqrt(squares);
          for (std::int64_t e = 0; e < E; ++e) {
            const auto value = static_cast<float>(length * a[r * E + e]);
            omega[m * Ep + e] = value;
            omega[M * Ep + e * Mp + m] = value;
          }
        });
      });
}

std::int64_t random_features_workspace(const AttentionShape& shape) {
  return shape.batch * shape.heads * ((shape.length + chunk - 1) / chunk);
}

template <class T>
void random_features_forward(const RandomFeatures& features, FeaturesOf what, const AttentionShape& shape, float* phi,
                             const T* x, const float* omega, const std::uint32_t* seen, float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const FeatureOperands<T> of(features, what, shape, x, omega, seen);
  const std::int64_t tasks = of.B * of.H * of.chunks;
  tiles::for_tasks(
      "weft::random_features_forward", tasks, chunk * (of.Ep + 2),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        float *tile = scratch, *shift = tile + chunk * of.Ep, *tops = shift + chunk;
        const std::int64_t rows = of.rows(task);
        of.load_rows(member, tile, task);
        float* u = phi + of.feature_row(task, 0);
        product(member, u, of.Mp, rows, of.M, Left{tile, of.Ep, 1}, of.E, of.turned, of.Mp, false);
        each(member, rows, [&](std::int64_t r) {
          tops[r] = what == FeaturesOf::causal_keys ? 0.0f : of.real(task, r) ? largest(u + r * of.Mp, of.M) : least;
          shift[r] = of.half_square(tile + r * of.Ep) + tops[r];
        });
        if (what != FeaturesOf::keys)
          return of.finish(member, phi, task, shift);
        each(member, 1, [&](std::int64_t) { workspace[task] = largest(tops, rows); });
      });
  if (what != FeaturesOf::keys)
    return;
  tiles::for_tasks(
      "weft::random_features_keys", tasks, chunk * (of.Ep + 1),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        float *tile = scratch, *shift = tile + chunk * of.Ep;
        of.load_rows(member, tile, task);
        const float top = largest(workspace + task / of.chunks * of.chunks, of.chunks);
        each(member, of.rows(task), [&](std::int64_t r) { shift[r] = of.half_square(tile + r * of.Ep) + top; });
        of.finish(member, phi, task, shift);
      });
}

template <class T>
void random_features_backward(const RandomFeatures& features, FeaturesOf what, const AttentionShape& shape, T* dx,
                              const float* p, const T* x, const float* omega, const std::uint32_t* seen) {
  const TimedRegion timed(&RegionSeconds::attention);
  const FeatureOperands<T> of(features, what, shape, x, omega, seen);
  tiles::for_tasks(
      "weft::random_features_backward", of.B * of.H * of.chunks, chunk * (2 * of.Ep + 1),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        float *tile = scratch, *through = tile + chunk * of.Ep, *sums = through + chunk * of.Ep;
        const std::int64_t rows = of.rows(task);
        const float* from = p + of.feature_row(task, 0);
        of.load_rows(member, tile, task);
        product(member, through, of.Ep, rows, of.E, Left{from, of.Mp, 1}, of.M, of.omega, of.Ep, false);
        each(member, rows, [&](std::int64_t r) {
          sums[r] = sum_of_numbers(
              of.M, [&](std::int64_t m, std::int64_t count) { return numbers_at(from + r * of.Mp + m, count); });
        });
        each_group(member, rows, of.E, [&](std::int64_t r, std::int64_t e, std::int64_t count) {
          const Numbers d = of.scale * (numbers_at(through + r * of.Ep + e, number_count) -
                                        sums[r] * numbers_at(tile + r * of.Ep + e, number_count));
          put_numbers(dx + of.at(task, r) + e, of.real(task, r) ? d : Numbers{}, count);
        });
      });
}

#define WEFT_RANDOM_FEATURES_OF(T)                                                                                     \
  template void random_features_forward(const RandomFeatures&, FeaturesOf, const AttentionShape&, float*, const T*,    \
                                        const float*, const std::uint32_t*, float*);                                   \
  template void random_features_backward(const RandomFeatures&, FeaturesOf, const AttentionShape&, T*, const float*,   \
                                         const T*, const float*, const std::uint32_t*)
WEFT_FOR_EACH_STORAGE(WEFT_RANDOM_FEATURES_OF);

} // namespace weft
