#include "io/generate/listops.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/generate/draws.hpp"
#include "io/progress.hpp"
#include <filesystem>
#include <fmt/core.h>
#include <memory>
#include <unordered_set>

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr int most_draws = 200'000;
constexpr std::uint32_t purpose = 0x10000001u; // of the random numbers: no other generator has it

class PhiloxDice final : public ListOpsDice {
 public:
  explicit PhiloxDice(const Draws& stream) : stream_(stream) {}
  bool nests() override { return stream_.word() < 1u << 30; }
  int arguments(int most) override { return 2 + static_cast<int>(stream_.below(static_cast<std::uint32_t>(most - 1))); }
  int digit() override { return static_cast<int>(stream_.below(10)); }
  std::uint8_t operation() override { return static_cast<std::uint8_t>(listops_min + stream_.below(4)); }

 private:
  Draws stream_;
};

/// False where the tree has become too long.
bool draw_node(ListOpsDice& dice, const ListOpsRule& rule, int depth, std::size_t limit, ListOps& symbols) {
  if (depth >= rule.max_depth || !dice.nests()) {
    symbols.push_back(static_cast<std::uint8_t>(dice.digit()));
    return symbols.size() < limit;
  }
  const std::size_t head = symbols.size();
  symbols.push_back(0); // the operator is drawn last
  for (int left = dice.arguments(rule.max_arguments); left > 0; --left)
    if (!draw_node(dice, rule, depth + 1, limit, symbols))
      return false;
  symbols[head] = dice.operation();
  symbols.push_back(listops_close);
  return symbols.size() < limit;
}

void check_request(const ListOpsRequest& request) {
  const ListOpsRule& rule = request.rule;
  if (rule.max_length != 0 && rule.max_length < rule.min_length + 2)
    throw InputError(fmt::format("--min-length {} and --max-length {}: lengths between them, both left out, are drawn, "
                                 "and there are none",
                                 rule.min_length, rule.max_length));
  if (rule.max_depth < 1 || rule.max_arguments < 2 || rule.min_length < 0 || rule.max_length < 0)
    throw InputError(fmt::format("--max-depth {}, --max-arguments {}, --min-length {}, --max-length {}; expected at "
                                 "least 1, 2, 0 and 0",
                                 rule.max_depth, rule.max_arguments, rule.min_length, rule.max_length));
  for (const std::int64_t examples : request.examples)
    if (examples < 1 || examples > INT32_MAX)
      throw InputError(fmt::format("--examples {},{},{}: each split needs 1 to {} examples", request.examples[0],
                                   request.examples[1], request.examples[2], INT32_MAX));
}

/// Draws all rows; returns the number of draws.
std::int64_t draw_all(ListOpsSet& set, const ListOpsRequest& request, Console* console) {
  std::unordered_set<std::string> seen; // 128 bits of SHA-256
  std::int64_t draws = 0;
  ListOps symbols;
  for (int split = 0; split < 3; ++split) {
    const std::int64_t rows = request.examples[static_cast<std::size_t>(split)];
    Progress progress(console, fmt::format("drawing {}", split_names[split]), rows);
    for (std::int64_t index = 0; index < rows; ++index) {
      PhiloxDice dice(
          Draws(request.seed, static_cast<std::uint32_t>(split), static_cast<std::uint32_t>(index), purpose));
      for (int draw = 1;; ++draw) {
        ++draws;
        if (draw_listops(dice, request.rule, symbols) &&
            seen.insert(sha256(symbols.data(), symbols.size()).substr(0, 32)).second)
          break;
        if (draw == most_draws)
          throw InputError(
              fmt::format("{} draws in a row gave no new expression after {} of {} in {}: these limits of "
                          "depth, arguments and length leave too few; ask for fewer examples or widen them",
                          exact_count(most_draws), index, rows, split_names[split]));
        if (draw % 1024 == 0)
          StopGuard::check();
      }
      set.order[static_cast<std::size_t>(split)].push_back(set.rows.size());
      set.rows.append(listops_value(symbols), symbols);
      progress.at(index + 1);
    }
  }
  return draws;
}

/// Whether the official files are still to be put at `target`; InputError where it holds anything but the very same
/// ones.
bool to_be_written(const AtomicFolder& built, const std::string& target, ListOpsForm form) {
  std::error_code code;
  if (!fs::exists(target, code) || fs::is_empty(target, code))
    return true;
  for (int split = 0; split < 3; ++split) {
    const std::string name = listops_file(form, split), there = (fs::path(target) / name).string();
    if (!fs::exists(there, code) ||
        sha256_of_file(there) != sha256_of_file((fs::path(built.temporary()) / name).string()))
      throw InputError(fmt::format("{} exists and does not hold the same files; nothing was written. Choose another "
                                   "--tsv",
                                   target));
  }
  return false;
}

} // namespace

bool draw_listops(ListOpsDice& dice, const ListOpsRule& rule, ListOps& symbols) {
  symbols.clear();
  const auto limit = static_cast<std::size_t>(rule.max_length == 0 ? most_listops_symbols + 1 : rule.max_length);
  return draw_node(dice, rule, 1, limit, symbols) && static_cast<int>(symbols.size()) > rule.min_length &&
         rule.characters.take(listops_characters(symbols));
}

Prepared generate_listops(const std::string& folder, const ListOpsRequest& request, const ListOpsShape& shape,
                          Console* console) {
  check_request(request);
  check_target(folder);
  if (!request.tsv.empty() && fs::weakly_canonical(request.tsv) == fs::weakly_canonical(folder))
    throw InputError(fmt::format("--to and --tsv are the same folder, {}; give two", folder));
  const StopGuard guard;
  AtomicFolder built(folder);
  std::unique_ptr<AtomicFolder> official;
  if (!request.tsv.empty())
    official = std::make_unique<AtomicFolder>(request.tsv);
  ListOpsSet set(built.temporary());
  const std::int64_t draws = draw_all(set, request, console);
  const std::int64_t kept = set.rows.size();
  ListOpsShape sized = shape;
  if (sized.length == 0 && request.rule.max_length > 0)
    sized.length = request.rule.max_length * std::int64_t{listops_tokens_per_symbol(shape.tokens)};
  Prepared prepared =
      write_listops(built.temporary(), set, sized, official ? official->temporary() : "", request.form, console);
  prepared.note = fmt::format("kept {} of {} draws ({:.1f} %); {}", exact_count(kept), exact_count(draws),
                              100.0 * static_cast<double>(kept) / static_cast<double>(draws), prepared.note);
  const bool tsv_is_new = official && to_be_written(*official, request.tsv, request.form);
  prepared.written = publish_data_set(built, folder);
  if (tsv_is_new)
    official->commit();
  return prepared;
}

} // namespace weft
