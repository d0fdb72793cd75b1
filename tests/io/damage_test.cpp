// Promise: whatever range of a checkpoint is cut off, changed, zeroed or taken out, its weights come back as they were
// or not at all, and a run goes on from the checkpoint before.
#include "io/checkpoint_file.hpp"
#include "scratch.hpp"
#include <cstring>
#include <functional>

using namespace weft;
using namespace weft::test;

namespace {

struct Saved {
  std::vector<float> w = std::vector<float>(8 * 24), b = {1, -0.0f, 3}, m = std::vector<float>(192, 0.25f);
  Attributes attributes{
      {"step", std::int64_t{7}}, {"epoch", 0.5}, {"config", std::string(700, 'c')}, {"precision", std::string("fp32")}};
  Saved() {
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] = 1.0f / static_cast<float>(i + 1);
  }
  std::vector<ArrayView> arrays() const {
    return {{"optimizer/m/w", {8, 24}, m.data()}, {"parameters/b", {3}, b.data()}, {"parameters/w", {8, 24}, w.data()}};
  }
};

class Damage : public testing::Test {
 protected:
  Damage() {
    write_checkpoint(path, saved.attributes, saved.arrays());
    whole = get(path);
  }

  /// The damaged text is refused, or all of the checkpoint is as it was.
  void judge(const std::string& text, std::size_t from, std::size_t size) {
    if (text == whole)
      return;
    put(path, text);
    ++tried;
    const Outcome got = outcome([&] {
      verify_checkpoint(path);
      const CheckpointFile file(path);
      for (const auto& [name, value] : saved.attributes)
        ASSERT_TRUE(file.attributes().count(name) == 1 && file.attributes().at(name) == value)
            << name << ": " << size << " bytes at " << from;
      for (const ArrayView& array : saved.arrays()) {
        const ArrayInfo* info = file.find(array.name);
        ASSERT_TRUE(info != nullptr && info->shape == array.shape) << array.name << ": " << size << " at " << from;
        std::vector<float> values(static_cast<std::size_t>(info->elements()));
        file.read(array.name, values.data());
        ASSERT_EQ(std::memcmp(values.data(), array.data, values.size() * sizeof(float)), 0)
            << array.name << ": " << size << " bytes at " << from;
      }
    });
    ASSERT_TRUE(got.status == 0 || got.status == exit_data) << got.text;
    refused += got.status == exit_data;
  }

  /// `change` makes the damage in a range of every size at many places.
  void everywhere(const std::function<void(std::string&, std::size_t, std::size_t)>& change) {
    for (const std::size_t size : {1, 4, 64, 512, 4096}) {
      const std::size_t stride = std::max<std::size_t>(size == 1 ? 5 : size / 2, 7);
      for (std::size_t at = 0; at + size <= whole.size() && !HasFatalFailure(); at += stride) {
        std::string text = whole;
        change(text, at, size);
        judge(text, at, size);
      }
    }
    std::printf("%d kinds of damage, %d of them refused\n", tried, refused);
    EXPECT_GT(tried, 1000);
    EXPECT_GT(refused, tried / 3);
  }

  const Scratch scratch;
  const std::string path = scratch / "step-00000007.h5";
  const Saved saved;
  std::string whole;
  int tried = 0, refused = 0;
};

} // namespace

TEST_F(Damage, EveryCutIsRefused) {
  for (std::size_t kept = 0; kept < whole.size(); kept += kept + 300 < whole.size() ? 13 : 1)
    judge(whole.substr(0, kept), kept, whole.size() - kept);
  std::printf("%d cuts, %d of them refused\n", tried, refused);
  EXPECT_EQ(refused, tried);
  EXPECT_GT(tried, 500);
}

TEST_F(Damage, FlippedBits) {
  everywhere([](std::string& text, std::size_t at, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      text[at + i] = static_cast<char>(text[at + i] ^ (1 << (at + i) % 8));
  });
}

TEST_F(Damage, ZeroedRanges) {
  everywhere([](std::string& text, std::size_t at, std::size_t size) { text.replace(at, size, size, '\0'); });
}

TEST_F(Damage, DeletedRanges) {
  everywhere([](std::string& text, std::size_t at, std::size_t size) { text.erase(at, size); });
}

TEST_F(Damage, TheOneBeforeIsFoundWithANote) {
  Saved before;
  before.attributes["step"] = std::int64_t{6};
  write_checkpoint(scratch / "step-00000006.h5", before.attributes, before.arrays());
  const std::size_t weights =
      whole.find(std::string(reinterpret_cast<const char*>(saved.w.data()), saved.w.size() * sizeof(float)));
  ASSERT_NE(weights, std::string::npos);
  std::string zeroed = whole;
  zeroed.replace(weights, 100, 100, '\0');
  for (const std::string& text : {std::string(), whole.substr(0, whole.size() / 2), zeroed}) {
    put(path, text);
    const NewestGood found = newest_good(scratch.str());
    EXPECT_EQ(found.path, scratch / "step-00000006.h5");
    ASSERT_EQ(found.notes.size(), 1u);
    EXPECT_NE(found.notes[0].find(path), std::string::npos);
  }
}
