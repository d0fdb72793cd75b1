// Training and evaluation of classes: what a step's loss and gradient are means of, who may watch it, what an
// evaluation counts, and which evaluation is the best.
#include "tasks/classify.hpp"
#include "tasks/pairs.hpp"
#include "tests/tasks/folders.hpp"
#include "tests/training/bag_model.hpp"
#include "training/best.hpp"
#include "training/evaluation.hpp"
#include "training/step.hpp"
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

using namespace weft;
using namespace weft::test;

namespace {

constexpr std::int64_t N = 200, classes = 3;

const Ranks& one_rank() {
  static const Ranks ranks(nullptr, nullptr); // MPI starts once in a process
  return ranks;
}

/// Row r of class r mod 3: 20 + 3 r tokens, of which every one tells the class.
std::int32_t fill(std::int64_t r, int, std::uint16_t* tokens) {
  const auto length = static_cast<std::int32_t>(std::min<std::int64_t>(20 + 3 * r, N));
  for (std::int64_t i = 0; i < N; ++i)
    tokens[i] = static_cast<std::uint16_t>(i < length ? 1 + r % classes + classes * ((r + i) % 5) : 0);
  return length;
}
std::int32_t label(std::int64_t r) { return static_cast<std::int32_t>(r % classes); }

Config small(const std::string& folder) {
  Config c;
  c.data.path = folder;
  c.model.context = N;
  c.model.vocabulary = 16;
  c.training.batch = 12;
  c.training.micro_batch = 4;
  c.training.steps = 1000;
  c.optimizer.learning_rate = 0.3;
  c.optimizer.weight_decay = 0;
  c.schedule.kind = "constant";
  return c;
}

/// 60 rows, a model, and its steps.
struct Setting {
  explicit Setting(bool variable = true) {
    folder.split("train", 60, N, false, fill, label, 16);
    config = small(folder.path);
    task = std::make_unique<Classify>(folder.path, "train", N, KeyBits::by_length);
    model = std::make_unique<BagModel>(config, classes, 1, variable);
    state = std::make_unique<TrainingState>(initial_state(config, model->parameters(), 0, 1));
    model->use_weights(state->weights.data());
    step = std::make_unique<Step>(config, one_rank(), *model, *task, run_length(config, *task), *state);
    step->open();
  }
  LabelledFolder folder;
  Config config;
  std::unique_ptr<Classify> task;
  std::unique_ptr<BagModel> model;
  std::unique_ptr<TrainingState> state;
  std::unique_ptr<Step> step;
};

TEST(Step, TheLossIsTheMeanOverTheExamplesAndLearningThemAllIsSeenAsSuch) {
  Setting s;
  const StepResult first = s.step->take();
  EXPECT_EQ(first.end, StepResult::End::taken);
  EXPECT_NEAR(first.loss, std::log(3.0), 1e-6); // zero weights: uniform guesses
  EXPECT_EQ(s.state->step, 1);
  EXPECT_EQ(s.state->samples, 12);
  EXPECT_DOUBLE_EQ(s.state->epoch, 0.2);
  StepResult last;
  for (int i = 0; i < 60; ++i)
    last = s.step->take();
  EXPECT_EQ(last.accuracy, 1);
  EXPECT_LT(last.loss, 0.2);
}

TEST(Step, TheGradientIsThatOfTheMeanWhateverTheMicroBatch) {
  std::vector<double> norms;
  for (const std::int64_t micro : {1, 3, 12}) {
    Setting s;
    s.config.training.micro_batch = micro;
    BagModel model(s.config, classes);
    TrainingState state = initial_state(s.config, model.parameters(), 0, 1);
    model.use_weights(state.weights.data());
    Step step(s.config, one_rank(), model, *s.task, run_length(s.config, *s.task), state);
    step.open();
    norms.push_back(step.take().norm);
  }
  EXPECT_GT(norms[0], 1e-3);
  EXPECT_NEAR(norms[1], norms[0], 1e-6);
  EXPECT_NEAR(norms[2], norms[0], 1e-6);
}

/// Adam's first step is a learning rate long, whatever the gradient.
TEST(Step, ARecurrenceHasALearningRateOfItsOwn) {
  const auto moved = [](bool recurrent) {
    Setting s;
    s.config.optimizer.state_rate = 0.25;
    BagModel model(s.config, classes, 1, true, recurrent);
    TrainingState state = initial_state(s.config, model.parameters(), 0, 1);
    model.use_weights(state.weights.data());
    Step step(s.config, one_rank(), model, *s.task, run_length(s.config, *s.task), state);
    step.open();
    step.take();
    double most = 0;
    for (std::int64_t i = 0; i < model.parameters().extent(); ++i)
      most = std::max(most, std::abs(static_cast<double>(state.weights.data()[i])));
    return most;
  };
  EXPECT_NEAR(moved(false), 0.3, 1e-4);
  EXPECT_NEAR(moved(true), 0.25 * 0.3, 1e-4);
}

TEST(Step, MicroBatchesAreAsShortAsTheirRowsWhereTheModelTakesThem) {
  Setting variable(true), fixed(false);
  const StepResult a = variable.step->take(), b = fixed.step->take();
  EXPECT_EQ(a.loss, b.loss); // the padding has no part in it
  EXPECT_EQ(a.norm, b.norm);
  EXPECT_EQ(*std::max_element(fixed.model->lengths.begin(), fixed.model->lengths.end()), N);
  std::int64_t shorter = 0;
  for (int i = 0; i < 4; ++i)
    variable.step->take();
  for (const std::int64_t length : variable.model->lengths) {
    EXPECT_TRUE(length % 64 == 0 || length == N) << length;
    shorter += length < N;
  }
  EXPECT_GT(shorter, 0);
}

/// Writes down what it is told.
struct Witness : StepObserver {
  std::string told;
  bool leaves = false, spoils = false;
  void begin(std::int64_t step) override { told += "begin " + std::to_string(step) + " "; }
  bool leave() override {
    told += "leave? ";
    return leaves;
  }
  void micro_batch() override { told += "micro "; }
  void batch(const Batch& batch) override { told += batch.first_sample % 4 == 0 ? "batch " : "odd "; }
  void backward(float* gradient) override {
    told += "backward ";
    const float bad = std::numeric_limits<float>::quiet_NaN();
    if (spoils)
      copy_to_device(gradient, &bad, sizeof bad);
  }
  void gradient(const float*) override { told += "sum"; }
};

TEST(Step, ObserversAreToldInTheOrderOfTheWork) {
  Setting s;
  Witness witness;
  s.step->take({&witness});
  EXPECT_EQ(witness.told, "begin 1 micro batch backward leave? micro batch backward leave? micro batch backward sum");
}

TEST(Step, ALeftStepChangesNothing) {
  Setting s;
  s.step->take();
  const std::vector<float> before(s.state->weights.data(), s.state->weights.data() + s.state->weights.size());
  Witness witness;
  witness.leaves = true;
  EXPECT_EQ(s.step->take({&witness}).end, StepResult::End::left);
  EXPECT_EQ(s.state->step, 1);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), s.state->weights.data()));
}

TEST(Step, OneThatIsNotFiniteIsSkippedAndCounted) {
  Setting s;
  Witness witness;
  witness.spoils = true;
  for (int i = 1; i <= 2; ++i) {
    EXPECT_EQ(s.step->take({&witness}).end, StepResult::End::bad);
    EXPECT_EQ(s.state->skipped_in_row, i);
  }
  EXPECT_EQ(s.state->updates, 0);
  EXPECT_EQ(s.state->weights.data()[0], 0.0f);
  witness.spoils = false;
  EXPECT_EQ(s.step->take({&witness}).end, StepResult::End::taken);
  EXPECT_EQ(s.state->skipped_in_row, 0);
  EXPECT_EQ(s.state->skipped, 2);
}

/// What a model measures in a micro-batch is no gradient: neither the loss's scale, nor clipping, nor Adam acts on it.
TEST(Step, ARunningStatisticFollowsTheMeanOverTheMicroBatches) {
  double norm_without = 0;
  for (const char* precision : {"fp32", "fp16"}) {
    Setting s(false);
    s.config.run.precision = precision;
    s.config.optimizer.clip = 1e-3;
    s.config.optimizer.weight_decay = 0.5;
    s.config.optimizer.decay = "all";
    BagModel plain(s.config, classes, 1, false), model(s.config, classes, 1, false, false, 0.25);
    for (BagModel* one : {&plain, &model}) {
      TrainingState state = initial_state(s.config, one->parameters(), 0, 1);
      one->use_weights(state.weights.data());
      Step step(s.config, one_rank(), *one, *s.task, run_length(s.config, *s.task), state);
      step.open();
      const StepResult result = step.take();
      ASSERT_EQ(result.end, StepResult::End::taken);
      if (one == &plain) {
        norm_without = result.norm;
        continue;
      }
      EXPECT_EQ(result.norm, norm_without);
      EXPECT_FLOAT_EQ(state.weights.data()[0], 0.75f * 1 + 0.25f * 200);
      EXPECT_FLOAT_EQ(state.weights.data()[1], 0.75f * 1 + 0.25f * 4); // of 0, 4 and 8
      step.take();
      EXPECT_FLOAT_EQ(state.weights.data()[0], 0.75f * (0.75f + 50) + 50);
      for (int i = 0; i < 2; ++i)
        EXPECT_EQ(state.m.data()[i] + state.v.data()[i], 0);
      Witness spoiler;
      spoiler.spoils = true; // the first number of all, which is a statistic: it would not be finite ever again
      const std::vector<float> before(state.weights.data(), state.weights.data() + state.weights.size());
      EXPECT_EQ(step.take({&spoiler}).end,
                precision == std::string("fp16") ? StepResult::End::overflow : StepResult::End::bad);
      EXPECT_TRUE(std::equal(before.begin(), before.end(), state.weights.data()));
    }
  }
  BagModel model(small(""), classes, 1, false, false, 0.25);
  EXPECT_EQ(model.parameters().count(), 16 * classes);
  EXPECT_EQ(model.parameters().stored(), 16 * classes + 2);
}

/// A model that takes rows for the class of their first token, but class 2 for class 0.
void confuse(BagModel& model, Buffer<float>& weights) {
  std::vector<float> host(static_cast<std::size_t>(model.parameters().extent()), 0.0f);
  for (std::int64_t t = 1; t < 16; ++t) {
    const std::int64_t is = (t - 1) % classes, taken_for = is == 2 ? 0 : is;
    host[static_cast<std::size_t>(t * classes + taken_for)] = 9;
  }
  copy_to_device(weights.data(), host.data(), weights.bytes());
  model.use_weights(weights.data());
}

TEST(Evaluation, CountsChoicesByClassAndHitsByLength) {
  LabelledFolder folder;
  folder.split("train", 11, N, false, fill, label, 16);
  Config config = small(folder.path);
  const Classify task(folder.path, "train", N, KeyBits::by_length);
  for (const bool variable : {false, true}) {
    BagModel model(config, classes, 1, variable);
    Buffer<float> weights(model.parameters().extent(), "weights");
    confuse(model, weights);
    double share = 0;
    const Evaluation result = evaluate(model, task, config, one_rank(), 0, [&](double done) { share = done; });
    EXPECT_EQ(share, 1);
    EXPECT_EQ(result.scored, 11); // rows 0, 3, 6, 9 of class 0; 1, 4, 7, 10; 2, 5, 8
    EXPECT_DOUBLE_EQ(result.accuracy, 8.0 / 11);
    EXPECT_EQ(result.classes, classes);
    EXPECT_EQ(result.confusion, (std::vector<std::int64_t>{4, 0, 0, 0, 4, 0, 3, 0, 0}));
    EXPECT_TRUE(result.loss_at.empty());
    ASSERT_EQ(result.by_length.size(), 11u);
    for (std::int64_t r = 0; r < 11; ++r) {
      const Evaluation::OfLength& of = result.by_length[static_cast<std::size_t>(r)];
      EXPECT_EQ(of.length, 20 + 3 * r);
      EXPECT_EQ(of.count, 1);
      EXPECT_EQ(of.hits, r % 3 == 2 ? 0 : 1);
    }
    EXPECT_EQ(scores_text(result).find("accuracy 72.73 %, loss "), 0u) << scores_text(result);
    EXPECT_EQ(scores_text(result).find("bits"), std::string::npos);
  }
  config.evaluation.max_windows = 2;
  BagModel model(config, classes);
  Buffer<float> weights(model.parameters().extent(), "weights");
  confuse(model, weights);
  EXPECT_EQ(evaluate(model, task, config, one_rank(), 0).accuracy, 1);
}

TEST(Evaluation, APairIsOneExampleOfTwoDocuments) {
  LabelledFolder folder;
  // The first document says nothing, the second one the class.
  const auto second = [](std::int64_t r, int document, std::uint16_t* tokens) {
    std::fill(tokens, tokens + N, std::uint16_t{0});
    tokens[0] = static_cast<std::uint16_t>(document == 0 ? 4 : 1 + r % 2);
    return static_cast<std::int32_t>(1);
  };
  folder.split(
      "train", 10, N, true, second, [](std::int64_t r) { return static_cast<std::int32_t>(r % 2); }, 16);
  const Config config = small(folder.path);
  const Pairs task(folder.path, "train", N, KeyBits::by_length);
  BagModel model(config, 2, 2);
  std::vector<float> host(static_cast<std::size_t>(model.parameters().extent()), 0.0f);
  host[1 * 2 + 0] = host[2 * 2 + 1] = 5;
  Buffer<float> weights(model.parameters().extent(), "weights");
  copy_to_device(weights.data(), host.data(), weights.bytes());
  model.use_weights(weights.data());
  const Evaluation result = evaluate(model, task, config, one_rank(), 0);
  EXPECT_EQ(result.scored, 10);
  EXPECT_EQ(result.accuracy, 1);
  EXPECT_EQ(result.confusion, (std::vector<std::int64_t>{5, 0, 0, 5}));
  EXPECT_EQ(model.lengths.front(), 64);
}

Evaluation found(double loss, double accuracy) {
  Evaluation it;
  it.loss = loss;
  it.accuracy = accuracy;
  return it;
}

TEST(Best, IsTheLowestLossOrTheHighestAccuracyAsAskedFor) {
  Setting by_loss, by_accuracy;
  const auto note = [](Setting& s, const std::string& by, double loss, double accuracy) {
    return note_best(found(loss, accuracy), *s.state, by, 2);
  };
  EXPECT_TRUE(note(by_loss, "loss", 1.0, 0.5));
  EXPECT_FALSE(note(by_loss, "loss", 1.1, 0.9));
  EXPECT_TRUE(note(by_loss, "loss", 0.9, 0.1));
  EXPECT_FALSE(by_loss.state->stopped_early);
  EXPECT_TRUE(note(by_accuracy, "accuracy", 1.0, 0.0));
  EXPECT_TRUE(note(by_accuracy, "accuracy", 1.1, 0.5));
  EXPECT_FALSE(note(by_accuracy, "accuracy", 0.9, 0.5)); // equal is not better
  EXPECT_FALSE(by_accuracy.state->stopped_early);
  EXPECT_FALSE(note(by_accuracy, "accuracy", 0.8, 0.4));
  EXPECT_TRUE(by_accuracy.state->stopped_early);
  EXPECT_EQ(by_accuracy.state->best_valid_accuracy, 0.5);
  EXPECT_EQ(by_accuracy.state->best_valid_loss, 1.1); // of that evaluation
  EXPECT_FALSE(note(by_loss, "loss", std::numeric_limits<double>::quiet_NaN(), 0.2));
}

} // namespace
