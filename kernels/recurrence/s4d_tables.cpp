// From the tensors of a diagonal state space model to the tables that its passes take, and back from sums over them to
// gradients. In double precision: an error of lambda grows with the power of it that is taken.
#include "kernels/recurrence/s4d_parts.hpp"

namespace weft::state_space {

void make_tables(const Layout& l, const Parts& to, const S4dTensors<const float*>& tensors, bool weighted) {
  for_each(
      "weft::s4d_powers", l.columns * l.M, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t m = task % l.M, q = task / l.M, j0 = q * number_count, lanes = l.column_end(q);
        double re[number_count], im[number_count], power_re[number_count], power_im[number_count];
        for (std::int64_t v = 0; v < number_count; ++v) {
          const std::int64_t j = v < lanes ? j0 + v : j0, at = j * l.M + m;
          const double real = v < lanes ? 1 : 0;
          const Mode mode(tensors.decay[at], tensors.angle[at], tensors.step[j]);
          re[v] = mode.lambda_re;
          im[v] = mode.lambda_im;
          power_re[v] = real;
          power_im[v] = 0;
          for (std::int64_t k = 0; k < l.K; ++k) {
            const float* c = tensors.c + (k * l.D * l.M + at) * 2;
            const double c_re = 2 * real * static_cast<double>(c[0]), c_im = 2 * real * static_cast<double>(c[1]);
            float* w = to.factors + l.place(q, l.states()) + (k * l.M + m) * pair + v;
            w[0] = static_cast<float>(c_re * mode.held_re - c_im * mode.held_im);
            w[side] = static_cast<float>(c_re * mode.held_im + c_im * mode.held_re);
          }
        }
        float *power = to.powers + l.row(q, m), *with = to.weighted + l.row(q, m);
        for (std::int64_t n = 0; n <= L; ++n, power += pair, with += pair)
          for (std::int64_t v = 0; v < number_count; ++v) {
            power[v] = kept(power_re[v]);
            power[side + v] = kept(power_im[v]);
            if (weighted) {
              with[v] = kept(static_cast<double>(n) * power_re[v]);
              with[side + v] = kept(static_cast<double>(n) * power_im[v]);
            }
            const double next = power_re[v] * re[v] - power_im[v] * im[v];
            power_im[v] = power_re[v] * im[v] + power_im[v] * re[v];
            power_re[v] = next;
          }
      });
  for_each(
      "weft::s4d_taps", l.columns * L, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t n = task % L, q = task / L;
        float* taps = to.taps + l.place(q, l.taps());
        Numbers kernel[2] = {};
        for (std::int64_t m = 0; m < l.M; ++m) {
          const Complex power = complex_at(to.powers + l.row(q, m) + n * pair, side, number_count);
          for (std::int64_t k = 0; k < l.K; ++k) {
            const float* from = to.factors + l.place(q, l.states()) + (k * l.M + m) * pair;
            const Complex w = complex_at(from, side, number_count);
            kernel[k] = (kernel[k] + w.re * power.re) - w.im * power.im;
          }
        }
        if (n == 0) {
          const Numbers skip = numbers_at(tensors.skip + q * number_count, l.column_end(q));
          put_numbers(taps, Numbers{}, number_count);
          put_numbers(taps + L * side, kernel[0] + kernel[1] + skip, number_count);
        } else {
          put_numbers(taps + (L + n) * side, kernel[0], number_count);
          put_numbers(taps + (L - n) * side, kernel[1], number_count);
        }
      });
}
void make_gradients(const Layout& l, const Parts& of, const S4dTensors<float*>& gradients,
                    const S4dTensors<const float*>& tensors, float* steps) {
  for_each(
      "weft::s4d_gradients", l.columns * l.M, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t m = task % l.M, q = task / l.M;
        const float *powers = of.powers + l.row(q, m), *weighted = of.weighted + l.row(q, m);
        const float* sums = of.sums + l.place(q, l.sums());
        const float* pairs = of.pairs + l.place(q, 2 * l.states()) + m * pair;
        const Complex lambda = complex_at(powers + pair, side, number_count);
        const Complex end = complex_at(powers + L * pair, side, number_count);
        float p[2][4][number_count]; // P and P', real and imaginary parts
        for (std::int64_t k = 0; k < l.K; ++k) {
          const Complex across = complex_at(pairs + k * l.M * pair, side, number_count);
          const Complex between = complex_at(pairs + (l.K + k) * l.M * pair, side, number_count);
          const Complex within = complex_at(sums + l.taps() * side + (k * l.M + m) * pair, side, number_count);
          const Complex chunks = product(end, between);
          const Numbers wide = Numbers{} + static_cast<float>(L);
          Complex sum = product(lambda, across);
          const Complex apart = {(within.re + across.re) + wide * chunks.re,
                                 (within.im + across.im) + wide * chunks.im};
          Complex by_lag = product(lambda, apart);
          for (std::int64_t n = 0; n < L; ++n) {
            const Numbers r = numbers_at(sums + (k == 0 ? L + n : L - n) * side, number_count);
            const Complex f = complex_at(powers + n * pair, side, number_count);
            const Complex g = complex_at(weighted + n * pair, side, number_count);
            sum = {sum.re + f.re * r, sum.im + f.im * r};
            by_lag = {by_lag.re + g.re * r, by_lag.im + g.im * r};
          }
          put_numbers(p[k][0], sum.re, number_count);
          put_numbers(p[k][1], sum.im, number_count);
          put_numbers(p[k][2], by_lag.re, number_count);
          put_numbers(p[k][3], by_lag.im, number_count);
        }
        for (std::int64_t v = 0; v < l.column_end(q); ++v) {
          const std::int64_t j = q * number_count + v, at = j * l.M + m;
          const Mode mode(tensors.decay[at], tensors.angle[at], tensors.step[j]);
          // Sums over directions of C P and of 2 C held P'
          double c_re = 0, c_im = 0, w_re = 0, w_im = 0;
          for (std::int64_t k = 0; k < l.K; ++k) {
            const std::int64_t place = (k * l.D * l.M + at) * 2;
            const double re = static_cast<double>(tensors.c[place]), im = static_cast<double>(tensors.c[place + 1]);
            const double p_re = static_cast<double>(p[k][0][v]), p_im = static_cast<double>(p[k][1][v]);
            const double l_re = static_cast<double>(p[k][2][v]), l_im = static_cast<double>(p[k][3][v]);
            const double h_re = re * mode.held_re - im * mode.held_im, h_im = re * mode.held_im + im * mode.held_re;
            gradients.c[place] = static_cast<float>(2 * (mode.held_re * p_re - mode.held_im * p_im));
            gradients.c[place + 1] = static_cast<float>(-2 * (mode.held_re * p_im + mode.held_im * p_re));
            c_re += 2 * (re * p_re - im * p_im);
            c_im += 2 * (re * p_im + im * p_re);
            w_re += 2 * (h_re * l_re - h_im * l_im);
            w_im += 2 * (h_re * l_im + h_im * l_re);
          }
          // By A: dt w P' + C P (dt lambda - held) / A;  by dt: A w P' + C P lambda
          const double squared = mode.a_re * mode.a_re + mode.a_im * mode.a_im;
          const double e_re = mode.dt * mode.lambda_re - mode.held_re, e_im = mode.dt * mode.lambda_im - mode.held_im;
          const double by_re = (e_re * mode.a_re + e_im * mode.a_im) / squared;
          const double by_im = (e_im * mode.a_re - e_re * mode.a_im) / squared;
          const double da_re = mode.dt * w_re + c_re * by_re - c_im * by_im;
          const double da_im = mode.dt * w_im + c_re * by_im + c_im * by_re;
          gradients.decay[at] = static_cast<float>(mode.a_re * da_re);
          gradients.angle[at] = static_cast<float>(-da_im);
          steps[m * l.D + j] = static_cast<float>(
              mode.dt * (mode.a_re * w_re - mode.a_im * w_im + c_re * mode.lambda_re - c_im * mode.lambda_im));
        }
      });
  for_each(
      "weft::s4d_steps", l.D, KOKKOS_LAMBDA(std::int64_t j) {
        float sum = 0;
        for (std::int64_t m = 0; m < l.M; ++m)
          sum += steps[m * l.D + j];
        gradients.step[j] = sum;
        gradients.skip[j] = of.sums[l.place(j / number_count, l.sums()) + j % number_count + L * side];
      });
}

} // namespace weft::state_space
