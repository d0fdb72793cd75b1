// Promise: every input file that is shipped is right, and the rows of published tables have the published sizes and fit
// the memory they are promised to fit.
#include "config/parse.hpp"
#include "config/validate.hpp"
#include "training/resources.hpp"
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

using namespace weft;
namespace fs = std::filesystem;

namespace {

std::string inputs() {
  const char* source = std::getenv("WEFT_SOURCE");
  return std::string(source == nullptr ? "." : source) + "/inputs";
}

struct Row {
  std::string file;
  std::int64_t parameters, context;
  double gib; ///< on one rank, a batch of 16
};

} // namespace

TEST(Inputs, EveryFileIsRight) {
  if (!fs::exists(inputs()))
    GTEST_SKIP() << "no folder " << inputs() << "; set WEFT_SOURCE to the project";
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(inputs()))
    if (entry.path().extension() == ".toml") {
      EXPECT_NO_THROW(load_config(entry.path().string(), {}, DataCheck::skipped)) << entry.path();
      ++files;
    }
  EXPECT_GE(files, 10);
}

TEST(Inputs, PublishedImageModelsHaveTheirSizes) {
  if (!fs::exists(inputs()))
    GTEST_SKIP() << "no folder " << inputs() << "; set WEFT_SOURCE to the project";
  for (const Row& row :
       {Row{"cifar10/dense.toml", 59'196'928, 3072, 6}, Row{"cifar10/fixed.toml", 59'196'928, 3072, 6},
        Row{"cifar10/strided.toml", 59'196'928, 3072, 6}, Row{"imagenet64/strided.toml", 151'645'184, 12288, 9}}) {
    const Config config = load_config(inputs() + "/" + row.file, {}, DataCheck::skipped).config;
    const std::unique_ptr<Model> model = make_model(config);
    EXPECT_EQ(model->parameters().count(), row.parameters) << row.file;
    EXPECT_EQ(config.model.context, row.context) << row.file;
    const auto bytes = static_cast<double>(plan_memory(config, *model, 1).total());
    EXPECT_LT(bytes, row.gib * 1e9) << row.file;
    EXPECT_GT(bytes, 16.0 * static_cast<double>(row.parameters)) << row.file; // weights, moments, gradient
  }
}
