// The ranks of a run. One object per process; MPI is started and ended by it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

class Ranks {
 public:
  /// Starts MPI (a program started without mpirun or srun is one rank). Errors inside MPI end the job.
  Ranks(int* argc, char*** argv);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int node_rank() const { return node_rank_; } ///< number of this rank on its host: picks the device
  bool root() const { return rank_ == 0; }

  void barrier() const;
  /// The largest of the ranks' values; every rank gets it.
  int maximum(int value) const;
  double maximum(double value) const;
  /// The ranks' pieces, in rank order; every rank gets all. The pieces may differ in length.
  std::vector<double> gather(const std::vector<double>& mine) const;
  /// Each rank's text, in rank order, on every rank.
  std::vector<std::string> gather(const std::string& mine) const;
  /// The root's text or values, on every rank.
  void broadcast(std::string& text) const;
  void broadcast(float* values, std::int64_t n) const;
  /// Every rank holds a range of `values`, rank r from cuts[r] to cuts[r+1]; afterwards every rank holds all. All cuts
  /// are multiples of 16.
  void share(float* values, const std::vector<std::int64_t>& cuts) const;

  /// Ends the whole job with this status: for errors that the other ranks cannot know of.
  [[noreturn]] static void abort(int status);
  static std::string host();
  static std::string library_version();

 private:
  int rank_ = 0, size_ = 1, node_rank_ = 0;
  bool started_ = false;
};

/// The sequences [first, last) of 0 .. total-1 that a rank computes: contiguous, sizes differ by one at most.
struct Share {
  std::int64_t first, last;
};
Share share_of(std::int64_t total, int rank, int ranks);

} // namespace weft
