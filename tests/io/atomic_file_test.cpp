#include "io/atomic_file.hpp"
#include "scratch.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace weft;
using namespace weft::test;

TEST(AtomicFile, IsThereOnlyAfterCommit) {
  const Scratch scratch;
  const std::string path = scratch / "deep/er/file";
  {
    AtomicFile file(path);
    file.write("whole");
    EXPECT_FALSE(fs::exists(path));
    file.commit();
  }
  EXPECT_EQ(get(path), "whole");
  EXPECT_EQ(read_file(path), "whole");
}

TEST(AtomicFile, FailureKeepsTheOlderFileAndLeavesNothingElse) {
  const Scratch scratch;
  const std::string path = scratch / "file";
  replace_file(path, "old");
  try {
    AtomicFile file(path);
    file.write("half");
    throw std::runtime_error("a crash");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(get(path), "old");
  EXPECT_EQ(scratch.entries(), 1u);
  replace_file(path, "new");
  EXPECT_EQ(get(path), "new");
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(AtomicFile, FullDiskIsAnErrorThatSaysSo) {
  if (access("/dev/full", W_OK) != 0)
    GTEST_SKIP() << "no /dev/full here";
  const Scratch scratch;
  const std::string path = scratch / "file";
  fs::create_symlink("/dev/full", path + ".partial-" + std::to_string(getpid()));
  EXPECT_FAILS(exit_failure, "No space left", replace_file(path, "text"));
  EXPECT_EQ(scratch.entries(), 0u);
}

TEST(AtomicFile, ADeviceStaysADeviceAndALinkALink) {
  const Scratch scratch;
  const std::string file = scratch / "file", link = scratch / "link", pipe = scratch / "pipe";
  put(file, "old");
  fs::create_symlink("file", link);
  replace_file(link, "new");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(get(file), "new");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0666), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  replace_file(pipe, "text");
  char text[8] = {};
  EXPECT_EQ(read(reader, text, sizeof text), 4);
  EXPECT_STREQ(text, "text");
  close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(scratch.entries(), 3u);
}

TEST(AtomicFile, FolderThatCannotBeMadeIsNamed) {
  const Scratch scratch;
  put(scratch / "plain", "a file");
  EXPECT_FAILS(exit_failure, scratch / "plain", replace_file(scratch / "plain/below", "text"));
}

TEST(AtomicFolder, IsRenamedWholeOrRemoved) {
  const Scratch scratch;
  {
    AtomicFolder folder(scratch / "set/");
    put(folder.temporary() + "/a", "1");
  }
  EXPECT_EQ(scratch.entries(), 0u);
  {
    AtomicFolder folder(scratch / "set/");
    put(folder.temporary() + "/a", "1");
    folder.commit();
  }
  EXPECT_EQ(get(scratch / "set/a"), "1");
  EXPECT_FAILS(exit_input, "exists already", AtomicFolder folder(scratch / "set"); folder.commit());
  EXPECT_EQ(get(scratch / "set/a"), "1");
  EXPECT_EQ(scratch.entries(), 1u);
}
