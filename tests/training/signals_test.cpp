// Stop requests may come at any moment, also in the middle of a matrix product.
#include "kernels/common/memory.hpp"
#include "kernels/gemm/gemm.hpp"
#include "training/signals.hpp"
#include <chrono>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace weft;

/// A process that sends `signal` to this one, over and over, for as long as the object lives.
class Hammer {
 public:
  explicit Hammer(int signal) : pid_(fork()) {
    if (pid_ != 0)
      return;
    for (const pid_t target = getppid(); getppid() == target; usleep(50))
      kill(target, signal);
    _exit(0);
  }
  ~Hammer() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

int wait_for_signal() {
  for (int i = 0; i < 500 && stop_signal() == 0; ++i)
    usleep(10'000);
  return stop_signal();
}

TEST(StopSignals, LeaveANoteOfTheFirst) {
  const StopSignals signals;
  EXPECT_EQ(stop_signal(), 0);
  kill(getpid(), SIGUSR1);
  EXPECT_EQ(wait_for_signal(), SIGUSR1);
  kill(getpid(), SIGTERM);
  usleep(200'000);
  EXPECT_EQ(stop_signal(), SIGUSR1);
}

TEST(StopSignals, ThatComeWhenTheRunIsOverDoNotChangeHowTheProcessEnds) {
  EXPECT_EXIT(
      {
        { const StopSignals signals; }
        for (int signal : {SIGTERM, SIGUSR1, SIGUSR2})
          kill(getpid(), signal);
        usleep(20'000);
        _exit(75);
      },
      testing::ExitedWithCode(75), "");
}

TEST(StopSignals, ASecondInterruptEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        kill(getpid(), SIGINT);
        wait_for_signal();
        usleep(1'100'000); // within a second it would be the same decision
        kill(getpid(), SIGINT);
        sleep(10);
      },
      testing::KilledBySignal(SIGINT), "");
}

// With a handler in their place the heap breaks here within a second on processors with AVX2 but no AVX-512.
TEST(StopSignals, DoNotDisturbAMatrixProduct) {
  const StopSignals signals;
  const Hammer hammer(SIGUSR1);
  const LinearShape shape{2048, 192, 192};
  std::vector<float> x(2048 * 192, 0.5f), w(192 * 192, 0.25f), y(2048 * 192), dw(192 * 192);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < end) {
    linear_forward<float>(shape, y.data(), x.data(), w.data(), nullptr);
    linear_backward_weight<float>(shape, dw.data(), x.data(), y.data());
  }
  EXPECT_EQ(y[12345], 24.0f);
  EXPECT_EQ(dw[100], 2048 * 12.0f);
  EXPECT_EQ(stop_signal(), SIGUSR1);
}

} // namespace

/// In place of the common one: the threads that the runtime starts must have the signals blocked, as in the program.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const weft::Runtime runtime;
  return RUN_ALL_TESTS();
}
