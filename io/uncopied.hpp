// For classes that own one thing outside of the program.
#pragma once

namespace weft {

/// A base that makes a class neither copied nor moved.
class Uncopied {
 protected:
  Uncopied() = default;
  ~Uncopied() = default;

 public:
  Uncopied(const Uncopied&) = delete;
  Uncopied& operator=(const Uncopied&) = delete;
};

} // namespace weft
