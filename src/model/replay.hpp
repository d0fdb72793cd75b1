// When a micro-batch's kernels are recorded, when a recording may be replayed, and when it is thrown away. What records
// and launches is behind an interface: a CUDA graph on a device, a list in the tests.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace weft {

/// What is recorded: the kernels between begin() and end(), which are not run meanwhile.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void begin() = 0;
  virtual int end() = 0; ///< a number for launch() and forget()
  virtual void launch(int recording) = 0;
  virtual void forget(int recording) = 0;
};

/// The device's. Only in a build for GPUs.
std::unique_ptr<Recorder> device_recorder();

class Replay {
 public:
  explicit Replay(std::unique_ptr<Recorder> recorder) : recorder_(std::move(recorder)) {}

  /// All that the kernels of a micro-batch take from the host. A recording holds for equal keys only. What changes from
  /// one micro-batch to the next (tokens, places in the random numbers) lies in device memory and is not part of it.
  struct Key {
    const void* gradients;
    const void* weights;
    float loss_factor;
    std::uint64_t seed;
    std::int64_t length = 0;           ///< of the micro-batch's sequences
    bool seen = false, shares = false; ///< whether it says which positions are real, what a prediction's share is
    bool operator==(const Key&) const = default;
  };

  /// Called where the program has got to; see GradientsReady. What it does is never recorded.
  using Ready = std::function<void(std::int64_t first)>;
  using Program = std::function<void(const Ready&)>;

  /// Has the same effect as program(ready), which must give the same kernels whenever the key is the same: the first
  /// time it is just run (libraries choose their algorithms then, memory is taken), the second time it is recorded,
  /// from each call of `ready` to the next, from the third time on it is not called. Another key for the same gradients
  /// throws the old recording away.
  void run(const Key& key, const Program& program, const Ready& ready);

 private:
  struct Part {
    int recording;
    std::int64_t ready_from; ///< told when the part is launched; -1: the end of the program
  };
  struct Entry {
    Key key;
    bool recorded = false;
    std::vector<Part> parts;
  };
  void record(Entry& entry, const Program& program, const Ready& ready);

  std::unique_ptr<Recorder> recorder_;
  std::vector<Entry> entries_; ///< one per gradient buffer
};

} // namespace weft
