// The main program of every test executable: the kernels' runtime lives as long as the tests.
#include "kernels/common/memory.hpp"
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const weft::Runtime runtime;
  return RUN_ALL_TESTS();
}
