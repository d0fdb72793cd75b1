#include "model/layers/released_local.hpp"
#include "kernels/attention/fit_rows.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
ReleasedLocal<T>::ReleasedLocal(Plan& plan, const std::string& name, const AttentionSetup& setup, std::int64_t block,
                                const AttentionPlans& plans)
    : Base(plan, name, setup, Base::OwnWeights::none,
           "got local attention in its released form, which sees later positions, expected a causal model: only "
           "that can be sampled from"),
      sets_(plan, name, ReleasedSets::with_tail, block,
            this->shape(plan.S, ReleasedSets::with_tail(plan.N, block).whole()), setup.dropout, this->again_, plans) {
  const std::int64_t rows = plan.S * sets_.sets(plan.N).whole(), wide = H * (2 * E + Ev);
  rows_ = plan.scratch<T>("longer rows", rows * wide);
  drows_ = plan.scratch<T>("longer slopes", rows * wide);
  out_ = plan.scratch<T>("longer out", rows * H * Ev);
  dout_ = plan.scratch<T>("longer dout", rows * H * Ev);
}

template <class T>
void ReleasedLocal<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  const std::int64_t S = p.sequences(), N = p.length(), longer = sets_.sets(N).whole();
  const AttentionShape sizes = this->shape(S, longer);
  fit_rows(p(rows_), longer, qkv, N, S, sizes.row_stride_qkv);
  sets_.forward(p, sizes, p(out_), p(rows_));
  fit_rows(attended, N, p(out_), longer, S, H * Ev);
}

template <class T>
void ReleasedLocal<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  const std::int64_t S = p.sequences(), N = p.length(), longer = sets_.sets(N).whole();
  const AttentionShape sizes = this->shape(S, longer);
  fit_rows(p(rows_), longer, qkv, N, S, sizes.row_stride_qkv);
  fit_rows(p(out_), longer, attended, N, S, H * Ev);
  fit_rows(p(dout_), longer, static_cast<const T*>(dattended), N, S, H * Ev);
  sets_.backward(p, sizes, p(drows_), p(dout_), p(rows_), p(out_));
  fit_rows(dqkv, N, p(drows_), longer, S, sizes.row_stride_qkv);
}

WEFT_FOR_STORAGE_TYPES(ReleasedLocal);

} // namespace weft
