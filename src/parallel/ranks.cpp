#include "parallel/ranks.hpp"
#include "parallel/bundle.hpp"
#include <algorithm>
#include <mpi.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {

Ranks::Ranks(int* argc, char*** argv) {
  int running = 0;
  MPI_Initialized(&running);
  if (!running) {
    use_bundled_mpi();
    int provided = 0;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    started_ = true;
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &node_rank_);
  // Numbers of processes mean the same only in the same namespace: containers may have their own.
  struct stat space {};
  stat("/proc/self/ns/pid", &space);
  const std::int64_t mine[] = {rank_, getpid(), static_cast<std::int64_t>(space.st_ino)};
  int on_node = 1;
  MPI_Comm_size(node, &on_node);
  std::vector<std::int64_t> all(3 * static_cast<std::size_t>(on_node));
  MPI_Allgather(mine, 3, MPI_INT64_T, all.data(), 3, MPI_INT64_T, node);
  for (std::size_t i = 0; i < all.size(); i += 3)
    if (all[i] != rank_ && all[i + 2] == mine[2])
      neighbours_.push_back({static_cast<int>(all[i]), static_cast<int>(all[i + 1])});
  MPI_Comm_free(&node);
}

Ranks::~Ranks() {
  if (started_)
    MPI_Finalize();
}

void Ranks::barrier() const {
  const Meeting meeting(*this);
  MPI_Barrier(MPI_COMM_WORLD);
}

int Ranks::maximum(int value) const {
  const Meeting meeting(*this);
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return value;
}

double Ranks::maximum(double value) const {
  const Meeting meeting(*this);
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return value;
}

std::vector<double> Ranks::gather(const std::vector<double>& mine) const {
  const Meeting meeting(*this);
  const auto ranks = static_cast<std::size_t>(size_);
  const int count = static_cast<int>(mine.size());
  std::vector<int> counts(ranks), starts(ranks);
  MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD);
  int total = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    starts[r] = total;
    total += counts[r];
  }
  std::vector<double> all(static_cast<std::size_t>(total));
  MPI_Allgatherv(mine.data(), count, MPI_DOUBLE, all.data(), counts.data(), starts.data(), MPI_DOUBLE, MPI_COMM_WORLD);
  return all;
}

std::vector<std::string> Ranks::gather(const std::string& mine) const {
  const Meeting meeting(*this);
  const auto ranks = static_cast<std::size_t>(size_);
  const int count = static_cast<int>(mine.size());
  std::vector<int> counts(ranks), starts(ranks + 1);
  MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD);
  for (std::size_t r = 0; r < ranks; ++r)
    starts[r + 1] = starts[r] + counts[r];
  std::string all(static_cast<std::size_t>(starts[ranks]), '\0');
  MPI_Allgatherv(mine.data(), count, MPI_CHAR, all.data(), counts.data(), starts.data(), MPI_CHAR, MPI_COMM_WORLD);
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < ranks; ++r)
    texts.push_back(all.substr(static_cast<std::size_t>(starts[r]), static_cast<std::size_t>(counts[r])));
  return texts;
}

void Ranks::broadcast(std::string& text) const {
  const Meeting meeting(*this);
  std::uint64_t n = text.size();
  MPI_Bcast(&n, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
  text.resize(n);
  MPI_Bcast(text.data(), static_cast<int>(n), MPI_CHAR, 0, MPI_COMM_WORLD);
}

void Ranks::broadcast(float* values, std::int64_t n) const {
  const Meeting meeting(*this);
  constexpr std::int64_t piece = std::int64_t{1} << 28;
  for (std::int64_t i = 0; i < n; i += piece)
    MPI_Bcast(values + i, static_cast<int>(std::min(piece, n - i)), MPI_FLOAT, 0, MPI_COMM_WORLD);
}

void Ranks::share(float* values, const std::vector<std::int64_t>& cuts) const {
  constexpr std::int64_t line = 16; // counts of whole lines stay in range of an int up to 2^35 floats
  MPI_Datatype lines;
  MPI_Type_contiguous(static_cast<int>(line), MPI_FLOAT, &lines);
  MPI_Type_commit(&lines);
  std::vector<int> counts, starts;
  for (std::size_t r = 0; r + 1 < cuts.size(); ++r) {
    starts.push_back(static_cast<int>(cuts[r] / line));
    counts.push_back(static_cast<int>((cuts[r + 1] - cuts[r]) / line));
  }
  const Meeting meeting(*this);
  MPI_Allgatherv(MPI_IN_PLACE, 0, lines, values, counts.data(), starts.data(), lines, MPI_COMM_WORLD);
  MPI_Type_free(&lines);
}

void Ranks::abort(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
  _exit(status);
}

std::string Ranks::host() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

std::string Ranks::library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int n = 0;
  MPI_Get_library_version(text, &n);
  const std::string all(text, static_cast<std::size_t>(n));
  return all.substr(0, all.find(','));
}

Share share_of(std::int64_t total, int rank, int ranks) { return {total * rank / ranks, total * (rank + 1) / ranks}; }

} // namespace weft
