#include "io/generate/pairs.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/generate/draws.hpp"
#include "io/progress.hpp"
#include "io/raw/image_splits.hpp"
#include "io/raw/imdb.hpp"
#include "io/raw/members.hpp"
#include <algorithm>
#include <fmt/core.h>
#include <unordered_set>

namespace weft {
namespace {

constexpr std::uint32_t purpose = 0x10000003u; // of the random numbers: no other generator has it
constexpr std::size_t longest_document = std::size_t{1} << 30;

/// The first and the last L bytes of every document that is long enough, one row each; label 0 means nothing.
struct Documents {
  explicit Documents(const std::string& folder) : rows(folder) {}
  StagedRows rows;
  std::vector<std::string> digests; // of the texts
  std::unordered_set<std::string> seen;
  std::int64_t short_ones = 0, repeated = 0;

  void take(const std::string& name, const MemberBytes& source, std::int64_t length) {
    const std::string text = all_bytes(name, source, longest_document);
    const std::string_view inner = stripped(text);
    const auto half = static_cast<std::size_t>(length);
    if (inner.size() < 2 * half) {
      ++short_ones;
      return;
    }
    const std::string digest = sha256(inner.data(), inner.size());
    if (!seen.insert(digest).second) {
      ++repeated;
      return;
    }
    digests.push_back(digest);
    std::vector<std::uint8_t> ends(inner.begin(), inner.begin() + length);
    ends.insert(ends.end(), inner.end() - length, inner.end());
    rows.append(0, ends);
  }
};

RowOrder split_documents(const Documents& documents, const PairsRequest& request) {
  std::vector<std::int64_t> order = scattered("weft pairs ", documents.digests);
  const auto all = static_cast<std::int64_t>(order.size()), tenth = all / 10;
  if (all < 20)
    throw DataError(
        fmt::format("{} documents of {} bytes or more are there ({} are shorter, {} the same as another); at "
                    "least 20 are needed. Every file is a document: give a folder or an archive of texts, or "
                    "a smaller --length",
                    all, 2 * request.length, documents.short_ones, documents.repeated));
  const auto train = order.begin() + (all - 2 * tenth);
  return {std::vector<std::int64_t>(order.begin(), train), {train, train + tenth}, {train + tenth, order.end()}};
}

} // namespace

Prepared generate_pairs(const std::string& folder, const PairsRequest& request, Console* console) {
  const std::int64_t length = request.length;
  if (length < 1 || length > (1 << 24))
    throw InputError(fmt::format("--length {}: expected 1 to {}", length, 1 << 24));
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  Documents documents(built.temporary());
  Progress progress(console, "documents read");
  each_member(
      request.from,
      [&](const std::string& name) {
        const std::string& end = request.ending;
        return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
      },
      [&](const std::string& name, const MemberBytes& bytes) {
        documents.take(name, bytes, length);
        progress.at(documents.rows.size());
      });
  const RowOrder order = split_documents(documents, request);
  ExampleSplits splits;
  splits.length = length;
  splits.pairs = true;
  for (std::size_t split = 0; split < 3; ++split) {
    const auto own = static_cast<std::int64_t>(order[split].size());
    splits.sizes[split] = request.examples[split] == 0 ? own : request.examples[split];
  }
  std::vector<std::string> sorted = documents.digests;
  std::sort(sorted.begin(), sorted.end());
  Digest source(Digest::Kind::sha256);
  for (const std::string& digest : sorted)
    source.update(digest.data(), digest.size());
  splits.attributes = {"pairs", byte_vocabulary, source.hex(), 2};
  splits.attributes.symbols = byte_vocabulary_words();
  splits.fill = [&](int split, std::int64_t row, const ExampleRow& to) {
    const std::vector<std::int64_t>& own = order[static_cast<std::size_t>(split)];
    const auto count = static_cast<std::int64_t>(own.size()), first = row % count;
    Draws draws(request.seed, static_cast<std::uint32_t>(split), static_cast<std::uint32_t>(row), purpose);
    const bool same = draws.word() >> 31 != 0;
    const std::int64_t step = same ? 0 : 1 + draws.below(static_cast<std::uint32_t>(count - 1));
    const auto write = [&](std::int64_t place, std::int64_t from, std::uint16_t* tokens) {
      const std::vector<std::uint8_t> ends = documents.rows.read(own[static_cast<std::size_t>(place)]);
      std::transform(ends.begin() + from, ends.begin() + from + length, tokens,
                     [](std::uint8_t byte) { return static_cast<std::uint16_t>(byte + 1); });
    };
    write(first, 0, to.tokens);
    write((first + step) % count, length, to.tokens2);
    *to.length = *to.length2 = static_cast<std::int32_t>(length);
    *to.label = same ? 1 : 0;
  };
  Prepared prepared = write_example_splits(built.temporary(), splits, request.shards, console);
  documents.rows.drop();
  prepared.written = publish_data_set(built, folder);
  prepared.note =
      fmt::format("{} documents of {} bytes or more ({} shorter and {} repeated ones left out): {} train, {} "
                  "valid, {} test; the first {} bytes beside the last {} of the same (1) or another (0)",
                  exact_count(documents.rows.size()), 2 * length, exact_count(documents.short_ones),
                  exact_count(documents.repeated), order[0].size(), order[1].size(), order[2].size(), length, length);
  return prepared;
}

} // namespace weft
