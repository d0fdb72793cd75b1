// Promise: damaged downloads (zip, gzip, tar, bzip2, xz, a CIFAR-10 pickle) are refused with status 4 or read; names in
// an archive decide nothing on this machine's disk, and what unpacks to far more than it should is not kept in memory.
#include "../io/raw_support.hpp"
#include "io/raw/archive.hpp"
#include "io/raw/pickle.hpp"
#include "io/raw/text.hpp"
#include "mutator.hpp"
#include <zlib.h>

using namespace weft;
using namespace weft::test;

namespace {

void read_all(const std::string& path) {
  RawFile file(path);
  std::uint8_t block[65536];
  std::int64_t bytes = 0;
  while (file.next())
    for (std::size_t got; (got = file.read(block, sizeof block)) > 0 && bytes < (std::int64_t{1} << 28);)
      bytes += static_cast<std::int64_t>(got);
}

std::string filtered(const Scratch& scratch, int (*filter)(archive*), const std::string& text) {
  const std::string path = scratch / "filtered";
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  filter(writer);
  archive_write_open_filename(writer, path.c_str());
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, text.data(), text.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  std::string bytes = get(path);
  fs::remove(path);
  return bytes;
}

/// Two rows of four bytes and their labels, as CPython writes them (protocol 2, byte keys); it holds zeros.
using namespace std::string_view_literals;
const std::string
    pickled("\x80\x02}q\x00("
            "U\x04"
            "dataq\x01"
            "cnumpy.core.multiarray\n_reconstruct\nq\x02"
            "cnumpy\nndarray\nq\x03K\x00\x85U\x01"
            "b\x87Rq\x04"
            "(K\x01K\x02K\x04\x86"
            "cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            "\x89U\x08"
            "abcdefghtb"
            "U\x06labelsq\x05]q\x06(K\x01K\x02"
            "eu."sv);

const std::string plain = noise(3000) + std::string(5000, 'a');
const std::vector<Member> members = {{"folder/", ""}, {"a", plain}, {"../b", "b"}};

std::string archived(const Scratch& scratch, bool zip, bool gzip) {
  put_archive(scratch / "made", members, zip, gzip);
  std::string bytes = get(scratch / "made");
  fs::remove(scratch / "made");
  return bytes;
}

/// One format at a time, so that WEFT_FUZZ_ROUNDS says how many of each; what was read leaves no file behind.
void read_damaged(const Scratch& scratch, const std::vector<std::string>& files, std::uint64_t seed) {
  Mutator mutator(files, seed);
  const FuzzCount count = fuzz(mutator, rounds(800), scratch / "download", {exit_data}, read_all);
  EXPECT_GT(count.refused, 0);
  fs::remove(scratch / "download");
  EXPECT_EQ(scratch.entries(), 0u) << "an archive's member was written";
}

} // namespace

TEST(FuzzRaw, zip) {
  const Scratch scratch;
  read_damaged(scratch, {archived(scratch, true, false)}, 7);
}

TEST(FuzzRaw, tar) {
  const Scratch scratch;
  read_damaged(scratch, {archived(scratch, false, false)}, 31);
}

TEST(FuzzRaw, gzip) {
  const Scratch scratch;
  const std::vector<std::string> files = {archived(scratch, false, true),
                                          filtered(scratch, archive_write_add_filter_gzip, plain)};
  read_damaged(scratch, files, 32);
}

TEST(FuzzRaw, bzip2_and_xz) {
  const Scratch scratch;
  std::vector<std::string> files;
  for (auto filter : {archive_write_add_filter_bzip2, archive_write_add_filter_xz})
    files.push_back(filtered(scratch, filter, plain));
  read_damaged(scratch, files, 33);
}

TEST(FuzzRaw, text_preparation_leaves_a_whole_data_set_or_nothing) {
  const Scratch scratch;
  put_archive(scratch / "made", {{"a", noise(5000)}, {"/etc/weft-fuzz", "x"}}, true, false);
  Mutator mutator({get(scratch / "made")}, 8);
  fs::remove(scratch / "made");
  fuzz(mutator, rounds(3000) / 20, scratch / "d.zip", {exit_data}, [&](const std::string& path) {
    const Outcome got = outcome([&] { prepare_text({path}, scratch / "set", 1); });
    EXPECT_EQ(scratch.entries(), got.status == 0 ? 2u : 1u) << got.text;
    fs::remove_all(scratch / "set");
    if (got.status != 0)
      throw Error(static_cast<ExitStatus>(got.status), got.text);
  });
  EXPECT_FALSE(fs::exists("/etc/weft-fuzz"));
}

// Links that lead out of the folder, devices, and names that climb: nothing of it reaches the disk.
TEST(FuzzRaw, members_that_would_escape_are_bytes_or_passed_over) {
  const Scratch scratch;
  const std::string inner = scratch / "inside";
  fs::create_directories(inner);
  put(scratch / "secret", "not to be read");
  const std::string path = inner + "/a.tar";
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  const auto add = [&](const std::string& name, auto type, const std::string& link, const std::string& text) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 04777);
    archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    if (type == AE_IFLNK)
      archive_entry_set_symlink(entry, link.c_str());
    else if (!link.empty())
      archive_entry_set_hardlink(entry, link.c_str());
    archive_write_header(writer, entry);
    archive_write_data(writer, text.data(), text.size());
    archive_entry_free(entry);
  };
  add("link", AE_IFLNK, "../secret", "");
  add("link/through", AE_IFREG, "", std::string(40, 'a'));
  add("hard", AE_IFREG, "../secret", "");
  add("../climbs", AE_IFREG, "", std::string(40, 'b'));
  add(scratch / "absolute", AE_IFREG, "", std::string(40, 'c'));
  add("pipe", AE_IFIFO, "", "");
  archive_write_close(writer);
  archive_write_free(writer);
  prepare_text({path}, inner + "/set", 1);
  const TokenStream train(inner + "/set", "train");
  std::string text(static_cast<std::size_t>(train.size()), '\0');
  train.read(0, train.size(), reinterpret_cast<std::uint8_t*>(text.data()));
  EXPECT_EQ(text, (std::string(40, 'a') + std::string(40, 'b') + std::string(40, 'c')).substr(0, 108));
  EXPECT_EQ(scratch.entries(), 2u);
  EXPECT_EQ(get(scratch / "secret"), "not to be read");
  EXPECT_EQ(std::distance(fs::directory_iterator(inner), fs::directory_iterator()), 2);
}

// A small gzip file of very much text: it goes through a fixed block of memory.
TEST(FuzzRaw, a_bomb_is_read_in_a_fixed_space) {
  const Scratch scratch;
  const std::string path = scratch / "bomb.gz";
  gzFile file = gzopen(path.c_str(), "wb1");
  const std::string same(1 << 20, 'a');
  const int mebibytes = rounds(64) > 64 ? 1024 : 64;
  for (int i = 0; i < mebibytes; ++i)
    gzwrite(file, same.data(), static_cast<unsigned>(same.size()));
  gzclose(file);
  const std::int64_t before = peak_memory();
  RawFile raw(path);
  ASSERT_TRUE(raw.next());
  std::uint8_t block[65536];
  std::int64_t bytes = 0;
  for (std::size_t got; (got = raw.read(block, sizeof block)) > 0;)
    bytes += static_cast<std::int64_t>(got);
  EXPECT_EQ(bytes, std::int64_t{mebibytes} << 20);
  EXPECT_LT(peak_memory() - before, std::int64_t{32} << 20);
}

TEST(FuzzRaw, pickles) {
  const Scratch scratch;
  ASSERT_EQ(read_pickled_batch(pickled, "batch").data, "abcdefgh");
  Mutator mutator({pickled}, 9);
  const FuzzCount count = fuzz(mutator, rounds(5000), scratch / "batch", {exit_data}, [](const std::string& path) {
    const PickledBatch batch = read_pickled_batch(get(path), "batch");
    EXPECT_EQ(static_cast<std::int64_t>(batch.data.size()), batch.rows * batch.columns);
    EXPECT_EQ(static_cast<std::int64_t>(batch.labels.size()), batch.rows);
  });
  EXPECT_GT(count.refused, 0);
}
