#include "model/layers/linear_attention.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
LinearAttentionLayer<T>::LinearAttentionLayer(Plan& plan, const std::string& name, const AttentionSetup& setup,
                                              const LinearSetup& linear)
    : Base(plan, name, setup, Base::OwnWeights::none, Base::has_rows), setup_(linear) {
  denominators_ = plan.keep_unless<float>(this->again_, name, "denominators", plan.R * H);
  const LinearAttention whole{this->shape(plan.S, plan.N), setup_.map, setup_.causal, setup_.guard, setup_.floor};
  workspace_ = plan.scratch<float>("attention", linear_attention_workspace(whole));
  const double forward = linear_attention_work(whole, false);
  plan.attention(forward, linear_attention_work(whole, true) + (this->again_ ? forward : 0));
}

template <class T>
LinearAttention LinearAttentionLayer<T>::call(const Pass<T>& p) const {
  LinearAttention c{this->shape(p.sequences(), p.length()), setup_.map, setup_.causal, setup_.guard, setup_.floor};
  c.seen = setup_.padding_is_seen ? nullptr : p.seen();
  return c;
}

template <class T>
void LinearAttentionLayer<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  linear_attention_forward<T>(call(p), attended, p(denominators_), qkv, qkv + H * E, qkv + 2 * H * E, nullptr, nullptr,
                              p(workspace_));
}

template <class T>
void LinearAttentionLayer<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv,
                                              const T* attended) {
  linear_attention_backward<T>(call(p), dqkv, dqkv + H * E, dqkv + 2 * H * E, dattended, qkv, qkv + H * E,
                               qkv + 2 * H * E, attended, p(denominators_), nullptr, nullptr, p(workspace_));
}

namespace {

/// One new position of every sample: all that is kept of those before it is the running sum (section 3.4).
template <class T>
class LinearRows final : public RowLayer<T> {
 public:
  LinearRows(const LinearAttention& call, StripMatrix<T> qkv, const float* qkv_bias, StripMatrix<T> out,
             const float* out_bias)
      : call_(call), qkv_weight_(std::move(qkv)), out_weight_(std::move(out)), qkv_bias_(qkv_bias), out_bias_(out_bias),
        state_(linear_attention_state(call), "running state"),
        qkv_(call.shape.batch * call.shape.row_stride_qkv, "qkv"),
        attended_(call.shape.batch * call.shape.row_stride_out, "attended") {}

  void forward(const Slot& slot, T* y, const T* x) override {
    const AttentionShape& s = call_.shape;
    if (slot.position == 0)
      device_zero(state_.data(), state_.bytes());
    few_rows_forward(qkv_weight_, s.batch, qkv_.data(), x, qkv_bias_);
    const T* q = qkv_.data();
    linear_attention_step(call_, state_.data(), attended_.data(), q, q + s.heads * s.key_width,
                          q + 2 * s.heads * s.key_width);
    few_rows_forward(out_weight_, s.batch, y, attended_.data(), out_bias_);
  }
  std::size_t cache_bytes() const override { return state_.bytes(); }

 private:
  LinearAttention call_;
  StripMatrix<T> qkv_weight_, out_weight_;
  const float *qkv_bias_, *out_bias_;
  Buffer<float> state_; ///< (samples, H, M, Ev + 1), padded
  Buffer<T> qkv_, attended_;
};

} // namespace

template <class T>
std::unique_ptr<RowLayer<T>> LinearAttentionLayer<T>::rows(const RowSetup& setup) const {
  const LinearAttention call{this->shape(setup.samples, 1), setup_.map, true, setup_.guard, setup_.floor};
  return std::make_unique<LinearRows<T>>(
      call, setup.matrix<T>(this->qkv_weight_), this->qkv_bias_ ? setup.at(this->qkv_bias_) : nullptr,
      setup.matrix<T>(this->out_weight_), this->out_bias_ ? setup.at(this->out_bias_) : nullptr);
}

WEFT_FOR_STORAGE_TYPES(LinearAttentionLayer);

} // namespace weft
