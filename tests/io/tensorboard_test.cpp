// Reads the event file back by the TFRecord and protocol-buffer rules, with nothing of the writer's but the checksum.
#include "io/digest.hpp"
#include "io/tensorboard.hpp"
#include "scratch.hpp"
#include <cstring>
#include <vector>

using namespace weft;
using namespace weft::test;

namespace {

std::vector<std::string> records(const std::string& all) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < all.size();) {
    std::uint64_t length;
    std::uint32_t crc;
    std::memcpy(&length, all.data() + at, 8);
    std::memcpy(&crc, all.data() + at + 8, 4);
    EXPECT_EQ(crc, masked_crc32c(all.data() + at, 8));
    found.push_back(all.substr(at + 12, length));
    std::memcpy(&crc, all.data() + at + 12 + length, 4);
    EXPECT_EQ(crc, masked_crc32c(found.back().data(), length));
    at += 16 + length;
  }
  return found;
}

} // namespace

TEST(EventFile, RecordsHoldWhatWasAdded) {
  const Scratch scratch;
  std::string path;
  {
    EventFile events(scratch / "tb", 300);
    events.add_scalar("loss", 300, 2.5);
    events.flush();
    path = events.path();
    EXPECT_EQ(records(get(path)).size(), 3u);
    EventFile second(scratch / "tb");
    EXPECT_NE(second.path(), path);
  }
  EXPECT_EQ(fs::path(path).filename().string().rfind("events.out.tfevents.", 0), 0u);
  const auto all = records(get(path));
  ASSERT_EQ(all.size(), 3u);
  // Each: key 9 and the wall time, key 16 and the step, then the body.
  EXPECT_EQ(all[0].substr(9), std::string("\x10\0\x1a\x0d"
                                          "brain.Event:2",
                                          17));
  EXPECT_EQ(all[1].substr(9), std::string("\x10\xac\x02\x3a\x02\x08\x01"));
  EXPECT_EQ(all[2].substr(9), std::string("\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\x20\x40", 18));
}
