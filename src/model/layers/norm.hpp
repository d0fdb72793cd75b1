// Normalisation as a part of models: kernels/norm with its weights and the statistics that it keeps.
#pragma once
#include "kernels/norm/batch_norm.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/norm/rms_norm.hpp"
#include "model/layers/rows.hpp"
#include "model/pass.hpp"
#include <stdexcept>

namespace weft {

enum class NormKind {
  layer, ///< kernels/norm/norm.hpp
  scale, ///< kernels/norm/rms_norm.hpp with one gain: no bias, no mean
  rms,   ///< the same with a gain for each channel
  batch, ///< kernels/norm/batch_norm.hpp: statistics of a micro-batch in training, running ones otherwise
  none   ///< the rows themselves, without weights
};

/// What a step takes of its statistics into the running ones: PyTorch's default, which MEGA's authors have.
constexpr double batch_norm_momentum = 0.1;

template <class T>
struct Norm {
  Weight gain, bias;
  Weight running_mean, running_variance; ///< of NormKind::batch
  Piece<float> mean, rstd, partial;
  float epsilon = 0;
  std::int64_t D = 0;
  NormKind kind = NormKind::layer;

  Norm() = default;
  /// Weights name + ".gain", name + ".bias", and of batch norms ".mean", ".variance". `what` names the statistics:
  /// "block.00.mean1".
  Norm(Plan& plan, const std::string& name, const std::string& mean_name, const std::string& rstd_name,
       std::int64_t width, float eps, NormKind norms = NormKind::layer)
      : gain(plan.weight(name + ".gain", {norms == NormKind::scale ? 1 : width}, Initialiser::one)), epsilon(eps),
        D(width), kind(norms) {
    if (kind == NormKind::layer || kind == NormKind::batch)
      bias = plan.weight(name + ".bias", {width}, Initialiser::zero);
    if (kind == NormKind::batch) {
      running_mean = plan.running(name + ".mean", {width}, Initialiser::zero, batch_norm_momentum);
      running_variance = plan.running(name + ".variance", {width}, Initialiser::one, batch_norm_momentum);
    }
    if (kind == NormKind::layer)
      mean = plan.keep<float>(mean_name, plan.R);
    rstd = plan.keep<float>(rstd_name, kind == NormKind::batch ? width : plan.R);
    partial = plan.scratch<float>("partial", kind == NormKind::batch ? batch_norm_workspace({plan.S, plan.N, width})
                                                                     : norm_workspace(plan.R, width));
  }

  /// What stands where a norm could and is none: rows go through as they are.
  static Norm identity(std::int64_t width) {
    Norm norm;
    norm.D = width;
    norm.kind = NormKind::none;
    return norm;
  }

  void forward(const Pass<T>& p, T* out, const T* x) const {
    if (kind == NormKind::none)
      return dropout_forward(out, x, Dropout{}, {p.sequences(), p.length(), D});
    if (kind == NormKind::batch)
      return batch_forward(p, out, x);
    if (kind != NormKind::layer)
      return rms_norm_forward(rms(p), out, p(rstd), x, p.w(gain), epsilon);
    norm_forward(out, p(mean), p(rstd), x, p.w(gain), p.w(bias), p.rows(), D, epsilon);
  }
  /// The same `out` from the statistics that are there.
  void again(const Pass<T>& p, T* out, const T* x) const {
    if (kind == NormKind::none)
      return forward(p, out, x);
    if (kind == NormKind::batch)
      return batch_norm_apply(batch(p), out, x, p.dw(running_mean), p(rstd), p.w(gain), p.w(bias), p.seen());
    if (kind != NormKind::layer)
      return rms_norm_again(rms(p), out, p(rstd), x, p.w(gain));
    norm_again(out, p(mean), p(rstd), x, p.w(gain), p.w(bias), p.rows(), D);
  }
  /// sum = x + dropout(y),   out = norm(sum)
  void residual(const Pass<T>& p, T* sum, T* out, const T* x, const T* y, const Dropout& dropout) const {
    const ResidualShape shape{p.sequences(), p.length(), D};
    if (kind == NormKind::layer)
      return residual_forward(sum, out, p(mean), p(rstd), x, y, dropout, p.w(gain), p.w(bias), epsilon, shape);
    dropout_forward(sum, x, Dropout{}, shape);
    residual_add(sum, y, 1, dropout, shape);
    forward(p, out, sum);
  }
  /// dx += gradient through the norm, or dx = that gradient.
  void backward(const Pass<T>& p, T* dx, const T* dout, const T* x, Into into = Into::add) const {
    if (kind == NormKind::none)
      return into == Into::add ? residual_add(dx, dout, 1, Dropout{}, {p.sequences(), p.length(), D})
                               : forward(p, dx, dout);
    if (kind == NormKind::batch)
      return batch_norm_backward(batch(p), dx, p.dw(gain), p.dw(bias), dout, x, p.dw(running_mean), p(rstd), p.w(gain),
                                 p.seen(), p(partial), into);
    if (kind != NormKind::layer)
      return rms_norm_backward(rms(p), dx, p.dw(gain), dout, x, p(rstd), p.w(gain), p(partial), into);
    norm_backward(dx, p.dw(gain), p.dw(bias), dout, x, p(mean), p(rstd), p.w(gain), p.rows(), D, p(partial), into);
  }
  /// For decoding, of one row per sample: out = norm(x), and sum = x + y, out = norm(sum), where sum may be x.
  /// statistics: 2 numbers for each sample.
  void rows(const RowSetup& setup, float* statistics, T* out, const T* x) const {
    const std::int64_t S = setup.samples;
    if (kind == NormKind::layer)
      return norm_forward(out, statistics, statistics + S, x, setup.at(gain), setup.at(bias), S, D, epsilon);
    if (kind == NormKind::batch || kind == NormKind::none)
      throw std::logic_error("a norm that no model of the next token has");
    rms_norm_forward({S, D, kind == NormKind::scale}, out, statistics, x, setup.at(gain), epsilon);
  }
  void residual_rows(const RowSetup& setup, float* statistics, T* sum, T* out, const T* x, const T* y) const {
    const ResidualShape shape{setup.samples, 1, D};
    if (kind == NormKind::layer)
      return residual_forward(sum, out, statistics, statistics + setup.samples, x, y, Dropout{}, setup.at(gain),
                              setup.at(bias), epsilon, shape);
    if (sum != x)
      dropout_forward(sum, x, Dropout{}, shape);
    residual_add(sum, y, 1, Dropout{}, shape);
    rows(setup, statistics, out, sum);
  }
  RmsShape rms(const Pass<T>& p) const { return {p.rows(), D, kind == NormKind::scale}; }
  BatchNormShape batch(const Pass<T>& p) const { return {p.sequences(), p.length(), D}; }

 private:
  /// The mean stays where the step looks for it; a pass that is done again writes the same statistics once more.
  void batch_forward(const Pass<T>& p, T* out, const T* x) const {
    if (p.training()) {
      batch_norm_statistics(batch(p), p.dw(running_mean), p(rstd), p.dw(running_variance), x, p.seen(), epsilon,
                            p(partial));
      return again(p, out, x);
    }
    batch_norm_scale(p(rstd), p.w(running_variance), D, epsilon);
    batch_norm_apply(batch(p), out, x, p.w(running_mean), p(rstd), p.w(gain), p.w(bias), p.seen());
  }
};

} // namespace weft
