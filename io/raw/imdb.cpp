#include "io/raw/imdb.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/progress.hpp"
#include "io/raw/image_splits.hpp"
#include "io/raw/members.hpp"
#include <algorithm>
#include <fmt/core.h>
#include <map>

namespace weft {
namespace {

constexpr std::size_t longest_review = 1 << 20; // the longest has 13,704 bytes
constexpr const char* folders[] = {"train/neg", "train/pos", "test/neg", "test/pos"};

/// "train/neg/0_3.txt" of any path that ends so; empty where it does not.
std::string review_name(const std::string& path) {
  const std::vector<std::string> parts = name_parts(path);
  if (parts.size() < 3)
    return {};
  const std::string folder = parts[parts.size() - 3] + "/" + parts[parts.size() - 2], &file = parts.back();
  if (std::find(std::begin(folders), std::end(folders), folder) == std::end(folders))
    return {};
  const std::size_t bar = file.find('_'), end = file.size() - std::min<std::size_t>(file.size(), 4);
  if (bar == std::string::npos || bar == 0 || bar + 1 >= end || file.compare(end, 4, ".txt") != 0 ||
      file.find_first_not_of("0123456789") != bar || file.find_first_not_of("0123456789", bar + 1) != end)
    return {};
  return folder + "/" + file;
}

/// The reviews met so far, by name.
struct Reviews {
  explicit Reviews(const std::string& folder) : rows(folder) {}
  StagedRows rows;
  std::map<std::string, std::int64_t> named; // the row
  std::int64_t bytes[2] = {0, 0};            // of train and test as they lie in the files

  void take(const std::string& path, const MemberBytes& source) {
    const std::string name = review_name(path), text = all_bytes(path, source, longest_review);
    const std::string_view inner = stripped(text);
    if (inner.empty())
      throw DataError(fmt::format("the review {} is empty; download the set again", path));
    if (!named.emplace(name, rows.size()).second)
      throw DataError(fmt::format("the review {} is there twice; name one copy of the set", name));
    bytes[name.rfind("train", 0) == 0 ? 0 : 1] += static_cast<std::int64_t>(text.size());
    rows.append(name.find("/pos/") == std::string::npos ? 0 : 1, {inner.begin(), inner.end()});
  }

  std::int64_t count(const std::string& folder) const {
    const auto first = named.lower_bound(folder + "/");
    return std::distance(first, named.lower_bound(folder + "0")); // '0' follows '/'
  }
  /// Rows of a split in their scattered order.
  std::vector<std::int64_t> ordered(const std::string& split) const {
    std::vector<std::string> names;
    for (const auto& [name, row] : named)
      if (name.rfind(split + "/", 0) == 0)
        names.push_back(name);
    std::vector<std::int64_t> order = scattered("weft imdb ", names);
    for (std::int64_t& place : order)
      place = named.at(names[static_cast<std::size_t>(place)]);
    return order;
  }
};

/// DataError where reviews are missing and that is not allowed. What is known about the set.
std::string checked(const Reviews& reviews, const std::vector<std::string>& from, const ImdbShape& shape,
                    const KnownImdb& known) {
  std::string inventory;
  bool complete = true;
  for (const char* folder : folders) {
    const std::int64_t count = reviews.count(folder);
    inventory += fmt::format("{}{} in {}", inventory.empty() ? "" : ", ", count, folder);
    complete = complete && count == known.reviews;
  }
  if (reviews.named.empty())
    throw DataError(fmt::format("{} holds no review of IMDb (train/pos/0_9.txt, ...); name aclImdb_v1.tar.gz or its "
                                "folder aclImdb",
                                from.front()));
  if (!complete && !shape.allow_partial)
    throw DataError(fmt::format("{} is not the whole of IMDb: got {}, expected {} in each; download it again, or give "
                                "--allow-partial to use these reviews as they are",
                                from.front(), inventory, known.reviews));
  const bool same = reviews.bytes[0] == known.train_bytes && reviews.bytes[1] == known.test_bytes;
  const std::string sizes =
      fmt::format("{} bytes of train and {} of test", exact_count(reviews.bytes[0]), exact_count(reviews.bytes[1]));
  if (complete && same)
    return fmt::format("verified: {}, {}", inventory, sizes);
  return fmt::format("{}: {}, {}", complete ? "not verified, but complete" : "part of IMDb, not verified", inventory,
                     sizes) +
         (complete ? fmt::format("; the published set has {} and {}", exact_count(known.train_bytes),
                                 exact_count(known.test_bytes))
                   : "");
}

std::string source_digest(const Reviews& reviews, const RowOrder& order) {
  Digest digest(Digest::Kind::sha256);
  for (const auto* rows : {&order[0], &order[2]})
    for (const std::int64_t row : *rows) {
      StopGuard::check();
      std::vector<std::uint8_t> record = reviews.rows.read(row);
      record.insert(record.begin(), static_cast<std::uint8_t>(reviews.rows.label(row)));
      record.push_back(0);
      digest.update(record.data(), record.size());
    }
  return digest.hex();
}

} // namespace

std::string_view stripped(std::string_view text) {
  constexpr std::string_view white = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(white);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(white) - first + 1);
}

std::string byte_vocabulary_words() {
  std::string all = "<pad>";
  for (int byte = 0; byte < 256; ++byte)
    all += fmt::format(" 0x{:02x}", byte);
  return all;
}

Prepared prepare_imdb(const std::vector<std::string>& from, const std::string& folder, const ImdbShape& shape,
                      Console* console, const KnownImdb& known) {
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  Reviews reviews(built.temporary());
  Progress progress(console, "reviews read", 4 * known.reviews);
  each_member(
      from, [](const std::string& name) { return !review_name(name).empty(); },
      [&](const std::string& name, const MemberBytes& bytes) {
        reviews.take(name, bytes);
        progress.at(reviews.rows.size());
      });
  std::string note = checked(reviews, from, shape, known);
  RowOrder order{reviews.ordered("train"), {}, reviews.ordered("test")};
  if (order[0].empty() || order[2].empty())
    throw DataError(fmt::format("{} holds {} training and {} test reviews; at least one of each is needed",
                                from.front(), order[0].size(), order[2].size()));
  ExampleSplits splits;
  splits.attributes = {"imdb", byte_vocabulary, source_digest(reviews, order), 2};
  splits.attributes.symbols = byte_vocabulary_words();
  hold_out(order, shape.held_out, "weft imdb ");
  splits.length = shape.length;
  for (std::size_t split = 0; split < 3; ++split)
    splits.sizes[split] = static_cast<std::int64_t>(order[split].size());
  std::int64_t cut = 0;
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    const std::int64_t member = order[static_cast<std::size_t>(split)][static_cast<std::size_t>(row)];
    const std::vector<std::uint8_t> text = reviews.rows.read(member);
    const std::int64_t kept = std::min(static_cast<std::int64_t>(text.size()), splits.length);
    std::transform(text.begin(), text.begin() + kept, to.tokens,
                   [](std::uint8_t byte) { return static_cast<std::uint16_t>(byte + 1); });
    *to.length = static_cast<std::int32_t>(kept);
    *to.label = reviews.rows.label(member);
    const bool again = split == 1 && shape.held_out == 0; // the test split
    cut += kept < static_cast<std::int64_t>(text.size()) && !again ? 1 : 0;
  };
  Prepared prepared = write_example_splits(built.temporary(), splits, shape.shards, console);
  reviews.rows.drop();
  prepared.written = publish_data_set(built, folder);
  const std::string& symbols = splits.attributes.symbols;
  prepared.note =
      fmt::format("{}; vocabulary of {}: 0 is padding, byte + 1 (SHA-256 {:.16}); rows of {}, {} reviews cut "
                  "to it; {}",
                  note, byte_vocabulary, sha256(symbols.data(), symbols.size()), splits.length, exact_count(cut),
                  shape.held_out == 0 ? "THE VALID SPLIT IS THE TEST SPLIT, as in the arena (--held-out)"
                                      : fmt::format("{} reviews of train were held out as valid", shape.held_out));
  return prepared;
}

} // namespace weft
