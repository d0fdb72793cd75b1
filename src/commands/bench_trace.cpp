#include "commands/bench_trace.hpp"
#include "io/atomic_file.hpp"
#include "io/json.hpp"
#include "parallel/ranks.hpp"
#include <fmt/core.h>
#include <set>
#include <string_view>

namespace weft {

namespace {
std::string name_row(const char* kind, int rank, std::int64_t row, const std::string& name) {
  return fmt::format(R"({{"name": "{}", "ph": "M", "pid": {}, "tid": {}, "args": {{"name": {}}}}})", kind, rank, row,
                     json_text(name));
}
} // namespace

void write_trace(const Ranks& ranks, const std::string& path, const std::vector<Span>& spans, double begin) {
  const int rank = ranks.rank();
  std::string events = name_row("process_name", rank, 0, fmt::format("rank {} on {}", rank, Ranks::host())) + ",\n" +
                       name_row("thread_name", rank, 0, "compute and wait");
  std::set<std::int64_t> buckets;
  for (const Span& span : spans) {
    const bool bucket = std::string_view(span.name).substr(0, 6) == "bucket";
    if (bucket && buckets.insert(span.number).second)
      events += ",\n" + name_row("thread_name", rank, 1 + span.number, fmt::format("bucket {}", span.number));
    const std::string number = span.number < 0 ? "" : fmt::format(" {}", span.number);
    events += fmt::format(R"(,{}{{"name": "{}{}", "cat": "{}", "ph": "X", "pid": {}, "tid": {}, "ts": {:.3f}, )"
                          R"("dur": {:.3f}, "args": {{"number": {}}}}})",
                          "\n", span.name, number, span.name, rank, bucket ? 1 + span.number : 0,
                          1e6 * (span.begin - begin), 1e6 * (span.end - span.begin), span.number);
  }
  std::string all;
  for (const std::string& part : ranks.gather(events))
    all += (all.empty() ? "" : ",\n") + part;
  if (ranks.root())
    replace_file(path, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n" + all + "\n]}\n");
}

} // namespace weft
