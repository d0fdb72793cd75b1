// Promise: a decoder takes one thread where that is faster, and all threads where those are, and notices a change.
#include "kernels/common/alone.hpp"
#include "model/sampling/thread_choice.hpp"
#include <gtest/gtest.h>

using namespace weft;

namespace {

/// How many of `steps` ran alone where a step takes so long.
int alone_of(ThreadChoice& choice, int steps, double alone, double together) {
  int count = 0;
  for (int i = 0; i < steps; ++i) {
    count += choice.alone() ? 1 : 0;
    choice.took(choice.alone() ? alone : together);
  }
  return count;
}

TEST(ThreadChoice, TakesTheFasterWay) {
  ThreadChoice idle(2), busy(2);
  EXPECT_LE(alone_of(idle, 2000, 2, 1), ThreadChoice::trial);
  EXPECT_GE(alone_of(busy, 2000, 1, 5), 2000 - ThreadChoice::trial - 1);
}

TEST(ThreadChoice, NoticesThatTheMachineHasChanged) {
  ThreadChoice choice(2);
  alone_of(choice, 3000, 2, 1);
  alone_of(choice, 5000, 1, 5);
  EXPECT_GE(alone_of(choice, 4000, 1, 5), 4000 - 3 * ThreadChoice::trial);
  alone_of(choice, 5000, 2, 1);
  EXPECT_LE(alone_of(choice, 4000, 2, 1), 3 * ThreadChoice::trial);
}

TEST(ThreadChoice, TheFirstStepDoesNotCount) {
  ThreadChoice choice(2);
  choice.took(1000); // memory
  EXPECT_LE(alone_of(choice, 300, 2, 1), ThreadChoice::trial);
}

TEST(ThreadChoice, OfOneThreadThereIsNothingToChoose) {
  ThreadChoice choice(1);
  EXPECT_EQ(alone_of(choice, 2000, 1, 5), 0);
}

TEST(Alone, LastsAsLongAsItLives) {
  {
    const Alone alone(true);
    EXPECT_TRUE(detail::runs_alone);
    {
      const Alone together(false);
      EXPECT_FALSE(detail::runs_alone);
    }
    EXPECT_TRUE(detail::runs_alone);
  }
  EXPECT_FALSE(detail::runs_alone);
}

} // namespace
