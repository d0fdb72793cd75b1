#include "training/idle_restarts.hpp"
#include "io/atomic_file.hpp"
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <sstream>

namespace weft {

std::int64_t count_idle_restarts(const std::string& path, const std::string& job, std::int64_t step) {
  if (job.empty())
    return 0;
  std::int64_t restarts = 0;
  if (std::filesystem::exists(path)) {
    std::istringstream words(read_file(path));
    std::string of_job;
    std::int64_t at_step = -1, before = -1;
    if (words >> of_job >> at_step >> before && of_job == job && at_step == step && before >= 0)
      restarts = before + 1;
  }
  replace_file(path, fmt::format("{} {} {}\n", job, step, restarts));
  return restarts;
}

std::string slurm_job() {
  const char* job = std::getenv("SLURM_JOB_ID");
  return job == nullptr ? "" : job;
}

} // namespace weft
