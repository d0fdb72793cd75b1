// A job that the scheduler starts again and again, and that never gets as far as a new checkpoint.
#pragma once
#include <cstdint>
#include <string>

namespace weft {

/// Notes in the file `path` that Slurm job `job` now starts from `step`, and returns how many starts of this job before
/// this one, without a break, began at the very same step: restarts that found no newer checkpoint than the one before.
/// Another job, another step and a damaged or missing file begin at 0. An empty `job` (no Slurm: a person is there) is
/// neither noted nor counted. Error (status 1) where the file cannot be written.
std::int64_t count_idle_restarts(const std::string& path, const std::string& job, std::int64_t step);

/// SLURM_JOB_ID, or nothing.
std::string slurm_job();

} // namespace weft
