// What a test of a kernel begins with.
#pragma once
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;
