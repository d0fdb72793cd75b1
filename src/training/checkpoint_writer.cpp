#include "training/checkpoint_writer.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "training/clock.hpp"
#include <chrono>
#include <filesystem>
#include <sstream>
#include <sys/resource.h>
#include <thread>

namespace weft {

namespace {
constexpr const char* groups[] = {"parameters/", "optimizer/m/", "optimizer/v/"};
constexpr std::size_t digest_letters = 64;
/// Of the thread that writes: the threads that compute come first. (On Linux the priority is a thread's own.)
constexpr int niceness = 10;

std::vector<ArrayPlan> plans(const ParameterList& parameters) {
  std::vector<ArrayPlan> all;
  for (const char* group : groups)
    for (const Parameter& p : parameters.all())
      all.push_back({group + p.name, p.shape});
  return all;
}

/// Whether the arrays have to be copied before they are written.
bool copies(const Config& config) { return config.checkpoint.behind || !device_is_host; }
} // namespace

CheckpointWriter::CheckpointWriter(const Config& config, const Ranks& ranks, const ParameterList& parameters,
                                   std::string folder)
    : config_(config), ranks_(ranks), parameters_(parameters), folder_(std::move(folder)),
      owners_(owners(parameters, ranks.size())) {
  const Owned& mine = owners_[static_cast<std::size_t>(ranks.rank())];
  if (copies(config))
    copy_.resize(3 * static_cast<std::size_t>(mine.extent()));
}

CheckpointWriter::~CheckpointWriter() {
  if (work_.valid())
    work_.wait();
}

std::size_t CheckpointWriter::copy_bytes(const Config& config, const ParameterList& parameters, int ranks) {
  return copies(config) ? 3 * static_cast<std::size_t>(largest_part(parameters, ranks)) * sizeof(float) : 0;
}

void CheckpointWriter::launch(std::function<void()> work) {
  work_ = std::async(std::launch::async, [work = std::move(work), waited_for = request_.waited_for] {
    if (!waited_for)
      setpriority(PRIO_PROCESS, 0, niceness);
    work();
  });
}

void CheckpointWriter::start(const TrainingState& state, Request request) {
  const double before = now();
  finish();
  request_ = std::move(request);
  step_ = state.step;
  begun_ = now();
  begin(state);
  if (!config_.checkpoint.behind)
    finish();
  cost_.waited_seconds += now() - before;
}

void CheckpointWriter::begin(const TrainingState& state) {
  // The layout first: a folder that nobody may write to is known before the copy is made.
  std::string failure, layout;
  if (ranks_.root()) {
    try {
      std::filesystem::create_directories(folder_);
      const std::string path = request_.newest ? checkpoint_path(folder_, step_) : request_.copy;
      draft_ = std::make_unique<CheckpointDraft>(path, request_.attributes, plans(parameters_));
      for (std::int64_t offset : draft_->offsets())
        layout += std::to_string(offset) + " ";
      layout += draft_->temporary();
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  ranks_.broadcast(failure);
  ranks_.broadcast(layout);
  phase_ = Phase::arrays;
  if (!failure.empty()) {
    std::promise<void> failed;
    failed.set_exception(std::make_exception_ptr(Error(exit_failure, failure)));
    work_ = failed.get_future();
    advance(); // throws on all ranks
  }
  std::istringstream words(layout);
  std::vector<std::int64_t> offsets(3 * parameters_.all().size());
  for (std::int64_t& offset : offsets)
    words >> offset;
  std::string temporary;
  std::getline(words.ignore(1), temporary);

  const Owned& mine = owners_[static_cast<std::size_t>(ranks_.rank())];
  const float* from[] = {state.weights.data() + mine.begin, state.m.data() + (mine.begin - state.moments.begin),
                         state.v.data() + (mine.begin - state.moments.begin)};
  std::vector<Part> parts;
  for (std::size_t g = 0; g < 3; ++g) {
    const float* values = from[g];
    if (copies(config_)) {
      float* to = copy_.data() + g * static_cast<std::size_t>(mine.extent());
      copy_to_host(to, values, static_cast<std::size_t>(mine.extent()) * sizeof(float));
      values = to;
    }
    for (std::size_t i = mine.first; i < mine.last; ++i) {
      const Parameter& p = parameters_.all()[i];
      parts.push_back({values + (p.offset - mine.begin), offsets[g * parameters_.all().size() + i], p.size});
    }
  }
  launch([this, temporary, parts] {
    write_parts(temporary, parts);
    if (ranks_.size() == 1) // there is nobody to wait for
      commit(in_file_order({digests_}));
  });
  if (ranks_.size() == 1)
    phase_ = Phase::commit;
}

void CheckpointWriter::write_parts(const std::string& temporary, const std::vector<Part>& parts) {
  ArrayWriter writer(temporary);
  digests_.clear();
  for (const Part& part : parts)
    digests_ += writer.write(part.offset, part.values, part.elements);
  writer.sync();
}

std::vector<std::string> CheckpointWriter::in_file_order(const std::vector<std::string>& of_ranks) const {
  std::vector<std::string> digests;
  for (std::size_t g = 0; g < 3; ++g)
    for (std::size_t r = 0; r < owners_.size(); ++r) {
      const std::size_t tensors = owners_[r].last - owners_[r].first;
      for (std::size_t i = 0; i < tensors; ++i)
        digests.push_back(of_ranks[r].substr((g * tensors + i) * digest_letters, digest_letters));
    }
  return digests;
}

void CheckpointWriter::commit(const std::vector<std::string>& digests) {
  draft_->finish(digests);
  if (request_.first)
    request_.first();
  if (request_.newest && !request_.copy.empty())
    draft_->copy_to(request_.copy);
  draft_->commit();
  if (!request_.newest)
    return;
  remember_good(checkpoint_path(folder_, step_));
  commit_latest(folder_, step_);
  prune(folder_, config_.checkpoint.keep, config_.checkpoint.keep_every);
}

bool CheckpointWriter::all_ready() {
  const bool busy = work_.valid() && work_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
  return ranks_.maximum(busy ? 1 : 0) == 0;
}

void CheckpointWriter::advance() {
  std::string failure;
  try {
    if (work_.valid())
      work_.get();
  } catch (const std::exception& error) {
    failure = error.what();
    if (ranks_.size() > 1)
      failure += " (rank " + std::to_string(ranks_.rank()) + ", " + Ranks::host() + ")";
  }
  for (const std::string& text : ranks_.gather(failure))
    if (!text.empty()) {
      phase_ = Phase::idle;
      draft_.reset();
      throw Error(exit_failure, "the checkpoint of step " + std::to_string(step_) + " could not be written: " + text +
                                    "; earlier checkpoints are untouched: make room and start again to continue");
    }
  if (phase_ == Phase::arrays) {
    const std::vector<std::string> of_ranks = ranks_.gather(digests_);
    phase_ = Phase::commit;
    if (ranks_.root())
      launch([this, digests = in_file_order(of_ranks)] { commit(digests); });
    return;
  }
  phase_ = Phase::idle;
  draft_.reset();
  ++cost_.saves;
  cost_.behind_seconds += now() - begun_;
}

void CheckpointWriter::poll() {
  if (!in_flight())
    return;
  const double before = now();
  if (all_ready())
    advance();
  cost_.waited_seconds += now() - before;
}

void CheckpointWriter::finish() {
  while (in_flight()) {
    // Not inside MPI, which would keep a core busy that the thread can use.
    while (!all_ready())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    advance();
  }
}

} // namespace weft
