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
    int element = 4; ///< bytes of one number: 2 bf16 and fp16, 4 fp32
  };

  template <class T>
  int plan(std::string name, std::int64_t n) {
    return plan_bytes(std::move(name), static_cast<std::size_t>(n) * sizeof(T), sizeof(T));
  }
  int plan_bytes(std::string name, std::size_t bytes, int element);
  void allocate();

  std::size_t bytes() const { return bytes_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  template <class T>
  T* at(int piece) {
    return reinterpret_cast<T*>(memory_.data() + pieces_[static_cast<std::size_t>(piece)].offset);
  }
  template <class T>
  const T* at(int piece) const {
    return reinterpret_cast<const T*>(memory_.data() + pieces_[static_cast<std::size_t>(piece)].offset);
  }

 private:
  std::vector<Piece> pieces_;
  std::size_t bytes_ = 0;
  Buffer<unsigned char> memory_;
};

} // namespace weft
