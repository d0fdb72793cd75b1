#include "model/arena.hpp"

namespace weft {

int Arena::plan_bytes(std::string name, std::size_t bytes, int element) {
  constexpr std::size_t line = 64;
  pieces_.push_back({std::move(name), bytes_, bytes, element});
  bytes_ += (bytes + line - 1) / line * line;
  return static_cast<int>(pieces_.size()) - 1;
}

void Arena::allocate() { memory_ = Buffer<unsigned char>(static_cast<std::int64_t>(bytes_), "activations"); }

} // namespace weft
