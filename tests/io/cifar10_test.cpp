// CIFAR-10 in every form it comes in, whole, short, damaged and wrong. The archives are made here, with a few images
// per batch; `known` says how many and which MD5 is the official one.
#include "io/digest.hpp"
#include "io/raw/cifar10.hpp"
#include "io/raw/pickle.hpp"
#include "io/shards.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"
#include <algorithm>

using namespace weft;
using namespace weft::test;

namespace {

constexpr int batches = 6, images = 10; // per batch
constexpr std::size_t plane = 1024, record = 3 * plane + 1;

std::string name_of(int batch) { return batch < 5 ? "data_batch_" + std::to_string(batch + 1) : "test_batch"; }
int label_of(int batch, int image) { return (3 * batch + image) % 10; }

/// `count` records of the binary version: label, then the planes.
std::string binary_batch(int batch, int count = images) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += static_cast<char>(label_of(batch, i)) + noise(3 * plane, static_cast<std::uint64_t>(100 * batch + i + 1));
  return text;
}

// Pickles as Python 2 wrote the official batches.
std::string little(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i)
    text += static_cast<char>(value >> (8 * i));
  return text;
}
std::string text_of(const std::string& text) {
  return text.size() < 256 ? "U" + little(static_cast<std::uint32_t>(text.size()), 1) + text
                           : "T" + little(static_cast<std::uint32_t>(text.size()), 4) + text;
}
std::string uint8_array(std::uint32_t rows, std::uint32_t columns, const std::string& data,
                        const std::string& type = "u1", const std::string& fortran = "\x89") {
  const std::string one = "K\x01", zero("K\0", 2), none = "J\xff\xff\xff\xff";
  return "cnumpy.core.multiarray\n_reconstruct\nq\x07" + std::string("cnumpy\nndarray\nq\x08") + zero + "\x85q\x09" +
         text_of("b") + "\x87q\x0aRq\x0b(" + one + "M" + little(rows, 2) + "M" + little(columns, 2) + "\x86q\x0c" +
         "cnumpy\ndtype\nq\x0d" + text_of(type) + zero + one + "\x87q\x0eRq\x0f(K\x03" + text_of("|") + "NNN" + none +
         none + zero + "tb" + fortran + text_of(data) + "tb";
}
std::string pickled(const std::string& array, const std::string& labels) {
  return "\x80\x02}q\x01(" + text_of("batch_label") + "q\x02" + text_of("training batch 1 of 5") + "q\x03" +
         text_of("labels") + "q\x04]q\x05(" + labels + "e" + text_of("data") + "q\x06" + array + text_of("filenames") +
         "q\x10]q\x11(" + text_of("a.png") + std::string("r\x00\x01\x00\x00", 5) + text_of("b.png") + "eu.";
}
std::string python_batch(int batch, int count = images) {
  const std::string records = binary_batch(batch, count);
  std::string data, labels;
  for (int i = 0; i < count; ++i) {
    data += records.substr(static_cast<std::size_t>(i) * record + 1, 3 * plane);
    labels += "K" + little(static_cast<std::uint32_t>(label_of(batch, i)), 1);
  }
  return pickled(uint8_array(static_cast<std::uint32_t>(count), 3 * plane, data), labels);
}

std::vector<Member> binary_members() {
  std::vector<Member> all = {{"cifar-10-batches-bin/", ""}, {"cifar-10-batches-bin/readme.html", "<html>"}};
  for (int b : {3, 0, 5, 1, 4, 2}) // the official archives are in no order, either
    all.emplace_back("cifar-10-batches-bin/" + name_of(b) + ".bin", binary_batch(b));
  return all;
}
std::vector<Member> python_members() {
  std::vector<Member> all = {{"cifar-10-batches-py/batches.meta", "\x80\x02}q\x01."}};
  for (int b = batches; b-- > 0;)
    all.emplace_back("cifar-10-batches-py/" + name_of(b), python_batch(b));
  return all;
}

KnownCifar10 known() {
  KnownCifar10 k;
  k.batch_images = images;
  k.valid_images = 8;
  return k;
}
Prepared prepare(const std::string& raw, const std::string& to, bool partial = false) {
  return prepare_cifar10(raw, to, 1, partial, known());
}

struct Picture {
  std::int32_t length = 0, label = 0;
  std::vector<std::uint16_t> tokens;
};
std::vector<Picture> split(const std::string& folder, const std::string& name) {
  const Examples examples(folder, name);
  std::vector<Picture> all(static_cast<std::size_t>(examples.size()));
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].tokens.resize(static_cast<std::size_t>(examples.length()));
    examples.read(static_cast<std::int64_t>(i), all[i].tokens.data(), &all[i].length, &all[i].label);
  }
  return all;
}

/// What the picture must be, straight from the record.
void expect_picture(const Picture& got, int batch, int image) {
  const std::string records = binary_batch(batch);
  const auto* planes =
      reinterpret_cast<const unsigned char*>(records.data()) + static_cast<std::size_t>(image) * record;
  EXPECT_EQ(got.length, 3072);
  EXPECT_EQ(got.label, planes[0]);
  ASSERT_EQ(got.tokens.size(), 3072u);
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < 32; ++row)
    for (std::size_t column = 0; column < 32; ++column)
      for (std::size_t channel = 0; channel < 3; ++channel)
        wrong += got.tokens[(row * 32 + column) * 3 + channel] != planes[1 + channel * plane + row * 32 + column];
  EXPECT_EQ(wrong, 0u) << batch << " " << image;
}

/// The split as docs/files.md tells it.
std::vector<int> valid_numbers(int training, int valid) {
  std::vector<std::pair<std::string, int>> keys;
  for (int i = 0; i < training; ++i) {
    const std::string text = "weft cifar10 " + std::to_string(i);
    keys.emplace_back(sha256(text.data(), text.size()), i);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<int> last;
  for (std::size_t i = keys.size() - static_cast<std::size_t>(valid); i < keys.size(); ++i)
    last.push_back(keys[i].second);
  std::sort(last.begin(), last.end());
  return last;
}

} // namespace

TEST(PrepareCifar10, EveryFormGivesTheSameDataSet) {
  const Scratch scratch;
  put_archive(scratch / "b.tar.gz", binary_members(), false, true);
  put_archive(scratch / "b.tar", binary_members(), false, false);
  put_archive(scratch / "p.tar.gz", python_members(), false, true);
  put_archive(scratch / "p.tar", python_members(), false, false);
  for (const auto& members : {binary_members(), python_members()})
    for (const auto& [name, text] : members) {
      const std::string to = scratch / (members.size() == 7 ? "pf/" + name : "bf/" + name);
      fs::create_directories(fs::path(to).parent_path());
      if (name.back() != '/')
        put(to, text);
    }
  EXPECT_TRUE(prepare(scratch / "b.tar.gz", scratch / "set").written);
  for (const char* form :
       {"b.tar", "p.tar.gz", "p.tar", "bf", "bf/cifar-10-batches-bin", "pf", "pf/cifar-10-batches-py"}) {
    const Prepared prepared = prepare(scratch / form, scratch / "set");
    EXPECT_FALSE(prepared.written) << form; // the very same data
    EXPECT_EQ(prepared.note.rfind("not verified, but complete: 60 images", 0), 0u) << prepared.note;
    EXPECT_EQ(prepared.unit, "images");
  }
  const std::vector<Picture> train = split(scratch / "set", "train"), valid = split(scratch / "set", "valid"),
                             test = split(scratch / "set", "test");
  ASSERT_EQ(train.size(), 42u);
  ASSERT_EQ(valid.size(), 8u);
  ASSERT_EQ(test.size(), 10u);
  for (int i = 0; i < images; ++i)
    expect_picture(test[static_cast<std::size_t>(i)], 5, i);
  const std::vector<int> held_out = valid_numbers(50, 8);
  std::size_t at_train = 0, at_valid = 0;
  for (int number = 0; number < 50; ++number) {
    const bool held = std::binary_search(held_out.begin(), held_out.end(), number);
    expect_picture(held ? valid[at_valid++] : train[at_train++], number / images, number % images);
  }
  const SplitInfo info = Examples(scratch / "set", "test").info();
  EXPECT_EQ(info.task, "cifar10");
  EXPECT_EQ(info.vocabulary, 256);
  EXPECT_EQ(scratch.entries(), 7u);
}

TEST(PrepareCifar10, OfficialArchivesAreVerified) {
  const Scratch scratch;
  put_archive(scratch / "b.tar.gz", binary_members(), false, true);
  put_archive(scratch / "p.tar.gz", python_members(), false, true);
  KnownCifar10 k = known();
  k.binary_md5 = md5(get(scratch / "b.tar.gz").data(), get(scratch / "b.tar.gz").size());
  k.python_md5 = md5(get(scratch / "p.tar.gz").data(), get(scratch / "p.tar.gz").size());
  EXPECT_EQ(prepare_cifar10(scratch / "b.tar.gz", scratch / "b", 2, false, k).note,
            "verified: MD5 " + k.binary_md5 + " of the official binary version, 60 images");
  EXPECT_EQ(prepare_cifar10(scratch / "p.tar.gz", scratch / "p", 2, false, k).note,
            "verified: MD5 " + k.python_md5 + " of the official Python version, 60 images");
}

TEST(PrepareCifar10, PartIsTakenOnlyOnRequest) {
  const Scratch scratch;
  put_archive(scratch / "part.tar.gz",
              {{"x/data_batch_1.bin", binary_batch(0)},
               {"x/data_batch_2.bin", binary_batch(1)},
               {"x/data_batch_4.bin", binary_batch(3, 6)},
               {"x/test_batch.bin", binary_batch(5, 3)}},
              false, true);
  EXPECT_FAILS(exit_data, "no data_batch_3, 6 images in data_batch_4",
               prepare(scratch / "part.tar.gz", scratch / "set"));
  EXPECT_FAILS(exit_data, "--allow-partial", prepare(scratch / "part.tar.gz", scratch / "set"));
  EXPECT_EQ(scratch.entries(), 1u);
  const Prepared prepared = prepare(scratch / "part.tar.gz", scratch / "set", true);
  EXPECT_EQ(prepared.note.rfind("part of CIFAR-10, not verified (--allow-partial)", 0), 0u) << prepared.note;
  EXPECT_EQ(prepared.splits[0].size, 25); // 26 training images, of which floor(4 %) are valid
  EXPECT_EQ(prepared.splits[1].size, 1);
  EXPECT_EQ(prepared.splits[2].size, 3);
  put_archive(scratch / "small.tar.gz", {{"data_batch_1.bin", binary_batch(0)}}, false, true);
  EXPECT_FAILS(exit_data, "at least 25 and 1", prepare(scratch / "small.tar.gz", scratch / "no", true));
}

TEST(PrepareCifar10, WrongArchivesAreRefusedAndLeaveNothing) {
  const Scratch scratch;
  put_archive(scratch / "hundred.tar.gz", {{"cifar-100-binary/train.bin", binary_batch(0)}}, false, true);
  put_archive(scratch / "twice.tar", {{"a/data_batch_1.bin", binary_batch(0)}, {"b/data_batch_1.bin", binary_batch(0)}},
              false, false);
  put_archive(scratch / "both.tar", {{"data_batch_1.bin", binary_batch(0)}, {"data_batch_2", python_batch(1)}}, false,
              false);
  put_archive(scratch / "long.tar", {{"data_batch_1.bin", binary_batch(0, images + 1)}}, false, false);
  put_archive(scratch / "longer.tar", {{"data_batch_1", python_batch(0, images + 1)}}, false, false);
  put_archive(scratch / "cut.tar", {{"data_batch_1.bin", binary_batch(0).substr(0, 3 * record + 5)}}, false, false);
  put_archive(scratch / "hollow.tar", {{"data_batch_1.bin", ""}}, false, false);
  put_archive(scratch / "label.tar", {{"data_batch_1.bin", "\x0a" + binary_batch(0).substr(1)}}, false, false);
  put_archive(scratch / "nothing.tar", {}, false, false);
  put(scratch / "magic.tar.gz", noise(5000));
  put(scratch / "empty.tar.gz", "");
  fs::create_directories(scratch / "folder/cifar-10-batches-bin");
  fs::create_directories(scratch / "folder/cifar-10-batches-py");
  fs::create_directories(scratch / "bare");
  const std::size_t before = scratch.entries();
  const std::tuple<const char*, int, const char*> refused[] = {
      {"hundred.tar.gz", exit_data,
       "holds no batch of CIFAR-10 (data_batch_1.bin or data_batch_1, ...), but "
       "train.bin"},
      {"twice.tar", exit_data, "holds data_batch_1 twice"},
      {"both.tar", exit_data, "of the binary and of the Python version"},
      {"long.tar", exit_data, "more than 10 images"},
      {"longer.tar", exit_data, "more than 10 images"},
      {"cut.tar", exit_data, "after 3 images 5 bytes are left"},
      {"hollow.tar", exit_data, "data_batch_1.bin in"},
      {"label.tar", exit_data, "image 0 of data_batch_1.bin"},
      {"nothing.tar", exit_data, ""},
      {"magic.tar.gz", exit_data, "does not begin like one"},
      {"empty.tar.gz", exit_data, "is empty"},
      {"none", exit_data, "there is no file"},
      {"bare", exit_data, "but no file"},
      {"folder", exit_input, "holds both"}};
  for (const bool partial : {false, true})
    for (const auto& [name, status, part] : refused)
      EXPECT_FAILS(status, part, prepare(scratch / name, scratch / "set", partial));
  EXPECT_EQ(scratch.entries(), before);
}

TEST(PrepareCifar10, DamagedAndCutArchivesAreMet) {
  const Scratch scratch;
  for (const auto& [name, gzip] : {std::pair{"d.tar.gz", true}, {"d.tar", false}}) {
    put_archive(scratch / name, binary_members(), false, gzip);
    const std::string whole = get(scratch / name);
    for (const double kept : {0.1, 0.5, 0.9}) {
      put(scratch / name, whole.substr(0, static_cast<std::size_t>(kept * static_cast<double>(whole.size()))));
      EXPECT_EQ(outcome([&] { prepare(scratch / name, scratch / "set"); }).status, exit_data) << name << kept;
    }
    if (gzip) {
      put(scratch / name, whole);
      flip(scratch / name, whole.size() / 2);
      EXPECT_EQ(outcome([&] { prepare(scratch / name, scratch / "set", true); }).status, exit_data);
    }
    fs::remove(scratch / name);
  }
  EXPECT_EQ(scratch.entries(), 0u);
}

TEST(PrepareCifar10, NamesInAnArchiveDecideNothing) {
  const Scratch scratch;
  std::vector<Member> members = binary_members();
  for (Member& member : members)
    if (member.first.back() != '/')
      member.first = "../../" + member.first;
  members.emplace_back("/tmp/../../../weft-escaped", "x");
  put_archive(scratch / "tricks.tar.gz", members, false, true);
  EXPECT_TRUE(prepare(scratch / "tricks.tar.gz", scratch / "inner/set").written);
  EXPECT_EQ(scratch.entries(), 2u);
  EXPECT_FALSE(fs::exists(fs::path(scratch.str()).parent_path() / "cifar-10-batches-bin"));
  EXPECT_FALSE(fs::exists("/weft-escaped"));
}

TEST(Pickle, OnlyTheOneKindIsRead) {
  const std::string data = noise(12), labels = "K\x01K\x09", array = uint8_array(2, 6, data);
  const PickledBatch batch = read_pickled_batch(pickled(array, labels), "x");
  EXPECT_EQ(batch.rows, 2);
  EXPECT_EQ(batch.columns, 6);
  EXPECT_EQ(batch.data, data);
  EXPECT_EQ(batch.labels, (std::vector<std::int64_t>{1, 9}));

  const auto refused = [](const std::string& bytes, const char* part) {
    EXPECT_FAILS(exit_data, part, read_pickled_batch(bytes, "the batch"));
  };
  const std::string whole = pickled(array, labels);
  refused("", "cut short");
  refused("plain text", "does not begin with a protocol number");
  refused("\x80\x04" + whole.substr(2), "protocol 4, expected 2");
  refused(whole + "x", "bytes follow its end");
  refused("\x80\x02}.", "no entry \"data\"");
  refused("\x80\x02]q\x01.", "no dictionary");
  refused("\x80\x02"
          "cos\nsystem\n"
          "U\x04true\x85R.",
          "the name \"os.system\"");
  refused("\x80\x02"
          "c__builtin__\neval\nU\x01"
          "1\x85R.",
          "the name \"__builtin__.eval\"");
  refused("\x80\x02"
          "U\x04"
          "data(i__main__\nx\n.",
          "opcode 0x69");
  refused("\x80\x02h\x07.", "used before it is there");
  refused("\x80\x02"
          "e.",
          "no mark");
  refused("\x80\x02"
          "K\x01R.",
          "no arguments");
  refused("\x80\x02"
          "K\x01K\x02.",
          "2 objects are left");
  refused("\x80\x02"
          "T\xff\xff\xff\xff",
          "cut short");
  refused(pickled(uint8_array(2, 6, data, "f8"), labels), "not of the type uint8");
  refused(pickled(uint8_array(2, 6, data, "u1", "\x88"), labels), "by columns");
  refused(pickled(uint8_array(2, 7, data), labels), "another number of bytes");
  refused(pickled(array, "K\x01"), "2 images and 1 labels");
  refused(pickled(array, "K\x01" + text_of("nine")), "a label is no integer");
  refused(pickled(text_of(data), labels), "\"data\" is no array");
  refused("\x80\x02" + std::string(3'000'000, 'N'), "more than 2000000 objects");
}

// Every byte flipped and every length cut: a batch or an error with status 4, nothing else.
TEST(Pickle, DamageIsMet) {
  const std::string whole = pickled(uint8_array(2, 6, noise(12)), "K\x01K\x09");
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const int status = outcome([&] { read_pickled_batch(damaged, "x"); }).status;
      EXPECT_TRUE(status == 0 || status == exit_data) << at << " " << bit;
    }
  for (std::size_t kept = 0; kept < whole.size(); ++kept)
    EXPECT_EQ(outcome([&] { read_pickled_batch(whole.substr(0, kept), "x"); }).status, exit_data) << kept;
}

TEST(PrepareCifar10, RealSubset) {
  const std::string path = shared_file("cifar-10-binary.jpeg-subset.tar.gz");
  if (path.empty())
    GTEST_SKIP() << "no cifar-10-binary.jpeg-subset.tar.gz in WEFT_SHARED_DATA or ../shared/data";
  const Scratch scratch;
  EXPECT_FAILS(exit_data, "no data_batch_2", prepare_cifar10(path, scratch / "set", 4, false));
  const Prepared prepared = prepare_cifar10(path, scratch / "set", 4, true);
  EXPECT_EQ(prepared.splits[0].size, 9'600);
  EXPECT_EQ(prepared.splits[1].size, 400);
  EXPECT_EQ(prepared.splits[2].size, 2'000);
  // Neighbouring pixels of a photograph are alike: a wrong byte order would not have it so.
  const Examples test(scratch / "set", "test");
  std::vector<std::uint16_t> tokens(3072);
  std::int32_t length = 0, label = 0;
  std::vector<int> per_class(10);
  double below = 0, channel = 0;
  for (std::int64_t i = 0; i < test.size(); ++i) {
    test.read(i, tokens.data(), &length, &label);
    ++per_class.at(static_cast<std::size_t>(label));
    for (std::size_t at = 96; at < 3072; ++at)
      below += std::abs(tokens[at] - tokens[at - 96]);
    for (std::size_t at = 96; at < 3072; ++at)
      channel += std::abs(tokens[at] - tokens[at - 95]);
  }
  EXPECT_LT(below, 0.8 * channel);
  EXPECT_EQ(*std::min_element(per_class.begin(), per_class.end()), 200);
}
