// Which instruction set "best" means.
#include "kernels/common/isa.hpp"
#include <gtest/gtest.h>

using namespace weft;

TEST(IsaChoice, IntelConvertsBf16UnlessTilesMultiplyIt) {
  const Processor zen5{Isa::avx512_bf16, false, false}, xeon{Isa::avx512_bf16, true, false},
      with_tiles{Isa::avx512_bf16, true, true}, older{Isa::avx512, true, false}, epyc{Isa::avx2, false, false};
  EXPECT_EQ(best_for_attention(zen5), Isa::avx512_bf16);
  EXPECT_EQ(best_for_products(zen5), Isa::avx512_bf16);
  EXPECT_EQ(best_for_attention(xeon), Isa::avx512);
  EXPECT_EQ(best_for_products(xeon), Isa::avx512);
  EXPECT_EQ(best_for_attention(with_tiles), Isa::avx512); // no kernel of ours uses them
  EXPECT_EQ(best_for_products(with_tiles), Isa::avx512_bf16);
  EXPECT_EQ(best_for_attention(older), Isa::avx512);
  EXPECT_EQ(best_for_products(epyc), Isa::avx2);
}

TEST(IsaChoice, TheBestIsWithinWhatTheProcessorHas) {
  const Processor it = this_processor();
  EXPECT_EQ(it.most, processor_isa());
  EXPECT_LE(best_for_attention(it), it.most);
  EXPECT_LE(best_for_products(it), it.most);
  EXPECT_EQ(attention_isa(), best_for_attention(it));
  EXPECT_EQ(product_isa(), best_for_products(it));
  choose_isa("best");
  EXPECT_EQ(attention_isa(), best_for_attention(it));
}

TEST(IsaChoice, OneByNameHoldsForBothAndAnotherOneIsTooLate) {
  choose_isa("best");
  EXPECT_THROW(choose_isa("avx2"), std::logic_error); // "best" is in use
  EXPECT_NO_THROW(choose_isa("best"));
}
