#include "model/replay.hpp"
#include "kernels/common/recording.hpp"
#include <algorithm>
#include <map>

namespace weft {

namespace {
class DeviceRecorder final : public Recorder {
 public:
  void begin() override { Recording::begin(); }
  int end() override {
    recordings_.emplace(next_, Recording::end());
    return next_++;
  }
  void launch(int recording) override { recordings_.at(recording).launch(); }
  void forget(int recording) override { recordings_.erase(recording); }

 private:
  std::map<int, Recording> recordings_;
  int next_ = 0;
};
} // namespace

std::unique_ptr<Recorder> device_recorder() { return std::make_unique<DeviceRecorder>(); }

void Replay::run(const Key& key, const Program& program, const Ready& ready) {
  const auto entry =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key.gradients == key.gradients; });
  if (entry == entries_.end() || !(entry->key == key)) {
    if (entry != entries_.end()) {
      for (const Part& part : entry->parts)
        recorder_->forget(part.recording);
      entries_.erase(entry);
    }
    entries_.push_back({key, false, {}});
    return program(ready);
  }
  if (!entry->recorded)
    return record(*entry, program, ready);
  for (const Part& part : entry->parts) {
    recorder_->launch(part.recording);
    if (part.ready_from >= 0)
      ready(part.ready_from);
  }
}

void Replay::record(Entry& entry, const Program& program, const Ready& ready) {
  const auto close = [&](std::int64_t from) {
    entry.parts.push_back({recorder_->end(), from});
    recorder_->launch(entry.parts.back().recording);
  };
  recorder_->begin();
  program([&](std::int64_t from) {
    close(from);
    ready(from); // messages, other streams: never part of a recording
    recorder_->begin();
  });
  close(-1);
  entry.recorded = true;
}

} // namespace weft
