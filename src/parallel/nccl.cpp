#include "parallel/nccl.hpp"
#include "io/error.hpp"

#ifndef WEFT_CUDA

namespace weft {
std::string nccl_problem() { return "this is the cpu build of weft, which computes on no GPU"; }
std::unique_ptr<Carrier> nccl_carrier(const Ranks&) { throw InputError("no NCCL: " + nccl_problem()); }
} // namespace weft

#else

#include "kernels/common/memory.hpp"
#include "kernels/common/side_stream.hpp"
#include <dlfcn.h>
#include <exception>
#include <fmt/core.h>
#include <nccl.h>
#include <thread>

namespace weft {

namespace {

/// The functions of libnccl that are used here, found when it is loaded.
struct Library {
  std::string problem;
  int number = 0; ///< of its version
  decltype(&ncclGetVersion) version = nullptr;
  decltype(&ncclGetUniqueId) unique_id = nullptr;
  decltype(&ncclCommInitRank) init = nullptr;
  decltype(&ncclCommDestroy) destroy = nullptr;
  decltype(&ncclCommAbort) abort = nullptr;
  decltype(&ncclCommGetAsyncError) async_error = nullptr;
  decltype(&ncclGetErrorString) text = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
  decltype(&ncclSend) send = nullptr;
  decltype(&ncclRecv) receive = nullptr;

  Library() {
    void* const file = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) {
      const char* said = dlerror();
      problem = fmt::format("libnccl.so.2 could not be loaded ({}); install NCCL for CUDA {}, or put its folder into "
                            "LD_LIBRARY_PATH",
                            said ? said : "no reason given", CUDART_VERSION / 1000);
      return;
    }
    find(file, version, "ncclGetVersion");
    find(file, unique_id, "ncclGetUniqueId");
    find(file, init, "ncclCommInitRank");
    find(file, destroy, "ncclCommDestroy");
    find(file, abort, "ncclCommAbort");
    find(file, async_error, "ncclCommGetAsyncError");
    find(file, text, "ncclGetErrorString");
    find(file, group_start, "ncclGroupStart");
    find(file, group_end, "ncclGroupEnd");
    find(file, send, "ncclSend");
    find(file, receive, "ncclRecv");
    if (problem.empty() && version(&number) != ncclSuccess)
      problem = "libnccl.so.2 does not tell its version; install another NCCL";
  }

  template <class Function>
  void find(void* file, Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(file, name));
    if (function == nullptr && problem.empty())
      problem = fmt::format("libnccl.so.2 has no {}; expected NCCL 2.7 or newer", name);
  }

  std::string number_text() const { // 2.28.9 is 22809; before 2.9 there were fewer digits
    return number < 10000 ? fmt::format("{}.{}.{}", number / 1000, number / 100 % 10, number % 100)
                          : fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
  }
};

const Library& library() {
  static const Library it;
  return it;
}

class NcclCarrier final : public Carrier {
 public:
  explicit NcclCarrier(const Ranks& ranks) : ranks_(ranks) {}

  ~NcclCarrier() override {
    if (communicator_ == nullptr)
      return;
    // With an error under way other ranks may never answer: what is in the queue must not be waited for.
    if (std::uncaught_exceptions() > 0)
      library().abort(communicator_);
    else
      library().destroy(communicator_);
  }

  std::string name() const override { return "NCCL " + library().number_text(); }

  void open() override {
    ncclUniqueId id{};
    if (ranks_.root())
      require(library().unique_id(&id), "address of the first rank");
    std::string text(id.internal, sizeof id.internal);
    ranks_.broadcast(text);
    text.copy(id.internal, sizeof id.internal);
    {
      const Ranks::Meeting meeting(ranks_);
      require(library().init(&communicator_, ranks_.size(), id, ranks_.rank()), "start");
    }
    greet();
  }

  void after_kernels() override { queue_.after_kernels(); }
  void before_kernels() override { queue_.before_kernels(); }
  void add(float* into, const float* from, std::int64_t n) override { queue_.add(into, from, n); }
  void copy(float* to, const float* from, std::int64_t n) override { queue_.copy(to, from, n); }

  void exchange(const std::vector<Message>& messages) override {
    if (messages.empty())
      return;
    const auto stream = static_cast<cudaStream_t>(queue_.stream());
    require(library().group_start(), "begin of a set of messages");
    for (const Message& m : messages) {
      const auto count = static_cast<std::size_t>(m.count);
      if (m.receive)
        require(library().receive(m.receive, count, ncclFloat, m.peer, communicator_, stream), "receive");
      else
        require(library().send(m.send, count, ncclFloat, m.peer, communicator_, stream), "send");
    }
    require(library().group_end(), "set of messages");
  }

  void settle() override {
    const Ranks::Meeting meeting(ranks_);
    while (!queue_.done()) {
      ncclResult_t state = ncclSuccess;
      require(library().async_error(communicator_, &state), "state");
      if (state != ncclInProgress)
        require(state, "a rank or a link is lost");
      std::this_thread::yield();
    }
  }

  double waited_seconds() override { return queue_.waited_seconds(); }

 private:
  void require(ncclResult_t result, const char* what) {
    if (result == ncclSuccess)
      return;
    const std::string text = library().text(result);
    if (communicator_ != nullptr)
      library().abort(std::exchange(communicator_, nullptr));
    throw Error(exit_failure, fmt::format("NCCL: {}: {}; NCCL_DEBUG=WARN tells more, and parallel.transport = \"mpi\" "
                                          "does without NCCL",
                                          what, text));
  }

  /// Every rank sends a number to every rank: connections are made now, not in the first step, and one that does not
  /// work is told here.
  void greet() {
    const auto n = static_cast<std::size_t>(ranks_.size());
    const auto said = [&](int from, int to) { return static_cast<float>(from * ranks_.size() + to + 1); };
    std::vector<float> out(n), in(n, 0.0f);
    for (int r = 0; r < ranks_.size(); ++r)
      out[static_cast<std::size_t>(r)] = said(ranks_.rank(), r);
    Buffer<float> sent(ranks_.size(), "greetings"), got(ranks_.size(), "greetings");
    copy_to_device(sent.data(), out.data(), sent.bytes());
    copy_to_device(got.data(), in.data(), got.bytes());
    std::vector<Message> messages;
    for (int r = 0; r < ranks_.size(); ++r) {
      messages.push_back({.peer = r, .send = sent.data() + r, .count = 1});
      messages.push_back({.peer = r, .receive = got.data() + r, .count = 1});
    }
    after_kernels();
    exchange(messages);
    before_kernels();
    settle();
    copy_to_host(in.data(), got.data(), got.bytes());
    for (int r = 0; r < ranks_.size(); ++r)
      if (in[static_cast<std::size_t>(r)] != said(r, ranks_.rank()))
        throw Error(exit_failure,
                    fmt::format("NCCL: rank {} sent {} to rank {} and {} arrived; take "
                                "parallel.transport = \"mpi\", and tell the machine's administrator",
                                r, said(r, ranks_.rank()), ranks_.rank(), in[static_cast<std::size_t>(r)]));
  }

  const Ranks& ranks_;
  SideStream queue_;
  ncclComm_t communicator_ = nullptr;
};

} // namespace

std::string nccl_problem() { return library().problem; }

std::unique_ptr<Carrier> nccl_carrier(const Ranks& ranks) {
  if (!library().problem.empty())
    throw Error(exit_failure, "no NCCL: " + library().problem);
  return std::make_unique<NcclCarrier>(ranks);
}

} // namespace weft

#endif
