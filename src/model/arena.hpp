// One block of memory for all activations, laid out before the first step: a step allocates nothing.
#pragma once
#include "kernels/common/memory.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// First every piece is planned (`plan` adds it and returns its number), then `allocate` takes the memory once.
/// A plan that is never allocated tells what a run would need.
class Arena {
 public:
  struct Piece {
    std::string name;
    std::size_t offset = 0, bytes = 0;
    int element = 4;     ///< bytes of one number: 2 bf16 and fp16, 4 fp32
    bool finite = false; ///< holds numbers of the forward pass that are finite unless something went bad
  };

  int plan(Piece piece);
  /// The piece of this name, made as large as any that asked for it.
  int share(Piece piece);
  void allocate();

  std::size_t bytes() const;
  const std::vector<Piece>& pieces() const { return pieces_; }
  template <class T>
  T* at(int piece) {
    return reinterpret_cast<T*>(memory_.data() + pieces_[static_cast<std::size_t>(piece)].offset);
  }

 private:
  std::vector<Piece> pieces_;
  Buffer<unsigned char> memory_;
};

} // namespace weft
