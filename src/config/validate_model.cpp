// Rules of data.task, [model] and [attention]. A rule holds only where something reads its keys.
#include "config/checker.hpp"
#include "config/families.hpp"
#include "config/patterns.hpp"
#include "config/resolved.hpp"
#include "config/validate.hpp"
#include "kernels/attention/patterns/big_bird.hpp"
#include "kernels/synthesizer/factored_scores.hpp"
#include <fmt/format.h>
#include <numeric>

namespace weft {
namespace {

constexpr std::int64_t largest_head_width = 256; ///< of the attention engine
constexpr std::size_t most_position_tables = 4;  ///< of the embedding
constexpr std::size_t most_bucket_factors = 4;   ///< of kernels/lsh/hash.hpp
constexpr double most_buckets = 1 << 24;

void check_family(const Config& c, Checker& rules) {
  if (!rules.sound({"model.family", "data.task"}))
    return;
  const FamilyRow& family = family_row(c.model.family);
  const auto has = [](const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  rules.check(has(family.tasks, c.data.task), {"data.task"},
              fmt::format("got \"{}\", which model.family = \"{}\" cannot do, expected {}", c.data.task, family.name,
                          joined(family.tasks, " or ")));
  rules.check(!rules.reads("model.positions") || has(family.positions, c.model.positions), {"model.positions"},
              fmt::format("got \"{}\", which model.family = \"{}\" does not have, expected {}", c.model.positions,
                          family.name, joined(family.positions, " or ")));
}

/// Where the norms of an encoder stand, and that a causal one sees no later keys.
void check_stream_of_code(const Config& c, Checker& rules) {
  const auto& m = c.model;
  const char* stream = m.code == "bert" ? "post_norm" : m.code == "lra" ? "" : "pre_norm";
  rules.check(*stream == 0 || m.stream == stream, {"model.stream", "model.code"},
              fmt::format("got \"{}\" with model.code = \"{}\", whose norms stand elsewhere, expected \"{}\"", m.stream,
                          m.code, stream));
  if (m.code != "gpt2" || !rules.sound({"attention.pattern", "data.task"}))
    return;
  rules.check(!looks_ahead(c), {"attention.pattern", "model.code"},
              fmt::format("got \"{}\", which has no causal form, with model.code = \"gpt2\", which is causal, expected "
                          "another pattern",
                          c.attention.pattern));
  rules.check(m.pooling != "first", {"model.pooling", "model.code"},
              "got \"first\" with model.code = \"gpt2\", in which the first row sees itself alone, expected last, or a "
              "mean");
}

/// The other codes mask keys as the papers do, and have none of the first one's forms.
void check_code(const Config& c, Checker& rules) {
  if (!rules.reads("model.code"))
    return;
  check_stream_of_code(c, rules);
  if (c.model.code == "lra")
    return;
  rules.check(c.attention.form == "paper", {"attention.form", "model.code"},
              fmt::format("got \"{}\", the Long Range Arena's code, with model.code = \"{}\", which is another one, "
                          "expected \"paper\"",
                          c.attention.form, c.model.code));
  if (c.model.code != "nystromformer")
    return;
  rules.check(!rules.reads("model.pooling") || c.model.pooling == "mean", {"model.pooling", "model.code"},
              fmt::format("got \"{}\" with model.code = \"nystromformer\", which is here for the mean of its "
                          "settings, expected \"mean\"",
                          c.model.pooling));
}

void check_heads(const Config& c, Checker& rules) {
  if (!rules.reads("model.heads"))
    return;
  const auto& m = c.model;
  if (m.family == "mega")
    return; // check_mega
  const bool own_width = rules.reads("attention.width") && c.attention.width > 0;
  const std::int64_t width = own_width ? c.attention.width : m.width;
  const char* width_key = own_width ? "attention.width" : "model.width";
  const bool divides = m.heads < 1 || width % m.heads == 0;
  rules.check(divides, {"model.heads", width_key},
              fmt::format("got {} heads for width {}, expected a divisor of the width", m.heads, width));
  const std::int64_t head = width / std::max<std::int64_t>(1, m.heads);
  if (divides) {
    rules.check(head <= largest_head_width, {"model.heads", width_key},
                fmt::format("got heads of width {} (width {} over {} heads), expected at most {}; take more heads",
                            head, width, m.heads, largest_head_width));
    rules.check(!m.half_size || !rules.reads("model.half_size") || m.heads < 1 || width % (2 * m.heads) == 0,
                {"model.half_size", "model.heads", width_key},
                fmt::format("got half_size with width {} and {} heads, expected heads to divide the halved width, too: "
                            "a width that is a multiple of {}",
                            width, m.heads, 2 * m.heads));
  }
}

void check_positions(const Config& c, Checker& rules) {
  const auto& m = c.model;
  if (m.position_shape.empty() || !rules.reads("model.position_shape"))
    return;
  rules.check(m.position_shape.size() <= most_position_tables, {"model.position_shape"},
              fmt::format("got {} coordinates, expected at most {}", m.position_shape.size(), most_position_tables));
  double positions = 1; // a double cannot overflow here
  for (const std::int64_t extent : m.position_shape)
    positions *= static_cast<double>(extent);
  rules.check(positions >= static_cast<double>(m.context), {"model.position_shape", "model.context"},
              fmt::format("got [{}], which gives {} positions, expected at least model.context = {}",
                          joined(m.position_shape, ", "), positions, m.context));
}

/// Axial tables lie side by side in the width.
void check_position_widths(const Config& c, Checker& rules) {
  if (!rules.reads("model.position_widths") || !rules.sound({"model.position_shape"}))
    return;
  const std::size_t tables = position_tables(c).size();
  const auto& widths = c.model.position_widths;
  if (widths.empty()) {
    rules.check(c.model.width % static_cast<std::int64_t>(tables) == 0, {"model.width", "model.position_widths"},
                fmt::format("got {} for {} axial tables of equal width, expected a multiple of {}, or widths",
                            c.model.width, tables, tables));
    return;
  }
  rules.check(widths.size() == tables &&
                  std::accumulate(widths.begin(), widths.end(), std::int64_t{0}) == c.model.width,
              {"model.position_widths", "model.width"},
              fmt::format("got [{}], expected {} widths with the sum model.width = {}", joined(widths, ", "), tables,
                          c.model.width));
}

void check_combination(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  const std::vector<PatternSet>& sets = pattern_row(a.pattern).sets;
  if (!rules.reads("attention.combination"))
    return;
  std::vector<std::string> entries = {"merged", "dense"};
  for (const PatternSet& set : sets)
    if (set.name != "dense")
      entries.push_back(set.name);
  const bool two = sets.size() > 1;
  for (const std::string& entry : a.combination) {
    if (entry == "interleaved" || entry == "heads") {
      rules.check(
          two, {"attention.combination", "attention.pattern"},
          fmt::format("got \"{}\" for pattern \"{}\", which has one set only, expected \"merged\"", entry, a.pattern));
      rules.check(
          a.combination.size() == 1, {"attention.combination"},
          fmt::format("got \"{}\" in a list, expected it alone, or a list of {}", entry, joined(entries, ", ")));
    } else if (std::find(entries.begin(), entries.end(), entry) == entries.end()) {
      std::vector<std::string> all = entries;
      if (two)
        all.insert(all.end(), {"interleaved", "heads"});
      const std::string hint = nearest(entry, all);
      rules.fail({"attention.combination", "attention.pattern"},
                 fmt::format("got \"{}\" for pattern \"{}\", expected {}{}a list of {}{}", entry, a.pattern,
                             two ? "merged, interleaved, heads, " : "merged ", "or ", joined(entries, ", "),
                             hint.empty() ? "" : "; did you mean " + hint + "?"));
    }
  }
}

void check_sinkhorn(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  if (a.pattern != "sinkhorn")
    return;
  const std::int64_t N = c.model.context, l = std::max<std::int64_t>(1, a.stride);
  const bool front = c.data.task == "classify" && c.model.pooling == "cls";
  const std::int64_t blocks = (N + (front ? 1 : 0) + l - 1) / l;
  rules.check(!rules.reads("attention.sort_cut") || a.sort_cut <= blocks,
              {"attention.sort_cut", "attention.stride", "model.context"},
              fmt::format("got {} sorted blocks, expected at most the {} that there are", a.sort_cut, blocks));
  if (!rules.reads("attention.form") || a.form != "lra")
    return;
  rules.check(N % l == 0, {"attention.stride", "model.context", "attention.form"},
              fmt::format("got blocks of {} in a context of {}, expected a divisor: the released form of sinkhorn has "
                          "whole blocks only; take another stride, or form = \"paper\"",
                          a.stride, N));
  rules.check(c.data.task != "classify" || c.model.pooling == "mean_all", {"model.pooling", "attention.form"},
              fmt::format("got \"{}\", expected mean_all: the released form of sinkhorn classifies by the mean of all "
                          "rows and has no CLS vector; or take form = \"paper\"",
                          c.model.pooling));
}

/// Later keys are for tasks that see both ways, and a vector in front for patterns that let it see something.
void check_direction(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  const bool ahead = looks_ahead(c);
  const TaskRow& task = task_row(c.data.task);
  rules.check(!task.causal || !ahead || a.allow_leak, {"attention.pattern", "attention.allow_leak", "data.task"},
              fmt::format("got \"{}\", which shows the model the bytes that it is to predict, so that its loss "
                          "measures nothing; expected a causal pattern, or attention.allow_leak = true to demonstrate "
                          "the leak",
                          a.pattern));
  rules.check(a.pattern != "local" || !ahead || a.window == 0, {"attention.window", "attention.pattern", "data.task"},
              fmt::format("got a window of {} with data.task = \"{}\", in which pattern local sees whole blocks of "
                          "attention.stride, expected window = 0",
                          a.window, task.name));
  rules.check(!task.classes || ahead || !rules.reads("model.pooling") || c.model.pooling != "cls", {"model.pooling"},
              fmt::format("got \"cls\" with attention.pattern = \"{}\", in which the first row sees itself alone, "
                          "expected mean, mean_all or attention, or a pattern that sees both ways",
                          a.pattern));
}

/// Hashes of attention.pattern = "lsh".
void check_hashes(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  if (!rules.reads("attention.buckets"))
    return;
  rules.check(a.buckets.size() <= most_bucket_factors, {"attention.buckets"},
              fmt::format("got {} factors, expected at most {}", a.buckets.size(), most_bucket_factors));
  double product = 1;
  for (const std::int64_t b : a.buckets) {
    product *= static_cast<double>(b);
    rules.check(b % 2 == 0 || b == 1, {"attention.buckets"},
                fmt::format("got [{}], expected even numbers, or [1] for no hash: half of the buckets are the opposite "
                            "directions of the other half",
                            joined(a.buckets, ", ")));
  }
  rules.check(product <= most_buckets, {"attention.buckets"},
              fmt::format("got [{}], which gives {} buckets, expected at most {}", joined(a.buckets, ", "), product,
                          most_buckets));
  rules.check(static_cast<double>(a.rounds) * static_cast<double>(c.model.context) < 2147483648.0,
              {"attention.rounds", "model.context"},
              fmt::format("got {} rounds over {} positions, expected fewer than 2^31 places in the sorted lists",
                          a.rounds, c.model.context));
}

void check_linformer(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  rules.check(a.form != "lra" || a.sharing == "key_value" || !rules.reads("attention.form"),
              {"attention.sharing", "attention.form"},
              fmt::format("got \"{}\" with attention.form = \"lra\", in which keys and values share one matrix per "
                          "layer, expected \"key_value\"; or take form = \"paper\"",
                          a.sharing));
}

/// Score matrices of their own, and factors that lie beside the queries and keys of a head.
void check_synthesizer(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  constexpr double most = 1 << 30;
  const double N = static_cast<double>(c.model.context), H = static_cast<double>(c.model.heads);
  if (a.mode == "random") {
    rules.check(H * N * N <= most, {"model.context", "model.heads", "attention.mode"},
                fmt::format("got {} heads of {} x {} trained scores, {:.0f} parameters per layer, expected {:.0f} at "
                            "most; take a shorter context, fewer heads, or attention.mode = \"factorised_random\"",
                            c.model.heads, c.model.context, c.model.context, H * N * N, most));
    return;
  }
  if (c.model.heads < 1)
    return;
  const std::int64_t wide = rules.reads("attention.width") && a.width > 0 ? a.width : c.model.width;
  const std::int64_t Ev = wide / c.model.heads, E = c.model.half_size && rules.reads("model.half_size") ? Ev / 2 : Ev;
  if (a.mode == "factorised_dense") {
    const std::int64_t inner = factored_inner(c.model.context + slots_in_front(c));
    rules.check(inner + (a.dot_product ? E : 0) <= largest_head_width,
                {"model.context", "attention.dot_product", "model.heads", "attention.mode"},
                fmt::format("got rows of {} numbers for {} positions{}, expected at most {} in all; take a shorter "
                            "context{}",
                            inner, c.model.context,
                            a.dot_product ? fmt::format(" and heads of width {}", E) : std::string(),
                            largest_head_width, a.dot_product ? ", or more heads" : ""));
    rules.check(a.form != "lra" || task_row(c.data.task).causal, {"attention.form", "attention.mode"},
                "got \"factorised_dense\" with attention.form = \"lra\", which the released code does not have; take "
                "form = \"paper\"");
    return;
  }
  const bool factors = a.mode == "factorised_random";
  const std::int64_t own = factors ? a.rank : (a.hidden > 0 ? a.hidden : Ev) + 1, sum = own + (a.dot_product ? E : 0);
  rules.check(
      sum <= largest_head_width,
      {factors ? "attention.rank" : "attention.hidden", "attention.dot_product", "model.heads"},
      fmt::format("got scores of {} products per pair ({} of mode \"{}\"{}), expected at most {}; take a smaller "
                  "attention.{} or more heads",
                  sum, own, a.mode, a.dot_product ? fmt::format(", {} of queries and keys", E) : "", largest_head_width,
                  factors ? "rank" : "hidden"));
}

void check_big_bird(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  if (a.pattern != "bigbird" || a.stride < 1 || a.random < 0 || a.random > c.model.context ||
      !rules.sound({"attention.stride", "attention.random", "model.context", "model.heads", "attention.form"}))
    return;
  const bool released = !is_causal(c) && a.form == "lra";
  BigBird sizes{static_cast<int>(a.stride), static_cast<int>(a.random)};
  sizes.form = released ? BigBirdForm::released : BigBirdForm::paper;
  const int slots = static_cast<int>(c.model.context) + slots_in_front(c);
  rules.check(
      big_bird_fits(slots, sizes), {"attention.random", "attention.stride", "model.context"},
      fmt::format("got {} random blocks of {} in {} positions, in which some block of queries has fewer to choose "
                  "from (a row draws from the first 1,024 positions, and not what it sees anyway), expected "
                  "fewer or shorter ones, or longer sequences",
                  a.random, a.stride, slots));
  rules.check(
      !released || a.dropout == 0, {"attention.dropout", "attention.form", "attention.pattern"},
      fmt::format("got {} with attention.form = \"lra\": the released code of bigbird drops no weights, expected 0",
                  a.dropout));
}

void check_attention(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  if (!rules.reads("attention.pattern") || !rules.sound({"attention.pattern", "data.task"}))
    return;
  check_combination(c, rules);
  const std::vector<std::string> read = pattern_reads(pattern_row(a.pattern));
  const auto reads = [&](const char* key) { return std::find(read.begin(), read.end(), key) != read.end(); };
  rules.check(!reads("stride") || a.stride <= c.model.context,
              {"attention.stride", "model.context", "attention.pattern"},
              fmt::format("got a stride of {}, expected at most model.context = {}", a.stride, c.model.context));
  rules.check(a.pattern != "strided" || a.window <= a.stride, {"attention.window", "attention.stride"},
              fmt::format("got a window of {}, expected at most attention.stride = {}", a.window, a.stride));
  check_direction(c, rules);
  check_hashes(c, rules);
  if (a.pattern == "linformer")
    check_linformer(c, rules);
  if (a.pattern == "synthesizer" && rules.sound({"attention.mode", "model.context", "model.heads"}))
    check_synthesizer(c, rules);
  check_big_bird(c, rules);
  rules.check(!rules.reads("attention.global") || a.global <= c.model.context, {"attention.global", "model.context"},
              fmt::format("got {} global positions, expected at most model.context = {}", a.global, c.model.context));
  check_sinkhorn(c, rules);
  rules.check(
      !released_local(c) || a.combination == std::vector<std::string>{"merged"},
      {"attention.combination", "attention.form"},
      "got other sets beside local, expected \"merged\": the released form of local runs in every layer; or take "
      "form = \"paper\"");
  if (!reads("summary"))
    return;
  const bool fits = a.summary <= a.stride;
  rules.check(
      fits, {"attention.summary", "attention.stride", "attention.pattern"},
      fmt::format("got {} summary columns per block, expected at most attention.stride = {}", a.summary, a.stride));
  rules.check(!fits || !reads("shared_summary") || a.shared_summary || a.summary < 1 || a.stride % a.summary == 0,
              {"attention.summary", "attention.stride", "attention.shared_summary", "attention.pattern"},
              fmt::format("got {0} summary columns in blocks of {1}, expected a divisor of {1}, since every head has a "
                          "sub-block of its own; or set attention.shared_summary = true",
                          a.summary, a.stride));
}

} // namespace

void check_model(const Config& c, Checker& rules) {
  rules.check(c.model.init_parts == "all" || !c.model.init_from.empty(), {"model.init_parts", "model.init_from"},
              fmt::format("got \"{}\" without model.init_from, expected model.init_from = \"RUN\" with it",
                          c.model.init_parts));
  check_family(c, rules);
  check_code(c, rules);
  check_heads(c, rules);
  check_positions(c, rules);
  check_position_widths(c, rules);
  check_recurrent(c, rules);
  check_attention(c, rules);
}

} // namespace weft
