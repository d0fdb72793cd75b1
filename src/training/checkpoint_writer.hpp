// Saving behind the training. A save begins at a step boundary with a copy in memory of what the rank answers for
// (training/owners.hpp); a thread takes the digests and writes the arrays while the next steps run; the ranks look at
// every step boundary how far they all are. The steps wait for the layout of the file and for the copy, and where a
// save begins before the last one is committed.
//
// Rank 0 lays the file out and commits it (io/checkpoint_draft.hpp); every rank writes its tensors' weights and
// moments. MPI is called by the training thread only.
#pragma once
#include "config/config.hpp"
#include "io/checkpoint_draft.hpp"
#include "parallel/ranks.hpp"
#include "training/state.hpp"
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace weft {

class CheckpointWriter {
 public:
  /// `folder`: of the checkpoints. Takes the memory for the copy.
  CheckpointWriter(const Config& config, const Ranks& ranks, const ParameterList& parameters, std::string folder);
  /// Waits for this rank's thread; a save that has not been committed is given up.
  ~CheckpointWriter();

  /// Bytes of the copy on the rank that holds most.
  static std::size_t copy_bytes(const Config& config, const ParameterList& parameters, int ranks);

  struct Request {
    Attributes attributes;       ///< of the file; rank 0's count
    bool newest = true;          ///< becomes the newest checkpoint, `step-...h5`
    bool waited_for = false;     ///< no step runs beside it: the thread gives way to nobody
    std::string copy;            ///< where a copy goes before that, or with newest = false the only place; empty: none
    std::function<void()> first; ///< rank 0's thread calls it before anything is committed; empty: none
  };
  /// These three are called by all ranks together, and throw the same Error on all of them where a save has failed.
  /// start: begins a save, after the one in flight. Without checkpoint.behind it returns when all is committed.
  void start(const TrainingState& state, Request request);
  /// At every step boundary.
  void poll();
  /// Returns when nothing is in flight.
  void finish();

  bool in_flight() const { return phase_ != Phase::idle; }
  struct Cost {
    int saves = 0;
    double waited_seconds = 0; ///< by steps: in start and poll
    double behind_seconds = 0; ///< of saves, from the start to the commit
  };
  const Cost& cost() const { return cost_; }

 private:
  enum class Phase { idle, arrays, commit };
  struct Part { ///< an array that this rank writes
    const float* values;
    std::int64_t offset, elements;
  };
  void begin(const TrainingState& state);
  bool all_ready();
  void advance();
  void write_parts(const std::string& temporary, const std::vector<Part>& parts);
  void commit(const std::vector<std::string>& digests);
  std::vector<std::string> in_file_order(const std::vector<std::string>& of_ranks) const;
  void launch(std::function<void()> work);

  const Config& config_;
  const Ranks& ranks_;
  const ParameterList& parameters_;
  std::string folder_;
  std::vector<Owned> owners_;
  std::vector<float> copy_; ///< weights, m, v of this rank's tensors
  Phase phase_ = Phase::idle;
  Request request_;
  std::int64_t step_ = 0;                  ///< of the save in flight
  std::unique_ptr<CheckpointDraft> draft_; ///< rank 0
  std::string digests_;                    ///< 64 letters for each part that this rank has written
  std::future<void> work_;                 ///< what the thread does
  double begun_ = 0;
  Cost cost_;
};

} // namespace weft
