#include "model/layers/embedding.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
Embedding<T>::Embedding(Plan& plan, const EmbeddingSetup& setup) : D(setup.width), V(setup.vocabulary) {
  token_ = plan.weight("embedding.token", {V, D}, Initialiser::normal, setup.std_token);
  start_ = plan.weight("embedding.start", {D}, Initialiser::normal, setup.std_token);
  for (const std::int64_t extent : setup.position_tables) {
    const int c = coordinates_.count++;
    coordinates_.extents[c] = extent;
    position_[static_cast<std::size_t>(c)] =
        plan.weight("embedding.position." + std::to_string(c), {extent, D}, Initialiser::normal, setup.std_position);
  }
}

template <class T>
void Embedding<T>::forward(const Pass<T>& p, T* out) const {
  EmbeddingTables<const float*> tables{p.w(token_), p.w(start_), {}};
  for (int c = 0; c < coordinates_.count; ++c)
    tables.position[c] = p.w(position_[static_cast<std::size_t>(c)]);
  embedding_forward(out, shape(p.sequences(), p.length()), coordinates_, tables, p.tokens());
}

template <class T>
void Embedding<T>::backward(const Pass<T>& p, const T* dout) const {
  EmbeddingTables<float*> tables{p.dw(token_), p.dw(start_), {}};
  for (int c = 0; c < coordinates_.count; ++c)
    tables.position[c] = p.dw(position_[static_cast<std::size_t>(c)]);
  embedding_backward(tables, shape(p.sequences(), p.length()), coordinates_, dout, p.tokens());
  p.done(token_);
}

template <class T>
void Embedding<T>::forward_row(const RowSetup& setup, const Slot& slot, T* out) const {
  EmbeddingTables<const float*> tables{setup.at(token_), setup.at(start_), {}};
  for (int c = 0; c < coordinates_.count; ++c)
    tables.position[c] = setup.at(position_[static_cast<std::size_t>(c)]);
  embedding_slot(out, shape(setup.samples, setup.length), coordinates_, tables, slot.previous, slot.position);
}

WEFT_FOR_STORAGE_TYPES(Embedding);

} // namespace weft
