// Digests that say whether bytes are what they were: SHA-256 (FIPS 180-4), MD5 (RFC 1321, for the published sums
// of enwik8 and CIFAR-10 only), CRC-32C (RFC 3720, appendix B.4, for TFRecord files).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

/// A digest of bytes that come in pieces.
class Digest {
 public:
  enum class Kind { sha256, md5 };
  explicit Digest(Kind kind);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void update(const void* data, std::size_t bytes);
  /// Lower-case hexadecimal digest of all updates. Ends the digest: no update may follow.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(const void* data, std::size_t bytes);
std::string md5(const void* data, std::size_t bytes);
/// SHA-256 of a file; DataError where it cannot be read.
std::string sha256_of_file(const std::string& path);

/// CRC-32C (Castagnoli polynomial, reflected, initial value and final xor all ones).
std::uint32_t crc32c(const void* data, std::size_t bytes);
/// The masked form that TFRecord stores: rotate right by 15 bits, add 0xa282ead8.
std::uint32_t masked_crc32c(const void* data, std::size_t bytes);

} // namespace weft
