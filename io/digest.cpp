#include "io/digest.hpp"
#include "io/error.hpp"
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>
#include <openssl/evp.h>
#include <vector>

namespace weft {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest(Kind kind) : state_(std::make_unique<State>()) {
  const EVP_MD* algorithm = kind == Kind::md5 ? EVP_md5() : EVP_sha256();
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, algorithm, nullptr) != 1)
    throw Error(exit_failure, fmt::format("libcrypto offers no {} (is it restricted to FIPS algorithms?)",
                                          kind == Kind::md5 ? "MD5" : "SHA-256"));
}

Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::update(const void* data, std::size_t bytes) {
  if (EVP_DigestUpdate(state_->context, data, bytes) != 1)
    throw Error(exit_failure, "libcrypto failed to continue a digest");
}

std::string Digest::hex() {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  if (EVP_DigestFinal_ex(state_->context, value, &bytes) != 1)
    throw Error(exit_failure, "libcrypto failed to end a digest");
  std::string text;
  for (unsigned int i = 0; i < bytes; ++i)
    text += fmt::format("{:02x}", value[i]);
  return text;
}

namespace {
std::string digest_of(Digest::Kind kind, const void* data, std::size_t bytes) {
  Digest digest(kind);
  digest.update(data, bytes);
  return digest.hex();
}
} // namespace

std::string sha256(const void* data, std::size_t bytes) { return digest_of(Digest::Kind::sha256, data, bytes); }
std::string md5(const void* data, std::size_t bytes) { return digest_of(Digest::Kind::md5, data, bytes); }

std::string sha256_of_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  Digest digest(Digest::Kind::sha256);
  std::vector<char> block(1 << 20);
  std::size_t got;
  while ((got = std::fread(block.data(), 1, block.size(), file)) > 0)
    digest.update(block.data(), got);
  const bool bad = std::ferror(file) != 0;
  std::fclose(file);
  if (bad)
    throw DataError(fmt::format("cannot read {} to its end", path));
  return digest.hex();
}

std::uint32_t crc32c(const void* data, std::size_t bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t remainder = i;
      for (int bit = 0; bit < 8; ++bit)
        remainder = (remainder >> 1) ^ ((remainder & 1u) != 0 ? 0x82f63b78u : 0u);
      entries[i] = remainder;
    }
    return entries;
  }();
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint32_t crc = ~0u;
  for (std::size_t i = 0; i < bytes; ++i)
    crc = (crc >> 8) ^ table[(crc ^ at[i]) & 0xffu];
  return ~crc;
}

std::uint32_t masked_crc32c(const void* data, std::size_t bytes) {
  const std::uint32_t crc = crc32c(data, bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

} // namespace weft
