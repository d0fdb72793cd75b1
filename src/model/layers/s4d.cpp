#include "model/layers/s4d.hpp"
#include "model/storage.hpp"
#include <cmath>
#include <numbers>

namespace weft {

template <class T>
S4d<T>::S4d(Plan& plan, const std::string& name, const S4dSetup& setup)
    : D(setup.width), M(setup.modes), K(setup.directions) {
  const S4dShape longest{plan.S, plan.N, D, M, K};
  decay_ = plan.recurrent_weight(name + "s4d.decay", {D, M}, Initialiser::constant, std::log(0.5));
  angle_ = plan.recurrent_weight(name + "s4d.angle", {D, M}, Initialiser::multiples, std::numbers::pi);
  step_ = plan.recurrent_weight(name + "s4d.step", {D}, Initialiser::between, std::log(setup.dt_max),
                                std::log(setup.dt_min));
  c_ = plan.weight(name + "s4d.c", {K, D, M, 2}, {Initialiser::normal, std::sqrt(0.5)}); // |C|^2 is 1 on average
  skip_ = plan.weight(name + "s4d.skip", {D}, {Initialiser::normal, 1.0});
  workspace_ = plan.scratch<float>("states", s4d_workspace(longest));
  plan.attention(s4d_work(longest, false), s4d_work(longest, true));
}

template <class T>
void S4d<T>::forward(const Pass<T>& p, T* y, const T* x) {
  s4d_forward(shape(p), y, x, p.seen(), tensors(p), p(workspace_));
}

template <class T>
void S4d<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  s4d_backward(shape(p), dx, {p.dw(decay_), p.dw(angle_), p.dw(step_), p.dw(c_), p.dw(skip_)}, dy, x, p.seen(),
               tensors(p), p(workspace_));
}

WEFT_FOR_STORAGE_TYPES(S4d);

} // namespace weft
