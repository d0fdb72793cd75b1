#include "model/arena.hpp"
#include <algorithm>

namespace weft {

namespace {
constexpr std::size_t line = 64;
std::size_t rounded(std::size_t bytes) { return (bytes + line - 1) / line * line; }
} // namespace

int Arena::plan(Piece piece) {
  pieces_.push_back(std::move(piece));
  return static_cast<int>(pieces_.size()) - 1;
}

int Arena::share(Piece piece) {
  const auto known = std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& p) { return p.name == piece.name; });
  if (known == pieces_.end())
    return plan(std::move(piece));
  known->bytes = std::max(known->bytes, piece.bytes);
  return static_cast<int>(known - pieces_.begin());
}

std::size_t Arena::bytes() const {
  std::size_t sum = 0;
  for (const Piece& piece : pieces_)
    sum += rounded(piece.bytes);
  return sum;
}

void Arena::allocate() {
  std::size_t offset = 0;
  for (Piece& piece : pieces_) {
    piece.offset = offset;
    offset += rounded(piece.bytes);
  }
  memory_ = Buffer<unsigned char>(static_cast<std::int64_t>(offset), "activations");
}

} // namespace weft
