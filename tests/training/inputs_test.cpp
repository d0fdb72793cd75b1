// Promise: every input file that is shipped is right, and the rows of published tables have the published sizes and fit
// the memory they are promised to fit; those of the Long Range Arena have the sizes of the released settings.
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

TEST(Inputs, ArenaModelsHaveTheSizesOfTheReleasedSettings) {
  if (!fs::exists(inputs()))
    GTEST_SKIP() << "no folder " << inputs() << "; set WEFT_SOURCE to the project";
  struct Released {
    const char* task;
    std::int64_t parameters, layers, batch, steps;
    const char *schedule, *pooling;
  };
  for (const Released& row : {Released{"listops", 8'948'746, 4, 32, 5000, "rsqrt", "cls"},
                              Released{"text", 3'486'722, 4, 32, 20000, "rsqrt", "cls"},
                              Released{"retrieval", 1'087'618, 4, 32, 5000, "rsqrt", "cls"},
                              Released{"image", 248'458, 1, 256, 35000, "cosine", "cls"},
                              Released{"pathfinder", 26'530, 4, 512, 62400, "cosine", "mean_all"},
                              Released{"pathx", 537'954, 1, 64, 500000, "cosine", "mean_all"}}) {
    const std::string file = inputs() + "/lra/" + row.task + "/transformer.toml";
    const Config config = load_config(file, {}, DataCheck::skipped).config;
    EXPECT_EQ(make_model(config)->parameters().count(), row.parameters) << row.task;
    EXPECT_EQ(config.model.layers, row.layers) << row.task;
    EXPECT_EQ(config.training.batch, row.batch) << row.task;
    EXPECT_EQ(config.training.steps, row.steps) << row.task;
    EXPECT_EQ(config.schedule.kind, row.schedule) << row.task;
    EXPECT_EQ(config.schedule.cycle_steps, row.schedule == std::string("cosine") ? row.steps : 0) << row.task;
    EXPECT_EQ(config.model.pooling, row.pooling) << row.task;
    EXPECT_EQ(config.attention.form, "lra") << row.task;
    EXPECT_EQ(config.optimizer.decay, "all") << row.task;
    EXPECT_EQ(config.optimizer.beta2, 0.98) << row.task;
    EXPECT_EQ(config.optimizer.epsilon, 1e-9) << row.task;
  }
}

// The Nystromformer's small setting: torch's one-cycle schedule, and parameters counted by its own formula but that its
// positions are as many as its padded rows have.
TEST(Inputs, TheSmallSettingIsThatOfItsCode) {
  if (!fs::exists(inputs()))
    GTEST_SKIP() << "no folder " << inputs() << "; set WEFT_SOURCE to the project";
  const auto load = [](const std::string& file) {
    return load_config(inputs() + "/lra_small/" + file + ".toml", {}, DataCheck::skipped).config;
  };
  const auto count = [](const Config& config) { return make_model(config)->parameters().count(); };
  constexpr std::int64_t D = 64, F = 128, map = D * D + D, layer = 4 * map + 2 * 2 * D + 2 * D * F + D + F;
  struct Setting {
    const char* task;
    std::int64_t classes, warmup, steps, batch, buckets;
  };
  for (const Setting& s : {Setting{"listops", 10, 1000, 5000, 32, 64}, Setting{"text", 2, 8000, 20000, 32, 128},
                           Setting{"retrieval", 2, 800, 30000, 32, 128}, Setting{"image", 10, 175, 35000, 256, 32},
                           Setting{"pathfinder", 2, 312, 62400, 256, 32}}) {
    const std::string task = s.task;
    const Config c = load(task + "/transformer");
    const std::int64_t features = task == "retrieval" ? 4 * D : D;
    const std::int64_t head = features * F + F + F * s.classes + s.classes;
    const std::int64_t rows = c.model.vocabulary + c.model.context, whole = rows * D + 2 * layer + 2 * D + head;
    EXPECT_EQ(count(c), whole) << task;
    EXPECT_EQ(c.schedule.kind, "linear");
    EXPECT_EQ(c.schedule.warmup_steps, s.warmup) << task;
    EXPECT_EQ(c.schedule.initial_factor, 1.0 / 25);
    EXPECT_EQ(c.schedule.final_factor, 4e-6);
    EXPECT_EQ(c.training.steps, s.steps) << task;
    EXPECT_EQ(c.training.batch, s.batch) << task;
    EXPECT_EQ(count(load(task + "/linear")), whole) << task;
    EXPECT_EQ(count(load(task + "/performer")), whole) << task;
    EXPECT_EQ(count(load(task + "/linformer")), whole + 2 * 256 * c.model.context) << task;
    EXPECT_EQ(count(load(task + "/reformer")), whole - 2 * (D * D + 3 * D)) << task << ": no keys, no biases there";
    EXPECT_EQ(load(task + "/reformer").attention.buckets, std::vector<std::int64_t>{s.buckets}) << task;
    for (const char* model : {"base", "linear", "linformer", "performer", "reformer"}) {
      EXPECT_EQ(load(task + "/" + model).model.code, "nystromformer") << task << " " << model;
      EXPECT_EQ(load(task + "/" + model).run.name, "lra_small_" + task + "_" + model);
    }
  }
}

// The rule of the arena: a model may have a tenth more parameters than the task's Transformer. Local attention has no
// weights of its own; where its released setting is another one (Image, Pathfinder), it says so itself.
TEST(Inputs, LocalAttentionOfTheArenaAddsNoParameters) {
  if (!fs::exists(inputs()))
    GTEST_SKIP() << "no folder " << inputs() << "; set WEFT_SOURCE to the project";
  const auto count = [](const std::string& file) {
    return make_model(load_config(inputs() + "/lra/" + file, {}, DataCheck::skipped).config)->parameters().count();
  };
  for (const std::string task : {"listops", "text", "retrieval", "pathx"})
    EXPECT_EQ(count(task + "/local.toml"), count(task + "/transformer.toml")) << task;
  EXPECT_EQ(count("image/local.toml"), 248'202); // no CLS vector and no position for it
  EXPECT_EQ(count("pathfinder/local.toml"), 54'338);
}
