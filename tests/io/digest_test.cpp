// Known answers: FIPS 180-4 and RFC 1321 appendix A.5 for the digests, RFC 3720 appendix B.4 for CRC-32C.
#include "io/digest.hpp"
#include "scratch.hpp"

using namespace weft;
using namespace weft::test;

TEST(Digest, KnownAnswers) {
  EXPECT_EQ(sha256("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(md5("message digest", 14), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(Digest, PiecesEqualTheWholeAndTheFile) {
  const std::string text = noise(3'000'001);
  Digest digest(Digest::Kind::sha256);
  digest.update(text.data(), 1);
  digest.update(text.data() + 1, text.size() - 1);
  const std::string whole = sha256(text.data(), text.size());
  EXPECT_EQ(digest.hex(), whole);
  const Scratch scratch;
  put(scratch / "file", text);
  EXPECT_EQ(sha256_of_file(scratch / "file"), whole);
  EXPECT_FAILS(exit_data, "cannot read", sha256_of_file(scratch / "none"));
}

TEST(Digest, Crc32cKnownAnswers) {
  std::string bytes(32, '\0');
  EXPECT_EQ(crc32c(bytes.data(), 32), 0x8a9136aau);
  bytes.assign(32, '\xff');
  EXPECT_EQ(crc32c(bytes.data(), 32), 0x62a8ab43u);
  for (int i = 0; i < 32; ++i)
    bytes[static_cast<std::size_t>(i)] = static_cast<char>(i);
  EXPECT_EQ(crc32c(bytes.data(), 32), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(masked_crc32c("123456789", 9), ((0xe3069283u >> 15) | (0xe3069283u << 17)) + 0xa282ead8u);
}
