// Event files for TensorBoard: TFRecord framing, hand-encoded protocol buffers, scalars only.
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace weft {

/// `<folder>/events.out.tfevents.<seconds>.<host>.<pid>`, appended to. Each process start makes a file of its own;
/// `first_step` tells TensorBoard that older events from this step on are void (a resumed run repeats them).
class EventFile {
 public:
  explicit EventFile(const std::string& folder, std::int64_t first_step = 0);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void add_scalar(const std::string& tag, std::int64_t step, double value);
  void flush();
  const std::string& path() const { return path_; }

 private:
  void add_event(std::int64_t step, const std::string& body);
  std::string path_;
  std::FILE* file_ = nullptr;
};

} // namespace weft
