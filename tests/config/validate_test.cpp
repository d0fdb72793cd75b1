// Promise: keys that do not fit together are told before anything is allocated, each rule by its own line.
#include "config/validate.hpp"
#include "io/shards.hpp"
#include <filesystem>
#include <gmock/gmock.h>
#include <unistd.h>

using namespace weft;
using testing::HasSubstr;

namespace {

std::string complaint(const std::vector<std::string>& overrides,
                      const std::string& text = "[training]\nsteps = 100\n") {
  try {
    load_config_text(text, "a.toml", overrides, DataCheck::skipped);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

struct Case {
  std::vector<std::string> overrides;
  std::string expected; ///< part of the complaint; empty: accepted
};

class Rules : public testing::TestWithParam<Case> {};

} // namespace

TEST_P(Rules, hold) {
  const Case& one = GetParam();
  const std::string got = complaint(one.overrides);
  if (one.expected.empty())
    EXPECT_EQ(got, "");
  else
    EXPECT_THAT(got, HasSubstr(one.expected));
}

INSTANTIATE_TEST_SUITE_P(
    Model, Rules,
    testing::Values(Case{{"model.width=250"}, "command line: model.width: got 8 heads for width 250"},
                    Case{{"model.heads=3"}, "command line: model.heads: got 3 heads for width 256"},
                    Case{{"model.half_size=true", "model.heads=256"}, "multiple of 512"},
                    Case{{"model.half_size=true", "model.heads=128"}, ""},
                    Case{{"model.heads=1", "model.width=512"}, "heads of width 512"},
                    Case{{"model.position_shape=[32,31]"},
                         "gives 992 positions, expected at least model.context = 1024"},
                    Case{{"model.position_shape=[32,32]"}, ""},
                    Case{{"model.position_shape=[4000000000,4000000000]"}, ""},
                    Case{{"model.position_shape=[4,4,4,4,4]"}, "got 5 coordinates"},
                    Case{{"evaluation.minimum_context=1024"}, "fewer than model.context = 1024"},
                    Case{{"run.name=a/b"}, "plain folder name"}, Case{{"run.name=.."}, "plain folder name"},
                    Case{{"run.name="}, "plain folder name"}, Case{{"run.directory="}, "empty path"}));

INSTANTIATE_TEST_SUITE_P(
    Lsh, Rules,
    testing::Values(
        Case{{"attention.pattern=lsh"}, ""}, Case{{"attention.pattern=lsh", "attention.buckets=[64]"}, ""},
        Case{{"attention.pattern=lsh", "attention.buckets=[1]"}, ""},
        Case{{"attention.pattern=lsh", "attention.buckets=[32,16]", "attention.rounds=8"}, ""},
        Case{{"attention.pattern=lsh", "attention.buckets=[7]"}, "got [7], expected even numbers"},
        Case{{"attention.pattern=lsh", "attention.buckets=[0]"}, "attention.buckets"},
        Case{{"attention.pattern=lsh", "attention.buckets=[2,2,2,2,2]"}, "got 5 factors, expected at most 4"},
        Case{{"attention.pattern=lsh", "attention.buckets=[4096,8192]"}, "33554432 buckets, expected at most"},
        Case{{"attention.pattern=lsh", "attention.rounds=0"}, "attention.rounds"},
        Case{{"attention.pattern=lsh", "attention.chunk=0"}, "attention.chunk"},
        Case{{"attention.pattern=lsh", "attention.rounds=256", "model.context=16777216",
              "model.position_shape=[4096,4096]"},
             "fewer than 2^31 places"},
        Case{{"attention.pattern=lsh", "attention.score=cosine"}, "attention.score"},
        Case{{"attention.pattern=lsh", "attention.stride=16", "model.position_shape=[32,32]"}, "nothing reads it"},
        Case{{"model.family=reformer", "model.positions=axial", "attention.pattern=lsh", "attention.stride=16"},
             "attention.stride: is set and nothing reads it"},
        Case{{"model.family=reformer", "model.positions=axial", "attention.pattern=lsh"}, ""},
        Case{{"attention.pattern=fixed", "attention.rounds=4"}, "attention.rounds: is set and nothing reads it"},
        Case{{"attention.pattern=dense", "attention.score=raw"}, "attention.score: is set and nothing reads it"},
        Case{{"attention.pattern=dense", "attention.score=raw", "attention.shared_qk=true"}, ""},
        Case{{"attention.pattern=local", "attention.shared_qk=true"}, "attention.shared_qk: is set and nothing reads"},
        Case{{"attention.pattern=lsh", "attention.form=lra", "attention.rounds=4", "model.family=arena",
              "data.task=classify", "model.positions=sinusoid"},
             "attention.rounds: is set and nothing reads it"}));

INSTANTIATE_TEST_SUITE_P(
    Attention, Rules,
    testing::Values(
        Case{{"attention.summary=129"}, "got 129 summary columns per block, expected at most attention.stride = 128"},
        Case{{"attention.summary=48"}, "expected a divisor of 128"},
        Case{{"attention.summary=48", "attention.shared_summary=true"}, ""},
        Case{{"attention.summary=48", "attention.pattern=strided"},
             "command line: attention.summary: is set and nothing reads it: attention.pattern = \"strided\" reads "
             "stride, "
             "window; expected pattern fixed or sparse, or summary = 32"},
        Case{{"attention.stride=2048"}, "expected at most model.context = 1024"},
        Case{{"attention.pattern=block_bidirectional"}, "attention.allow_leak = true"},
        Case{{"attention.pattern=block_bidirectional", "attention.allow_leak=true"}, ""},
        Case{{"attention.window=4"}, "expected pattern local or strided or longformer, or window = 0"},
        Case{{"attention.window=129", "attention.pattern=strided"}, "expected at most attention.stride = 128"},
        Case{{"attention.window=4", "attention.pattern=strided"}, ""},
        Case{{"attention.stride=2048", "attention.pattern=dense"}, ""}, Case{{"attention.combination=interleaved"}, ""},
        Case{{"attention.combination=heads"}, ""},
        Case{{"attention.combination=['block','merged','dense','summary']"}, ""},
        Case{{"attention.combination=['block','strided']"}, "got \"strided\" for pattern \"fixed\""},
        Case{{"attention.combination=['block','heads']"}, "got \"heads\" in a list"},
        Case{{"attention.combination=merge"}, "did you mean merged?"},
        Case{{"attention.pattern=strided", "attention.combination=['strided','local','local','local']"}, ""},
        Case{{"attention.pattern=strided", "attention.combination=summary"}, "for pattern \"strided\""},
        Case{{"attention.pattern=dense", "attention.combination=interleaved"}, "one set only"},
        Case{{"attention.pattern=local"}, ""}));

const char *const arena = "model.family=arena", *const classify = "data.task=classify",
                  *const learned = "model.positions=learned", *const whole = "attention.pattern=dense",
                  *const lstm = "model.family=bilstm", *const weighted = "model.pooling=attention";

const char* const second_code = "model.code=nystromformer";

INSTANTIATE_TEST_SUITE_P(
    SecondCode, Rules,
    testing::Values(Case{{second_code}, "model.code: is set and nothing reads it"},
                    Case{{arena, classify, learned, whole, second_code, "model.pooling=mean"}, ""},
                    Case{{arena, classify, learned, whole, second_code}, "got \"cls\" with model.code"},
                    Case{{arena, classify, learned, whole, second_code, "model.pooling=mean", "attention.form=lra"},
                         "which is another one, expected \"paper\""}));

const char *const mega = "model.family=mega", *const head = "model.heads=1", *const mean = "model.pooling=mean",
                  *const chunks = "attention.pattern=block_bidirectional";

INSTANTIATE_TEST_SUITE_P(
    Mega, Rules,
    testing::Values(
        Case{{mega, classify, head, mean, whole, "model.width=64"}, ""},
        Case{{mega, classify, head, mean, chunks, "attention.stride=64", "model.width=64"}, ""},
        Case{{mega, head, whole}, ""}, Case{{mega, head, "attention.pattern=chunk"}, ""},
        Case{{mega, head, chunks}, "got \"block_bidirectional\", expected \"dense\", or \"chunk\""},
        Case{{mega, head, whole, "data.task=copy"}, "cannot do, expected next_token or classify or pairs"},
        Case{{mega, head, whole, "model.stream=reversible"}, "expected pre_norm or post_norm"},
        Case{{mega, classify, head, mean, "attention.pattern=chunk", "model.stream=post_norm"}, ""},
        Case{{mega, classify, mean, whole}, "got 8 heads, expected 1"},
        Case{{mega, classify, head, whole}, "got \"cls\", expected mean, or attention"},
        Case{{mega, classify, head, "model.pooling=mean_all", whole}, "got \"mean_all\", expected mean"},
        Case{{mega, classify, head, mean, "attention.pattern=local"}, "got \"local\", expected \"dense\", or"},
        Case{{mega, classify, head, mean, "attention.pattern=linear"}, "got \"linear\", expected \"dense\", or"},
        Case{{mega, classify, head, mean, chunks, "attention.combination=dense"}, "layers of mega are alike"},
        Case{{mega, classify, head, mean, whole, "model.width=160"}, ""},
        Case{{mega, classify, head, mean, chunks, "model.context=60000"}, ""},
        Case{{mega, classify, head, mean, whole, "model.width=64", "model.context=20000"}, ""},
        Case{{mega, classify, head, mean, whole, "model.norm=scale", "model.width=64"}, ""},
        Case{{mega, classify, head, mean, whole, "model.norm=batch", "model.width=64"}, ""},
        Case{{mega, head, whole, "model.norm=batch"}, "would see later tokens in the statistics of its training"},
        Case{{mega, classify, head, mean, whole, "model.norm=group"}, "expected one of layer, scale, rms, batch"},
        Case{{mega, classify, head, mean, whole, "attention.bias=rotary"}, ""},
        Case{{mega, classify, head, mean, whole, "attention.bias=rotary", "attention.shared_width=7"},
             "which turns its halves, expected an even number"},
        Case{{mega, classify, head, mean, whole, "attention.function=laplace", "model.context=20000"}, ""},
        Case{{mega, classify, head, mean, whole, "attention.function=gelu"}, "expected one of softmax, laplace, relu2"},
        Case{{mega, classify, head, mean, whole, "model.input=pixels", "model.pixel_mean=0.48"}, ""},
        Case{{mega, classify, head, mean, whole, "model.input=pixels", "model.vocabulary=300"},
             "expected at most the 256 grey values"},
        Case{{mega, classify, head, mean, whole, "model.pixel_mean=0.48"}, "model.pixel_mean: is set"},
        Case{{mega, head, whole, "model.input=pixels"}, "model.input: is set"},
        Case{{mega, classify, head, mean, whole, learned}, "model.positions: is set"},
        Case{{mega, classify, head, mean, whole, "attention.shared_qk=true"}, "attention.shared_qk: is set"},
        Case{{mega, classify, head, mean, whole, "model.recompute=block"}, "model.recompute: is set"},
        Case{{arena, classify, learned, whole, "attention.states=8"}, "expected model.family mega"}));

const char* const lru = "model.family=lru";

INSTANTIATE_TEST_SUITE_P(
    Lru, Rules,
    testing::Values(Case{{lru, classify, mean}, ""}, Case{{lru, "data.task=pairs", mean}, ""},
                    Case{{lru, classify, "model.pooling=attention", "model.stream=post_norm"}, ""},
                    Case{{lru, mean}, "cannot do, expected classify or pairs"},
                    Case{{lru, classify}, "got \"cls\", which model.family = \"lru\""},
                    Case{{lru, classify, "model.pooling=mean_all"}, "got \"mean_all\", which model.family"},
                    Case{{lru, classify, mean, "model.stream=reversible"}, "expected pre_norm or post_norm"},
                    Case{{lru, classify, mean, "model.r_min=0.9", "model.r_max=0.9"}, "expected an inner radius below"},
                    Case{{lru, classify, mean, "model.r_max=1.1"}, "model.r_max"},
                    Case{{lru, classify, mean, "model.phase_max=0"}, "model.phase_max"},
                    Case{{lru, classify, mean, whole}, "attention.pattern: is set"},
                    Case{{lru, classify, mean, "model.head_width=8"}, "model.head_width: is set"},
                    Case{{lru, classify, mean, "model.recompute=block"}, "model.recompute: is set"},
                    Case{{arena, classify, learned, whole, "model.state_width=8"},
                         "expected family bilstm or lru or s4d"}));

const char* const s4d = "model.family=s4d";

INSTANTIATE_TEST_SUITE_P(
    S4d, Rules,
    testing::Values(Case{{s4d, classify, mean, "optimizer.state_rate=0.1"}, ""},
                    Case{{s4d, classify, mean, "model.dt_min=1e-4", "model.dt_max=1e-4"}, ""},
                    Case{{s4d, classify, mean, "model.dt_min=0.2"}, "expected the least one first"},
                    Case{{s4d, classify, mean, "model.dt_min=0"}, "model.dt_min"},
                    Case{{s4d, mean}, "cannot do, expected classify or pairs"},
                    Case{{s4d, classify}, "got \"cls\", which model.family = \"s4d\""},
                    Case{{s4d, classify, mean, "model.stream=reversible"}, "which model.family = \"s4d\""},
                    Case{{s4d, classify, mean, "model.r_max=0.9"}, "model.r_max: is set"},
                    Case{{lru, classify, mean, "model.dt_max=0.2"}, "model.dt_max: is set"}));

INSTANTIATE_TEST_SUITE_P(
    Sinkhorn, Rules,
    testing::Values(
        Case{{"attention.pattern=sinkhorn"}, "expected a causal pattern, or attention.allow_leak = true"},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.stride=64"}, ""},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.stride=64", "attention.sort_cut=17"},
             ""}, // with a CLS vector there are 17 blocks
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.stride=64", "attention.sort_cut=18"},
             "got 18 sorted blocks, expected at most the 17"},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.temperature=0"},
             "expected a number > 0"},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.combination=heads"},
             "attention.combination: is set and nothing reads it"},
        Case{{arena, classify, learned, whole, "attention.iterations=5"}, "expected pattern sinkhorn"},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.form=lra"}, "expected mean_all"},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.form=lra", "model.pooling=mean_all"},
             ""},
        Case{{arena, "data.task=pairs", learned, "attention.pattern=sinkhorn", "attention.form=lra"}, ""},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.form=lra", "model.pooling=mean_all",
              "attention.stride=100"},
             "got blocks of 100 in a context of 1024, expected a divisor"},
        Case{{arena, classify, learned, "attention.pattern=sinkhorn", "attention.form=lra", "model.pooling=mean_all",
              "attention.iterations=5"},
             "attention.iterations: is set and nothing reads it"},
        Case{{arena, classify, learned, "attention.pattern=local", "attention.form=lra"}, ""},
        Case{{arena, classify, learned, "attention.pattern=local", "attention.form=lra",
              "attention.combination=['local','dense']"},
             "the released form of local runs in every layer"}));

INSTANTIATE_TEST_SUITE_P(
    Training, Rules,
    testing::Values(
        Case{{"training.steps=0"}, "training.steps = 0 and training.epochs = 0, expected exactly one"},
        Case{{"training.epochs=1"}, "exactly one of them"}, Case{{"training.steps=0", "training.epochs=0.5"}, ""},
        Case{{"training.micro_batch=3"}, "expected a divisor of training.batch = 16"},
        Case{{"schedule.warmup_steps=100"}, "fewer than training.steps = 100"}, Case{{"schedule.warmup_steps=99"}, ""},
        Case{{"schedule.step_milestones=[5]"}, "they belong to kind \"step\""},
        Case{{"schedule.kind=step"}, "without milestones"},
        Case{{"optimizer.loss_scale=1000"}, "got 1000, expected a power of two"},
        Case{{"optimizer.loss_scale=33554432"}, "expected a number in [1, 16777216]"},
        Case{{"run.precision=fp16", "optimizer.loss_scale=1024"}, ""},
        Case{{"schedule.kind=step", "schedule.step_milestones=[5,50]"}, ""},
        Case{{"schedule.kind=step", "schedule.step_every=5"}, ""},
        Case{{"schedule.kind=step", "schedule.step_every=5", "schedule.step_milestones=[5,50]"},
             "expected one of them"},
        Case{{"schedule.kind=step", "schedule.step_milestones=[50,5]"}, "expected rising numbers"},
        Case{{"schedule.kind=step", "schedule.step_milestones=[5,100]"}, "all below training.steps = 100"},
        Case{{"schedule.kind=one_cycle", "schedule.warmup_steps=5"}, "rises by itself"},
        Case{{"schedule.initial_factor=0.04", "schedule.warmup_steps=2"}, ""},
        Case{{"schedule.initial_factor=0.04", "schedule.warmup_steps=1"}, "expected two or more"},
        Case{{"schedule.initial_factor=0.04", "schedule.warmup_steps=2", "schedule.kind=rsqrt"}, "nothing reads it"},
        Case{{"schedule.initial_factor=0.04", "schedule.warmup_steps=2", "schedule.cycle_steps=9"}, "nothing reads it"},
        Case{{"schedule.cycle_steps=9"}, ""},
        Case{{"schedule.cycle_steps=9", "schedule.kind=linear"}, "schedule.cycle_steps: is set and nothing reads it"},
        Case{{"schedule.kind=rsqrt"}, "expected schedule.warmup_steps >= 1"},
        Case{{"schedule.kind=rsqrt", "schedule.warmup_steps=5"}, ""},
        Case{{"schedule.kind=rsqrt", "schedule.warmup_steps=8000"},
             ""}, // longer than the run, as released for Retrieval
        Case{{"schedule.step_factor=0.5"}, "schedule.kind = \"cosine\"; expected kind step, or step_factor = 0.1"},
        Case{{"optimizer.loss_scale=1024"}, "expected run.precision fp16, or loss_scale = 65536.0"}));

INSTANTIATE_TEST_SUITE_P(
    Lstm, Rules,
    testing::Values(
        Case{{lstm, classify, weighted}, ""}, Case{{lstm, "data.task=pairs", "model.pooling=mean"}, ""},
        Case{{lstm, classify, weighted, "model.state_width=256", "model.pooling_width=64"}, ""},
        Case{{lstm, weighted}, "cannot do, expected classify or pairs"},
        Case{{lstm, classify}, "model.pooling: got \"cls\", which model.family = \"bilstm\" does not have"},
        Case{{lstm, classify, "model.pooling=mean_all"}, "expected attention or mean"},
        Case{{lstm, classify, "model.pooling=mean", "model.pooling_width=64"}, "expected pooling attention"},
        Case{{lstm, classify, weighted, "model.layer_dropout=0.3"}, ""},
        Case{{lstm, classify, weighted, "model.layer_dropout=0.3", "model.layers=1"},
             "got 0.3 between the layers of an LSTM that has one"},
        Case{{lstm, classify, weighted, "model.heads=4"}, "model.heads: is set and nothing reads it"},
        Case{{lstm, classify, weighted, "model.head_width=4"}, "model.head_width: is set and nothing reads it"},
        Case{{lstm, classify, weighted, "model.recompute=block"}, "model.recompute: is set and nothing reads it"},
        Case{{lstm, classify, weighted, whole}, "attention.pattern: is set and nothing reads it"},
        Case{{arena, classify, learned, whole, "model.state_width=64"}, "expected family bilstm"},
        Case{{arena, classify, learned, whole, weighted, "model.pooling_width=64"}, ""},
        Case{{arena, classify, learned, whole, "model.layer_dropout=0.1"}, "expected family bilstm"}));

INSTANTIATE_TEST_SUITE_P(
    Families, Rules,
    testing::Values(
        Case{{arena, classify, learned, whole, "model.code=bert", "model.stream=post_norm", "model.head=pooler"}, ""},
        Case{{arena, classify, learned, whole, "model.code=bert"}, "got \"pre_norm\" with model.code = \"bert\""},
        Case{{arena, classify, learned, whole, "model.stream=post_norm", "model.recompute=block"},
             "model.recompute: is set and nothing reads it"},
        Case{{arena, classify, learned, whole, "model.code=bert", "model.stream=post_norm", "attention.form=lra"},
             "with model.code = \"bert\", which is another one"},
        Case{{arena, classify, learned, whole, "model.final_norm=false"}, ""},
        Case{{arena, classify, learned, whole, "model.stream=post_norm", "model.final_norm=false"},
             "model.final_norm: is set and nothing reads it"},
        Case{{arena, classify, learned, whole, "model.head=pooler", "model.head_width=8"}, "expected family arena"},
        Case{{arena, classify, learned, whole, "model.code=gpt2", "model.pooling=last"}, ""},
        Case{{arena, classify, learned, whole, "model.code=gpt2", "model.pooling=first"}, "expected last, or a mean"},
        Case{{arena, classify, learned, whole, "model.code=gpt2"}, "got \"cls\" with attention.pattern = \"dense\""},
        Case{{arena, classify, learned, "attention.pattern=bigbird", "model.code=gpt2", "model.pooling=last"},
             "has no causal form"},
        Case{{arena, classify, "model.positions=axial", whole, "model.stream=reversible", "model.pooling=first"}, ""},
        Case{{arena, classify, learned, whole, "data.fraction=0.1", "data.min_length=5", "data.max_length=9"}, ""},
        Case{{arena, classify, learned, whole, "data.min_length=9", "data.max_length=5"}, "got 9 to 5 tokens"},
        Case{{arena, classify, learned, whole, "data.fraction=0"}, "data.fraction: got 0"},
        Case{{"data.fraction=0.1"}, "data.fraction: is set and nothing reads it"},
        Case{{arena, classify, learned, whole, "loss.function=class_proximity", "loss.proximity=2"}, ""},
        Case{{arena, classify, learned, whole, "loss.proximity=2"}, "expected function class_proximity"},
        Case{{"loss.function=class_proximity"}, "loss.function: is set and nothing reads it"},
        Case{{arena, classify, learned, whole}, ""}, Case{{arena, "data.task=pairs", learned, whole}, ""},
        Case{{classify}, "data.task: got \"classify\", which model.family = \"sparse_transformer\" cannot do"},
        Case{{arena, learned, whole}, "cannot do, expected classify or pairs"},
        Case{{arena, classify, whole}, "(by default): model.positions: got \"grid\", which model.family = \"arena\""},
        Case{{learned},
             "model.family = \"sparse_transformer\"; expected family arena or reformer, or positions = \"grid\""},
        Case{{arena, classify, learned, whole, "model.half_size=true"}, "expected family sparse_transformer"},
        Case{{arena, classify, learned, whole, "attention.width=60"}, "got 8 heads for width 60"},
        Case{{arena, classify, learned, whole, "model.width=12", "attention.width=64"}, ""},
        Case{{arena, classify, learned, whole, "model.position_shape=[32,32]"}, "model.position_shape: is set"},
        Case{{arena, classify, learned, whole, "model.tied_embedding=true"}, "expected data.task next_token or copy"},
        Case{{arena, classify, learned, whole, "model.pair_features=four"}, "expected data.task pairs"},
        Case{{arena, classify, learned, "attention.pattern=local", "attention.stride=64"}, ""},
        Case{{arena, classify, learned, "attention.pattern=local", "attention.window=64"}, "expected window = 0"},
        Case{{arena, classify, learned, "attention.pattern=strided"}, "first row sees itself alone"},
        Case{{arena, classify, learned, "attention.pattern=strided", "model.pooling=mean"}, ""},
        Case{{arena, classify, learned, "attention.pattern=block_bidirectional"}, ""},
        Case{{arena, classify, learned, "attention.pattern=block_bidirectional", "attention.allow_leak=true"},
             "attention.allow_leak: is set and nothing reads it: data.task = \"classify\""},
        Case{{"attention.allow_leak=true"},
             "expected pattern block_bidirectional or linformer or bigbird or sinkhorn with data.task next_token"},
        Case{{"attention.pattern=linformer"},
             "got \"linformer\", which shows the model the bytes that it is to predict"},
        Case{{"attention.pattern=synthesizer"}, ""},
        Case{{arena, classify, learned, "attention.pattern=linformer"}, ""},
        Case{{arena, classify, learned, "attention.pattern=linformer", "attention.stride=64"},
             "attention.stride: is set"},
        Case{{arena, classify, learned, "attention.pattern=linformer", "attention.form=lra",
              "attention.sharing=layerwise"},
             "in which keys and values share one matrix per layer, expected \"key_value\""},
        Case{{arena, classify, learned, "attention.pattern=linformer", "attention.projected=0"},
             "attention.projected: got 0"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "model.context=16384"},
             "got 8 heads of 16384 x 16384 trained scores, 2147483648 parameters per layer"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "model.context=16384",
              "attention.mode=factorised_random"},
             ""},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.rank=4"}, "attention.rank: is set"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=dense", "attention.rank=4"},
             "attention.rank: is set"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=factorised_random",
              "attention.rank=240", "attention.dot_product=true"},
             "got scores of 272 products per pair"},
        Case{
            {arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=dense", "attention.hidden=255"},
            ""},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=dense", "attention.hidden=255",
              "attention.dot_product=true"},
             "got scores of 288 products per pair"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=factorised_dense",
              "model.context=16384", "attention.hidden=20", "attention.dot_product=true"},
             ""},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=factorised_dense",
              "model.context=70000", "attention.dot_product=true"},
             "got rows of 288 numbers for 70000 positions and heads of width 32, expected at most 256 in all"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mode=factorised_dense",
              "attention.form=lra"},
             "which the released code does not have"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mixture=true"},
             "attention.mixture: is set"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mixture=true",
              "attention.dot_product=true", "attention.mode=factorised_dense"},
             "attention.mixture: is set"},
        Case{{arena, classify, learned, "attention.pattern=synthesizer", "attention.mixture=true",
              "attention.dot_product=true", "attention.mode=dense"},
             ""},
        Case{{"model.pooling=mean"}, "expected data.task classify or pairs, or pooling = \"cls\""}));

TEST(Validate, every_broken_rule_has_its_own_line_and_a_place) {
  const std::string text =
      complaint({}, "[model]\nheads = 3\n[attention]\nsummary = 48\n[training]\nmicro_batch = 5\n");
  EXPECT_THAT(text, HasSubstr("4 problems"));
  EXPECT_THAT(text, HasSubstr("a.toml:2: model.heads: got 3"));
  EXPECT_THAT(text, HasSubstr("a.toml:4: attention.summary: got 48"));
  EXPECT_THAT(text, HasSubstr("a.toml:6: training.micro_batch: got 5"));
  EXPECT_THAT(text, HasSubstr("a.toml (by default): training.steps: got training.steps = 0"));
}

TEST(Validate, a_value_that_is_wrong_by_itself_makes_no_second_message) {
  EXPECT_EQ(complaint({"model.heads=0"}), "command line: model.heads: got 0, expected an integer >= 1");
  EXPECT_EQ(complaint({"attention.summary=0"}),
            "command line: attention.summary: got 0, expected an integer in [1, 1073741824]");
  EXPECT_EQ(complaint({"training.micro_batch=0"}),
            "command line: training.micro_batch: got 0, expected an integer in [1, 16777216]");
  EXPECT_EQ(complaint({"attention.stride=-4"}),
            "command line: attention.stride: got -4, expected an integer in [1, 1073741824]");
}

TEST(Validate, a_config_changed_by_hand_is_judged_by_the_table_too) {
  LoadedConfig loaded;
  loaded.config.training.steps = 1;
  EXPECT_NO_THROW(validate(loaded, DataCheck::skipped));
  loaded.config.model.heads = 0;
  EXPECT_THROW(validate(loaded, DataCheck::skipped), InputError);
}

TEST(Validate, examples_of_another_length_are_told_with_the_rest) {
  const std::string folder = std::filesystem::temp_directory_path() / ("weft-validate-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  write_examples_split(folder, "train", 3, 48, false, [](std::int64_t, std::int64_t, ExampleRows&) {}, 1,
                       {"t", 256, ""});
  write_examples_split(folder, "test", 3, 50, false, [](std::int64_t, std::int64_t, ExampleRows&) {}, 1,
                       {"t", 256, ""});
  const auto told = [&](const std::string& text) -> std::string {
    try {
      load_config_text("[data]\npath = \"" + folder + "\"\n[training]\nsteps = 1\n" + text, "a.toml", {});
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  const std::string text = told("[evaluation]\nminimum_context = 7\n[model]\ncontext = 64\n[attention]\nstride = 16\n");
  EXPECT_THAT(text, HasSubstr("a.toml:8: model.context: got 64, expected 48, the length of the examples in the train"));
  EXPECT_THAT(text, HasSubstr("expected 0: " + folder + " holds examples"));
  EXPECT_THAT(told("[model]\ncontext = 48\n[attention]\nstride = 16\nsummary = 8\n"),
              HasSubstr("got 48, expected 50, the length of the examples in the test split"));
  std::filesystem::remove_all(folder);
}

const char *const longformer = "attention.pattern=longformer", *const bigbird = "attention.pattern=bigbird",
                  *const sparse = "attention.pattern=sparse", *const lra = "attention.form=lra",
                  *const sized = "attention.stride=64";

INSTANTIATE_TEST_SUITE_P(
    KeySets, Rules,
    testing::Values(
        Case{{sparse}, ""}, Case{{arena, classify, learned, sparse, lra}, ""},
        Case{{sparse, "attention.summary=48"}, ""}, // heads share the columns: no divisor is needed
        Case{{sparse, "attention.summary=129"}, "expected at most attention.stride = 128"},
        Case{{sparse, "attention.shared_summary=true"}, "attention.shared_summary: is set and nothing reads it"},
        Case{{longformer, "attention.window=64", "attention.dilation=2"}, ""},
        Case{{longformer, "attention.global=2"}, "attention.global: is set and nothing reads it"},
        Case{{longformer, "attention.stride=64", "model.position_shape=[32,32]"}, "reads window, dilation, global"},
        Case{{arena, classify, learned, longformer, "attention.global=0", "attention.dilation=3"}, ""},
        Case{{arena, classify, learned, longformer, "attention.global=1025"}, "at most model.context = 1024"},
        Case{{arena, classify, learned, longformer, lra, "attention.window=512"}, ""},
        Case{{arena, classify, learned, longformer, lra, "attention.global=2"}, "nothing reads it"},
        Case{{arena, classify, learned, longformer, lra, "attention.dilation=2"}, "nothing reads it"},
        Case{{bigbird}, "shows the model the bytes that it is to predict"},
        Case{{arena, classify, learned, bigbird, sized}, ""}, Case{{arena, classify, learned, bigbird, lra, sized}, ""},
        Case{{arena, classify, learned, bigbird, lra, sized, "model.context=446"},
             "got 3 random blocks of 64 in 447 positions"},
        Case{{arena, classify, learned, bigbird, lra, sized, "model.context=447"}, ""},
        Case{{arena, classify, learned, bigbird, lra, sized, "model.context=447", "attention.random=4"},
             "some block of queries has fewer to choose from"},
        Case{{arena, classify, learned, bigbird, sized, "model.context=446"}, ""},
        Case{{arena, classify, learned, bigbird, lra, sized, "attention.dropout=0.1"}, "drops no weights, expected 0"},
        Case{{arena, classify, learned, bigbird, sized, "attention.dropout=0.1"}, ""},
        Case{{arena, classify, learned, bigbird, "attention.random=-1"}, "attention.random"},
        Case{{"attention.random=2"}, "expected pattern bigbird, or random = 3"}));
