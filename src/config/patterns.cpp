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

const KeySet earlier{"j <= i", [](const Config&, int n, int) { return dense(n); }};
const KeySet everything{"every j", [](const Config&, int n, int) { return dense_bidirectional(n); }};
const KeySet last_keys{"i - w < j <= i", [](const Config& c, int n, int) { return local(n, window(c)); }};
const KeySet whole_block{"j div l = i div l",
                         [](const Config& c, int n, int) { return block_bidirectional(n, stride(c)); }};
const KeySet block_or_released{
    "j div l = i div l; with form = \"lra\" j mod C = i mod C, C = N div l + 1", [](const Config& c, int n, int) {
      return released_local(c) ? residues_bidirectional(n, n / stride(c) + 1) : block_bidirectional(n, stride(c));
    }};
const KeySet residues{"j <= i and (i - j) mod l = 0",
                      [](const Config& c, int n, int) { return strided_residues(n, stride(c)); }};
const KeySet window_and_residues{"j <= i and (i - j < w or (i - j) mod l = 0)",
                                 [](const Config& c, int n, int) { return strided_merged(n, stride(c), window(c)); }};
const KeySet own_block{"j <= i and j div l = i div l",
                       [](const Config& c, int n, int) { return fixed_block(n, stride(c)); }};
const KeySet summaries{"j <= i and j mod l in [l - (g + 1) c, l - g c - 1]", [](const Config& c, int n, int group) {
                         return fixed_summary(n, stride(c), summary(c), group);
                       }};
const KeySet block_and_summaries{"the union of block and summary", [](const Config& c, int n, int group) {
                                   return fixed_merged(n, stride(c), summary(c), group);
                                 }};
const KeySet none;

const std::vector<std::string> of_summary = {"stride", "summary", "shared_summary"};

} // namespace

// A name, its sets (name, keys that they read, causal form, form that sees both ways), and their union.
const std::vector<PatternRow>& pattern_table() {
  static const std::vector<PatternRow> table = {
      {"dense", {{"dense", {}, earlier, everything}}, {}},
      {"local", {{"local", {"stride", "window"}, last_keys, block_or_released}}, {}},
      {"strided",
       {{"local", {"stride", "window"}, last_keys, none}, {"strided", {"stride"}, residues, none}},
       PatternSet{"strided merged", {"stride", "window"}, window_and_residues, none}},
      {"fixed",
       {{"block", {"stride"}, own_block, none}, {"summary", of_summary, summaries, none, true}},
       PatternSet{"fixed merged", of_summary, block_and_summaries, none, true}},
      {"block_bidirectional", {{"block_bidirectional", {"stride"}, none, whole_block}}, {}},
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
  const bool causal = task_row(config.data.task).causal;
  const KeySet &fitting = causal ? set.causal : set.both_ways, &other = causal ? set.both_ways : set.causal;
  return fitting ? fitting : other;
}

bool looks_ahead(const Config& config) {
  if (const std::optional<Operation>& operation = pattern_row(config.attention.pattern).operation)
    return !operation->causal || !task_row(config.data.task).causal;
  const auto both_ways = [&](const PatternSet& set) { return &form_of(config, set) == &set.both_ways; };
  const std::vector<PatternSet>& sets = pattern_row(config.attention.pattern).sets;
  const auto& entries = config.attention.combination;
  return std::any_of(sets.begin(), sets.end(), both_ways) ||
         (std::find(entries.begin(), entries.end(), "dense") != entries.end() &&
          both_ways(pattern_set(config, "dense")));
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
      "reads |\n| --- | --- | --- | --- | --- |\n";
  for (const PatternRow& row : pattern_table()) {
    if (row.operation) {
      const Operation& o = *row.operation;
      out += fmt::format("| `{}` | no key set | {} | {} | {} |\n", row.name,
                         o.causal ? o.does + ", over j <= i" : "not defined", o.both_ways ? o.does : "not defined",
                         joined(o.reads, ", "));
    }
    std::vector<PatternSet> sets = row.sets;
    if (row.merged)
      sets.push_back(*row.merged);
    for (const PatternSet& set : sets)
      out += fmt::format("| `{}` | {} | {} | {} | {} |\n", row.name, set.name,
                         set.causal ? set.causal.sees : set.both_ways.sees + " (a leak: needs allow_leak)",
                         set.both_ways ? set.both_ways.sees : set.causal.sees, joined(set.reads, ", "));
  }
  return out;
}

} // namespace weft
