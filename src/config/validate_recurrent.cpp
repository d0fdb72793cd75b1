// Rules of the families with a recurrence: bilstm, mega, lru, s4d.
#include "config/checker.hpp"
#include "config/families.hpp"
#include <fmt/format.h>

namespace weft {
namespace {

/// A recurrence has nothing between the layers where there is one, no CLS vector, and zeros behind the length.
void check_lstm(const Config& c, Checker& rules) {
  const auto& m = c.model;
  if (m.family != "bilstm")
    return;
  rules.check(
      m.layer_dropout == 0 || m.layers > 1, {"model.layer_dropout", "model.layers"},
      fmt::format("got {} between the layers of an LSTM that has one, expected 0, or more layers", m.layer_dropout));
  rules.check(!rules.reads("model.pooling") || m.pooling == "attention" || m.pooling == "mean", {"model.pooling"},
              fmt::format("got \"{}\", which model.family = \"bilstm\" does not have, expected attention or mean: its "
                          "rows are those of real tokens, with no vector in front",
                          m.pooling));
}

/// One head over keys of a plain set, and a table of scores by distance.
void check_mega(const Config& c, Checker& rules) {
  const auto& a = c.attention;
  if (c.model.family != "mega" || !rules.sound({"model.family", "data.task", "attention.pattern", "model.context"}))
    return;
  rules.check(c.model.heads == 1, {"model.heads", "model.family"},
              fmt::format("got {} heads, expected 1: the gated attention of mega has a single one", c.model.heads));
  const bool classes = task_row(c.data.task).classes;
  rules.check(a.pattern == "dense" || a.pattern == "chunk" || (a.pattern == "block_bidirectional" && classes),
              {"attention.pattern", "model.family"},
              fmt::format("got \"{}\", expected \"dense\", or \"chunk\" for chunks of attention.stride "
                          "(model.family = \"mega\")",
                          a.pattern));
  rules.check(a.combination == std::vector<std::string>{"merged"}, {"attention.combination", "model.family"},
              "got other sets beside that of the pattern, expected \"merged\": the layers of mega are alike");
  rules.check(!classes || (c.model.pooling != "cls" && c.model.pooling != "mean_all"),
              {"model.pooling", "model.family"},
              fmt::format("got \"{}\", expected mean, or attention, first or last: mega has no CLS vector, and padded "
                          "rows are not part of it",
                          c.model.pooling));
  rules.check(!rules.reads("model.input") || c.model.input != "pixels" || c.model.vocabulary <= 256,
              {"model.vocabulary", "model.input"},
              fmt::format("got {} distinct tokens with model.input = \"pixels\", expected at most the 256 grey values",
                          c.model.vocabulary));
  rules.check(c.model.stream != "reversible", {"model.stream", "model.family"},
              "got \"reversible\", which model.family = \"mega\" does not have, expected pre_norm or post_norm");
  rules.check(c.model.norm != "batch" || classes, {"model.norm", "data.task"},
              "got \"batch\" for a model of the next token, which would see later tokens in the statistics of its "
              "training, expected layer, scale or rms");
  rules.check(a.bias != "rotary" || a.shared_width % 2 == 0, {"attention.shared_width", "attention.bias"},
              fmt::format("got a width of {} with the rotary bias, which turns its halves, expected an even number",
                          a.shared_width));
}

/// A ring or a range, rows that padding does not reach, and a stream whose layers can be made again from nothing but
/// their rows.
void check_linear(const Config& c, Checker& rules) {
  const auto& m = c.model;
  if (m.family != "lru" && m.family != "s4d")
    return;
  rules.check(m.family != "lru" || m.r_min < m.r_max, {"model.r_min", "model.r_max"},
              fmt::format("got a ring from {} to {}, expected an inner radius below the outer one", m.r_min, m.r_max));
  rules.check(m.family != "s4d" || m.dt_min <= m.dt_max, {"model.dt_min", "model.dt_max"},
              fmt::format("got steps from {} to {}, expected the least one first", m.dt_min, m.dt_max));
  rules.check(m.stream != "reversible", {"model.stream", "model.family"},
              fmt::format("got \"reversible\", which model.family = \"{}\" does not have, expected pre_norm or "
                          "post_norm",
                          m.family));
  rules.check(!rules.reads("model.pooling") || m.pooling == "mean" || m.pooling == "attention", {"model.pooling"},
              fmt::format("got \"{}\", which model.family = \"{}\" does not have, expected mean or attention: its "
                          "rows are those of real tokens, with no vector in front",
                          m.pooling, m.family));
}

} // namespace

void check_recurrent(const Config& c, Checker& rules) {
  check_lstm(c, rules);
  check_mega(c, rules);
  check_linear(c, rules);
}

} // namespace weft
