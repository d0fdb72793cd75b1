#include "model/layers/embedding.hpp"
#include "kernels/embedding/sinusoid.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
Embedding<T>::Embedding(Plan& plan, const EmbeddingSetup& setup)
    : D(setup.width), V(setup.vocabulary), slots_(setup.slots), token_into_(setup.tied ? Into::add : Into::overwrite),
      dropout_(setup.dropout), scale_(setup.scale), pixels_(setup.pixels) {
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  if (pixels_) {
    token_ = plan.weight("embedding.pixel.weight", {D}, setup.token);
    start_ = plan.weight("embedding.pixel.bias", {D}, setup.start);
    partial_ = plan.scratch<float>("partial", pixels_workspace(pixels(plan.R)));
    return;
  }
  token_ = plan.weight("embedding.token", {V, D}, setup.token);
  if (slots_ != Slots::plain)
    start_ = plan.weight("embedding.start", {D}, setup.start);
  for (const std::int64_t extent : setup.position_tables) {
    const int c = coordinates_.count++;
    coordinates_.extents[c] = extent;
    if (!setup.position_widths.empty())
      coordinates_.widths[c] = setup.position_widths.at(static_cast<std::size_t>(c));
    position_[static_cast<std::size_t>(c)] =
        plan.weight("embedding.position." + std::to_string(c), {extent, coordinates_.width(c, D)}, setup.position);
  }
  if (setup.norm_epsilon > 0) {
    norm_ = Norm<T>(plan, "embedding.norm", "embedding.mean", "embedding.rstd", D, setup.norm_epsilon);
    sums_ = plan.keep<T>("embedding.sums", plan.R * D);
  }
  if (setup.sinusoid) {
    std::vector<float> table(static_cast<std::size_t>(plan.N * D));
    fill_sinusoid(table.data(), plan.N, D);
    sinusoid_ = Buffer<float>(plan.N * D, "positions");
    copy_to_device(sinusoid_.data(), table.data(), sinusoid_.bytes());
    plan.tables(sinusoid_.bytes());
  }
}

template <class T>
EmbeddingShape Embedding<T>::shape(std::int64_t sequences, std::int64_t slots) const {
  EmbeddingShape s{sequences, slots_ == Slots::front ? slots - 1 : slots, D, V};
  s.slots = slots_;
  s.scale = scale_;
  return s;
}

/// of(weight): where its numbers, or their gradients, lie.
template <class T>
template <class Pointer, class Of>
EmbeddingTables<Pointer> Embedding<T>::tables(const Of& of) const {
  EmbeddingTables<Pointer> t{of(token_), start_ ? of(start_) : nullptr, {}};
  for (int c = 0; c < coordinates_.count; ++c)
    t.position[c] = of(position_[static_cast<std::size_t>(c)]);
  t.fixed = sinusoid_.data();
  return t;
}

template <class T>
void Embedding<T>::forward(const Pass<T>& p, T* out) const {
  if (pixels_)
    pixels_forward(pixels(p.rows()), out, p.tokens(), p.w(token_), p.w(start_));
  else
    embedding_forward(norm_.gain ? p(sums_) : out, shape(p.sequences(), p.length()), coordinates_,
                      tables<const float*>([&](Weight w) { return p.w(w); }), p.tokens());
  if (norm_.gain)
    norm_.forward(p, out, p(sums_));
  p.drop(out, D, dropout_, site_);
}

template <class T>
void Embedding<T>::backward(const Pass<T>& p, T* dout) const {
  p.drop(dout, D, dropout_, site_);
  if (norm_.gain)
    norm_.backward(p, dout, dout, p(sums_), Into::overwrite);
  if (pixels_)
    pixels_backward(pixels(p.rows()), p.dw(token_), p.dw(start_), static_cast<const T*>(dout), p.tokens(), p(partial_));
  else
    embedding_backward(tables<float*>([&](Weight w) { return p.dw(w); }), shape(p.sequences(), p.length()),
                       coordinates_, static_cast<const T*>(dout), p.tokens(), token_into_);
  p.done(token_);
}

template <class T>
void Embedding<T>::forward_row(const RowSetup& setup, const Slot& slot, T* out) const {
  embedding_slot(out, shape(setup.samples, setup.length), coordinates_,
                 tables<const float*>([&](Weight w) { return setup.at(w); }), slot.previous, slot.position);
}

WEFT_FOR_STORAGE_TYPES(Embedding);

} // namespace weft
