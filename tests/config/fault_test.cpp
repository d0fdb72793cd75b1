#include "config/fault.hpp"
#include "io/error.hpp"
#include <gmock/gmock.h>

using namespace weft;

TEST(Fault, KindRankAndStep) {
  EXPECT_EQ(parse_fault("").kind, Fault::Kind::none);
  const Fault fault = parse_fault("kill:rank=1:step=7");
  EXPECT_EQ(fault.kind, Fault::Kind::kill);
  EXPECT_EQ(fault.rank, 1);
  EXPECT_EQ(fault.step, 7);
  EXPECT_EQ(parse_fault("enospc:step=3").rank, 0);
  EXPECT_EQ(parse_fault("throw:step=3:rank=2").rank, 2);
}

TEST(Fault, WrongTextIsRefusedWithTheForms) {
  for (const char* text : {"kill", "kill:", "kill:step=0", "kill:rank=1", "die:step=3", "kill:step=x", "kill:step=-1",
                           "kill:step=3:", "kill:step=3:step=4", "kill:rank=1:rank=2:step=3", "kill:host=1:step=3",
                           "kill:step=99999999999999999999", ":step=3", " "})
    try {
      parse_fault(text);
      ADD_FAILURE() << text;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("\"kill:rank=1:step=7\"")) << text;
      EXPECT_THAT(error.what(), testing::HasSubstr("write_error")) << text;
    }
}
