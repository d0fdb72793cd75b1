// What `weft eval` tells of classes: shares, the confusion matrix, accuracy by length.
#include "commands/class_tables.hpp"
#include <gmock/gmock.h>

using namespace weft;
using testing::HasSubstr;
using testing::Not;

namespace {

/// Of 8 examples: four of class 0, one taken for class 1; four of class 1, two taken for class 0; none of class 2.
Evaluation example() {
  Evaluation r;
  r.classes = 3;
  r.scored = 8;
  r.confusion = {3, 1, 0, 2, 2, 0, 0, 0, 0};
  r.by_length = {{1, 2, 1}, {3, 1, 1}, {64, 4, 3}, {100, 1, 0}};
  return r;
}

TEST(ClassTable, TellsSharesOfExamplesAndChoicesAndWhatWasFound) {
  const std::string text = class_table(example());
  EXPECT_THAT(text, HasSubstr("0   50.0 %   62.5 %   75.0 %\n"));
  EXPECT_THAT(text, HasSubstr("1   50.0 %   37.5 %   50.0 %\n"));
  EXPECT_THAT(text, HasSubstr("2    0.0 %    0.0 %    0.0 %\n"));
  EXPECT_THAT(text, HasSubstr("  class  0 1 2\n      0  3 1 0\n      1  2 2 0\n      2  0 0 0\n"));
}

TEST(ClassTable, LeavesOutAMatrixThatNobodyCouldRead) {
  Evaluation r;
  r.classes = 21;
  r.scored = 1;
  r.confusion.assign(21 * 21, 0);
  r.confusion[0] = 1;
  EXPECT_THAT(class_table(r), Not(HasSubstr("confusion")));
  EXPECT_THAT(class_table(r), HasSubstr("  20    0.0 %"));
}

TEST(ConfusionJson, IsAnArrayOfRows) { EXPECT_EQ(confusion_json(example()), "[[3, 1, 0], [2, 2, 0], [0, 0, 0]]"); }

TEST(ByLength, HasALineForEveryLengthThatOccurred) {
  EXPECT_EQ(by_length_csv(example()),
            "length,accuracy,count\n1,0.500000,2\n3,1.000000,1\n64,0.750000,4\n100,0.000000,1\n");
}

TEST(ByLength, TheTableHasRangesThatDouble) {
  EXPECT_EQ(by_length_table(example()), "accuracy by true length\n"
                                        "  1          50.00 %  of 2 examples\n"
                                        "  2 .. 3     100.00 %  of 1 examples\n"
                                        "  64 .. 127  60.00 %  of 5 examples\n");
}

} // namespace
