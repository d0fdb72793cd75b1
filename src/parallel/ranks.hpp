// The ranks of a run. One object per process; MPI is started and ended by it.
#pragma once
#include <atomic>
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

  /// While it lives this thread is at a meeting: a call that ends only when all ranks have come to it. The functions
  /// above make one; so must other code that waits for all ranks. Ranks come to the same meetings in the same order.
  class Meeting {
   public:
    explicit Meeting(const Ranks& ranks) : ranks_(ranks) {
      ranks.waiting_ = true;
      ++ranks.meetings_;
    }
    ~Meeting() { ranks_.waiting_ = false; }
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;

   private:
    const Ranks& ranks_;
  };
  std::uint64_t meetings() const { return meetings_; } ///< begun so far, for the watchdog
  bool waiting() const { return waiting_; }            ///< whether this rank is at one now

  /// Another rank on this host, whose process this one can see.
  struct Neighbour {
    int rank, process;
  };
  const std::vector<Neighbour>& neighbours() const { return neighbours_; }

  /// Ends the whole job with this status: for errors that the other ranks cannot know of.
  [[noreturn]] static void abort(int status);
  static std::string host();
  static std::string library_version();

 private:
  int rank_ = 0, size_ = 1, node_rank_ = 0;
  bool started_ = false;
  mutable std::atomic<std::uint64_t> meetings_ = 0;
  mutable std::atomic<bool> waiting_ = false;
  std::vector<Neighbour> neighbours_;
};

/// The sequences [first, last) of 0 .. total-1 that a rank computes: contiguous, sizes differ by one at most.
struct Share {
  std::int64_t first, last;
};
Share share_of(std::int64_t total, int rank, int ranks);

} // namespace weft
