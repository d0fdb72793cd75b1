#include "config/patterns.hpp"
#include "config/families.hpp"
#include "config/keys.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace weft {
namespace {

int stride(const Config& c) { return static_cast<int>(c.attention.stride); }
int summary(const Config& c) { return static_cast<int>(c.attention.summary); }
int window(const Config& c) { return c.attention.window > 0 ? static_cast<int>(c.attention.window) : stride(c); }
int longformer_window(const Config& c) { return c.attention.window > 0 ? static_cast<int>(c.attention.window) : 512; }
int dilation(const Config& c) { return static_cast<int>(c.attention.dilation); }

bool causal(const Config& c) { return is_causal(c); }
bool reads_first_slot(const Config& c) { return !causal(c) && c.model.pooling == "cls"; }

const KeySet earlier{"j <= i", [](const Config&, const Seat& s) { return dense(s.length); }};
const KeySet everything{"every j", [](const Config&, const Seat& s) { return dense_bidirectional(s.length); }};
const KeySet last_keys{"i - w < j <= i", [](const Config& c, const Seat& s) { return local(s.length, window(c)); }};
const KeySet whole_block{"j div l = i div l",
                         [](const Config& c, const Seat& s) { return block_bidirectional(s.length, stride(c)); }};
const KeySet residues_released{"j mod C = i mod C, C = N div l + 1", [](const Config& c, const Seat& s) {
                                 return residues_bidirectional(s.length, s.length / stride(c) + 1);
                               }};
const KeySet residues{"j <= i and (i - j) mod l = 0",
                      [](const Config& c, const Seat& s) { return strided_residues(s.length, stride(c)); }};
const KeySet window_and_residues{"j <= i and (i - j < w or (i - j) mod l = 0)", [](const Config& c, const Seat& s) {
                                   return strided_merged(s.length, stride(c), window(c));
                                 }};
const KeySet own_block{"j <= i and j div l = i div l",
                       [](const Config& c, const Seat& s) { return fixed_block(s.length, stride(c)); }};
const KeySet summaries{"j <= i and j mod l in [l - (g + 1) c, l - g c - 1]", [](const Config& c, const Seat& s) {
                         return fixed_summary(s.length, stride(c), summary(c), s.group);
                       }};
const KeySet block_and_summaries{"the union of block and summary", [](const Config& c, const Seat& s) {
                                   return fixed_merged(s.length, stride(c), summary(c), s.group);
                                 }};

// The arena's Sparse Transformer. A CLS vector, or the first token that serves as one, sees all and is seen by all.
const KeySet sparse_causal{"j <= i and (j div l = i div l or j mod l >= l - c)", [](const Config& c, const Seat& s) {
                             return fixed_merged(s.length, stride(c), summary(c), 0);
                           }};
const KeySet sparse{
    "j div l = i div l or j mod l >= l - c, counted behind the CLS slot, which sees and is seen by all",
    [](const Config& c, const Seat& s) {
      return sparse_both_ways(s.length, stride(c), summary(c), {slots_in_front(c) > 0, reads_first_slot(c)});
    }};
const KeySet sparse_lra{"j <= i and (j div l = i div l or j mod l = 0 or j mod l >= l - c), counted behind the CLS "
                        "slot, which sees and is seen by all",
                        [](const Config& c, const Seat& s) {
                          return sparse_released(s.length, stride(c), summary(c), reads_first_slot(c));
                        }};

// Longformer.
Pattern around(const Config& c, const Seat& s) {
  const int half = longformer_window(c) / 2, global = static_cast<int>(c.attention.global);
  const SlidingWindow w{half, half, dilation(c), global};
  switch (s.rows) {
  case QueryRows::without_global:
    return longformer_local(s.length, w);
  case QueryRows::global:
    return global_rows(s.length, global);
  default:
    return longformer(s.length, w);
  }
}
const KeySet half_window{"-w/2 <= t <= 0 with j = i + t d", [](const Config& c, const Seat& s) {
                           return longformer(s.length, {longformer_window(c) / 2, 0, dilation(c), 0});
                         }};
const KeySet window_and_global{"-w/2 <= t <= w/2 with j = i + t d, or i < global or j < global", around};
const KeySet uneven_window{"-(w - 1)/2 <= j - i <= w/2", [](const Config& c, const Seat& s) {
                             return longformer(s.length, {(longformer_window(c) - 1) / 2, longformer_window(c) / 2});
                           }};

// BigBird.
BigBird blocks(const Config& c, const Seat& s, BigBirdForm form) {
  return {stride(c), static_cast<int>(c.attention.random), form, s.layer, static_cast<int>(c.model.heads), s.head};
}
const KeySet blocks_of_paper{
    "j div l is 0, the last, next to i div l or itself, or one of r random ones; or i div l is "
    "0 or the last; up to N = (5 + 2r) l every j",
    [](const Config& c, const Seat& s) { return big_bird(s.length, s.whole, blocks(c, s, BigBirdForm::paper)); }};
const KeySet blocks_released{
    "as in the paper's form, for any N, over N + l - N mod l positions: those from N on are padding",
    [](const Config& c, const Seat& s) { return big_bird(s.length, s.whole, blocks(c, s, BigBirdForm::released)); }};
const KeySet none;

// The two that the engine runs, with keys of their own and with a table of scores.
Pattern mixed_keys(const Config& c, int n) { return every_key(n, static_cast<int>(c.attention.projected)); }
Pattern same_as_dense(const Config& c, int n) { return is_causal(c) ? dense(n) : dense_bidirectional(n); }

const std::vector<std::string> of_summary = {"stride", "summary", "shared_summary"};

} // namespace

// A name, its sets (name, keys that they read, causal form, form that sees both ways, whether heads have groups, the
// released form), and their union.
const std::vector<PatternRow>& pattern_table() {
  static const std::vector<PatternRow> table = {
      {"dense", {{"dense", {}, earlier, everything, false, everything}}, {}},
      {"local", {{"local", {"stride", "window"}, last_keys, whole_block, false, residues_released}}, {}},
      {"strided",
       {{"local", {"stride", "window"}, last_keys, none}, {"strided", {"stride"}, residues, none}},
       PatternSet{"strided merged", {"stride", "window"}, window_and_residues, none}},
      {"fixed",
       {{"block", {"stride"}, own_block, none}, {"summary", of_summary, summaries, none, true}},
       PatternSet{"fixed merged", of_summary, block_and_summaries, none, true}},
      {"chunk", {{"chunk", {"stride"}, own_block, whole_block}}, {}},
      {"block_bidirectional", {{"block_bidirectional", {"stride"}, none, whole_block}}, {}},
      {"lsh",
       {},
       {},
       Operation{"softmax over j in the bucket and the chunks of i in one of R rounds of hashing",
                 {"rounds", "buckets", "chunk", "score", "self", "other_buckets", "duplicates", "look_back", "join",
                  "fixed_hashes"},
                 true,
                 true}},
      {"linformer",
       {},
       {},
       Operation{"softmax(q (E' k)') (F' v), E and F: N x k", {"projected", "sharing"}, false, true, mixed_keys}},
      {"synthesizer",
       {},
       {},
       Operation{"softmax(A) v, A trained or made from the queries' tokens, plus q k' if dot_product",
                 {"mode", "dot_product", "mixture", "rank", "hidden"},
                 true,
                 true,
                 same_as_dense}},
      {"sparse", {{"sparse", {"stride", "summary"}, sparse_causal, sparse, false, sparse_lra}}, {}},
      {"longformer",
       {{"longformer", {"window", "dilation", "global"}, half_window, window_and_global, false, uneven_window}},
       {}},
      {"bigbird", {{"bigbird", {"stride", "random"}, none, blocks_of_paper, false, blocks_released, true}}, {}},
      {"linear",
       {},
       {},
       Operation{
           "sum of (f(q_i) . f(k_j)) v_j over sum of f(q_i) . f(k_j), f = elu + 1", {}, true, true, nullptr, false}},
      {"performer",
       {},
       {},
       Operation{"the same with random features f whose products are exp(q_i . k_j / sqrt(E)) on average, or with f = "
                 "relu + 0.001",
                 {"kernel", "features", "redraw_steps"},
                 true,
                 true,
                 nullptr,
                 false}},
      {"sinkhorn",
       {},
       {},
       Operation{"softmax over the query's block of l and the block that Sinkhorn's sort puts in its place",
                 {"stride", "sort_net", "iterations", "temperature", "noise", "sort_cut"},
                 false,
                 true}},
  };
  return table;
}

std::vector<std::string> pattern_names() {
  std::vector<std::string> names;
  for (const PatternRow& row : pattern_table())
    names.push_back(row.name);
  return names;
}

const PatternRow& pattern_row(const std::string& pattern) {
  for (const PatternRow& row : pattern_table())
    if (row.name == pattern)
      return row;
  throw InputError(
      fmt::format("attention.pattern: got \"{}\", expected one of {}", pattern, joined(pattern_names(), ", ")));
}

std::vector<std::string> key_set_patterns() {
  std::vector<std::string> names;
  for (const PatternRow& row : pattern_table())
    if (!row.operation)
      names.push_back(row.name);
  return names;
}

std::vector<std::string> pattern_reads(const PatternRow& row) {
  if (row.operation)
    return row.operation->reads;
  std::vector<std::string> keys;
  for (const PatternSet& set : row.sets)
    for (const std::string& key : set.reads)
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        keys.push_back(key);
  return keys;
}

std::vector<std::string> patterns_reading(const std::string& key) {
  std::vector<std::string> names;
  for (const PatternRow& row : pattern_table()) {
    const std::vector<std::string> keys = pattern_reads(row);
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      names.push_back(row.name);
  }
  return names;
}

std::vector<std::string> patterns_with_weights() {
  std::vector<std::string> names;
  for (const PatternRow& row : pattern_table())
    if (!row.operation || row.operation->has_weights)
      names.push_back(row.name);
  return names;
}

std::vector<std::string> patterns_without_causal_form() {
  std::vector<std::string> names;
  for (const PatternRow& row : pattern_table())
    if ((row.operation && !row.operation->causal) ||
        std::any_of(row.sets.begin(), row.sets.end(), [](const PatternSet& set) { return !set.causal; }))
      names.push_back(row.name);
  return names;
}

const PatternSet& pattern_set(const Config& config, const std::string& name) {
  const PatternRow& row = pattern_row(config.attention.pattern);
  for (const PatternSet& set : row.sets)
    if (set.name == name)
      return set;
  if (row.merged && row.merged->name == name)
    return *row.merged;
  if (name == "dense")
    return pattern_row("dense").sets.front();
  throw InputError(fmt::format("got the key set \"{}\" for attention.pattern \"{}\"; weft help attention lists what "
                               "it takes",
                               name, row.name));
}

const KeySet& form_of(const Config& config, const PatternSet& set) {
  if (causal(config))
    return set.causal ? set.causal : set.both_ways;
  if (config.attention.form == "lra" && set.released)
    return set.released;
  return set.both_ways ? set.both_ways : set.causal;
}

bool has_released_form(const PatternRow& row) {
  return row.operation || std::all_of(row.sets.begin(), row.sets.end(),
                                      [](const PatternSet& set) { return static_cast<bool>(set.released); });
}

int slots_in_front(const Config& config) {
  return task_row(config.data.task).classes && config.data.task != "pairs" && config.model.pooling == "cls" ? 1 : 0;
}

bool has_global_rows(const Config& config) {
  return config.attention.pattern == "longformer" && !causal(config) && config.attention.form == "paper" &&
         config.attention.global > 0;
}

bool has_global_projections(const Config& config) {
  return has_global_rows(config) ||
         (config.attention.pattern == "longformer" && !causal(config) && config.attention.form == "lra");
}

bool is_causal(const Config& config) {
  return task_row(config.data.task).causal || (config.model.family == "arena" && config.model.code == "gpt2");
}

bool looks_ahead(const Config& config) {
  if (const std::optional<Operation>& operation = pattern_row(config.attention.pattern).operation)
    return !operation->causal || !causal(config);
  const auto ahead = [&](const PatternSet& set) { return &form_of(config, set) != &set.causal; };
  const std::vector<PatternSet>& sets = pattern_row(config.attention.pattern).sets;
  const auto& entries = config.attention.combination;
  return std::any_of(sets.begin(), sets.end(), ahead) ||
         (std::find(entries.begin(), entries.end(), "dense") != entries.end() && ahead(pattern_set(config, "dense")));
}

bool released_local(const Config& config) {
  return config.model.family == "arena" && config.attention.form == "lra" && config.attention.pattern == "local";
}

std::int64_t summary_groups_of(const Config& config) {
  return config.attention.shared_summary ? 1 : summary_groups(stride(config), summary(config));
}

std::string pattern_markdown() {
  std::string out =
      "| `attention.pattern` | set | a query at i sees, in a causal task | in a task that sees both ways | "
      "there with `form = \"lra\"` | reads |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const PatternRow& row : pattern_table()) {
    if (row.operation) {
      const Operation& o = *row.operation;
      out += fmt::format("| `{}` | no key set | {} | {} | yes, see below | {} |\n", row.name,
                         o.causal ? o.does + ", over j <= i" : "not defined", o.both_ways ? o.does : "not defined",
                         joined(o.reads, ", "));
    }
    std::vector<PatternSet> sets = row.sets;
    if (row.merged)
      sets.push_back(*row.merged);
    for (const PatternSet& set : sets)
      out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", row.name, set.name,
                         set.causal ? set.causal.sees : set.both_ways.sees + " (a leak: needs allow_leak)",
                         set.both_ways ? set.both_ways.sees : set.causal.sees, set.released ? set.released.sees : "",
                         joined(set.reads, ", "));
  }
  return out;
}

} // namespace weft
