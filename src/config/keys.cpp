#include "config/keys.hpp"
#include "config/families.hpp"
#include "config/key_table.hpp"

namespace weft {
namespace {

// Each line: name, member, limits, unit, help, who reads it, what depends on it; the default is the member's initial
// value.

std::vector<Key> run_keys(Config& c) {
  return {
      {"run.name", &c.run.name, any, "", "name of the run; its folder is run.directory/run.name"},
      {"run.directory", &c.run.directory, any, "", "folder that holds the runs"},
      {"run.seed", &c.run.seed, at_least(0), "", "seed of weights, dropout and the order of samples"},
      {"run.precision", &c.run.precision, one_of({"fp32", "bf16", "fp16"}), "",
       "storage of activations; weights, moments, softmax statistics, norms and losses are always fp32; fp16 is for "
       "GPUs without bf16, and scales the loss"},
      {"run.fresh", &c.run.fresh, any, "", "start over instead of resuming; an old run is moved aside, never deleted"},
      {"run.changes", &c.run.changes, any, "",
       "go on from a checkpoint with another data set, seed or batch than it was written with, which is refused "
       "otherwise"},
      {"run.max_idle_restarts", &c.run.max_idle_restarts, at_least(0), "restarts",
       "restarts of one Slurm job in a row without a newer checkpoint; one more ends it with status 1, so that it is "
       "not requeued for ever"},
      {"run.max_minutes", &c.run.max_minutes, at_least(0), "minutes",
       "time after which this start of the run stops with a checkpoint and status 75; 0: no limit"},
  };
}

std::vector<Key> data_keys(Config& c) {
  return {
      {"data.path", &c.data.path, any, "", "folder of the data set's shards, as weft prepare writes them"},
      {"data.task", &c.data.task, one_of(task_names()), "",
       "what a row of a batch holds and what of it is scored: " + words_of(task_table())},
      {"data.scoring", &c.data.scoring, one_of({"paper", "reproduction"}), "",
       "what of a copied half counts: paper (its symbols; slot i predicts token i from those before), reproduction "
       "(slot i holds token i and predicts the next one, and behind the last one a separator, which counts too)",
       with("data.task", {"copy"}), Shapes::parameters},
      {"data.fresh", &c.data.fresh, any, "",
       "training rows are drawn anew, none twice, instead of read; valid and test are those of data.path",
       with("data.task", {"copy"})},
      {"data.fraction",
       &c.data.fraction,
       {0, 1, true, false, {}},
       "",
       "share of the examples of the train and valid splits that are used, drawn by run.seed; test stays whole",
       with("data.task", class_tasks())},
      {"data.min_length", &c.data.min_length, at_least(0), "tokens",
       "examples with fewer tokens are left out, of all splits; 0: none", with("data.task", class_tasks())},
      {"data.max_length", &c.data.max_length, at_least(0), "tokens",
       "examples with more tokens are left out, of all splits; at most model.context it lets that be shorter than the "
       "stored rows; 0: none",
       with("data.task", class_tasks())},
      {"data.by_length", &c.data.by_length, any, "",
       "the rows of a training batch are shared out to its micro-batches by their lengths, so that little of a "
       "micro-batch is padding: the same batch, and sums in another order",
       with("data.task", class_tasks())},
  };
}

std::vector<Key> loss_keys(Config& c) {
  return {
      {"loss.function", &c.loss.function, one_of({"cross_entropy", "class_proximity"}), "",
       "what is minimised: cross_entropy, or class_proximity, which adds loss.proximity times the mean distance of the "
       "predicted classes from the true one, sum of p_v |v - t| / (V - 1): classes are numbers on a line",
       with("data.task", class_tasks())},
      {"loss.proximity", &c.loss.proximity, at_least(0), "", "strength of that distance",
       with("loss.function", {"class_proximity"})},
  };
}

std::vector<Key> optimizer_keys(Config& c) {
  return {
      {"optimizer.kind", &c.optimizer.kind, one_of({"adam", "adamw"}), "",
       "adamw: weight decay apart from the gradient; adam: added to the gradient"},
      {"optimizer.learning_rate", &c.optimizer.learning_rate, above(0), "", "highest learning rate of the schedule"},
      {"optimizer.weight_decay", &c.optimizer.weight_decay, at_least(0), "",
       "weight decay, on the tensors of optimizer.decay"},
      {"optimizer.decay", &c.optimizer.decay, one_of({"matrices", "all"}), "",
       "tensors that weight decay acts on: matrices, or all, vectors and norms too"},
      {"optimizer.state_rate", &c.optimizer.state_rate, above(0), "",
       "factor on the learning rate for the numbers of a linear recurrence: nu, theta, log g and B (lru), A and dt "
       "(s4d); they decay with optimizer.decay = \"all\" alone",
       with("model.family", {"lru", "s4d"})},
      {"optimizer.beta1", &c.optimizer.beta1, from_to_below(0, 1), "", "decay of the first moment"},
      {"optimizer.beta2", &c.optimizer.beta2, from_to_below(0, 1), "", "decay of the second moment"},
      {"optimizer.epsilon", &c.optimizer.epsilon, above(0), "", "added to the root of the second moment"},
      {"optimizer.clip", &c.optimizer.clip, at_least(0), "", "largest global norm of the gradient; 0: no clipping"},
      {"optimizer.loss_scale", &c.optimizer.loss_scale, between(least_loss_scale, largest_loss_scale), "",
       "factor on the loss with run.precision = \"fp16\" that a run begins with, a power of two: a gradient beyond "
       "fp16 halves it, and its step is left out",
       with("run.precision", {"fp16"})},
      {"optimizer.loss_scale_growth_steps", &c.optimizer.loss_scale_growth_steps, at_least(1), "steps",
       "steps in a row with finite gradients after which the factor on the loss is doubled (fp16)",
       with("run.precision", {"fp16"})},
  };
}

std::vector<Key> schedule_keys(Config& c) {
  return {
      {"schedule.kind", &c.schedule.kind, one_of({"constant", "linear", "cosine", "step", "one_cycle", "rsqrt"}), "",
       "course of the learning rate after the warm-up; rsqrt, of the Long Range Arena: learning_rate * min(1, s/w) / "
       "sqrt(max(s, w)), w = warmup_steps, s = steps before this one"},
      {"schedule.warmup_steps", &c.schedule.warmup_steps, at_least(0), "steps", "linear rise from zero",
       with("schedule.kind", {"constant", "linear", "cosine", "step", "rsqrt"})},
      {"schedule.initial_factor",
       &c.schedule.initial_factor,
       between(0, 1),
       "",
       "learning rate of step 1, as a factor of optimizer.learning_rate, from which the warm-up rises; 0: a rise from "
       "zero at step 0",
       {{{"schedule.kind", {"constant", "linear", "step"}}},
        {{"schedule.kind", {"cosine"}}, {"schedule.cycle_steps", {"0"}}}}},
      {"schedule.final_factor", &c.schedule.final_factor, between(0, 1), "",
       "learning rate at the last step, as a factor of optimizer.learning_rate (linear, cosine, one_cycle)",
       with("schedule.kind", {"linear", "cosine", "one_cycle"})},
      {"schedule.cycle_steps", &c.schedule.cycle_steps, at_least(0), "steps",
       "C: the Long Range Arena's cosine, learning_rate * min(1, s/w) * (1 + cos(pi * frac(max(0, s-w) / C))) / 2, "
       "which begins again every C steps; 0: half a cosine from the warm-up to the last step",
       with("schedule.kind", {"cosine"})},
      {"schedule.step_milestones", &c.schedule.step_milestones, at_least(1), "steps",
       "steps at which kind = \"step\" multiplies the learning rate by step_factor; rising",
       with("schedule.kind", {"step"})},
      {"schedule.step_every", &c.schedule.step_every, at_least(0), "steps",
       "n: kind = \"step\" multiplies the learning rate by step_factor behind every n steps, instead of at "
       "step_milestones; 0: at those",
       with("schedule.kind", {"step"})},
      {"schedule.step_factor", &c.schedule.step_factor, above(0), "", "factor at each of step_milestones",
       with("schedule.kind", {"step"})},
      {"schedule.peak_at",
       &c.schedule.peak_at,
       {0, 1, true, true, {}},
       "",
       "share of all steps that kind = \"one_cycle\" spends rising",
       with("schedule.kind", {"one_cycle"})},
      {"schedule.beta1_at_peak", &c.schedule.beta1_at_peak, from_to_below(0, 1), "",
       "decay of the first moment at the peak: from optimizer.beta1 down to it and back, along with the learning rate "
       "(one_cycle); 0: optimizer.beta1 throughout",
       with("schedule.kind", {"one_cycle"})},
  };
}

std::vector<Key> training_keys(Config& c) {
  return {
      {"training.steps", &c.training.steps, between(0, 4294967295.0), "steps",
       "optimiser steps; exactly one of steps and epochs is given"},
      {"training.epochs", &c.training.epochs, at_least(0), "epochs",
       "passes over the training split; exactly one of steps and epochs is given"},
      {"training.batch", &c.training.batch, between(1, 1 << 24), "sequences", "sequences per step, all ranks together"},
      {"training.micro_batch", &c.training.micro_batch, between(1, 1 << 24), "sequences",
       "sequences per forward and backward pass; divides the batch. Batch norms have statistics of so many"},
      {"training.patience", &c.training.patience, at_least(0), "evaluations",
       "evaluations without a better validation score (evaluation.best) after which training ends; 0: never"},
  };
}

std::vector<Key> checkpoint_keys(Config& c) {
  return {
      {"checkpoint.every_steps", &c.checkpoint.every_steps, at_least(0), "steps",
       "steps between checkpoints; 0: only on request and at the end"},
      {"checkpoint.every_seconds", &c.checkpoint.every_seconds, at_least(0), "seconds",
       "time after which a checkpoint is written whatever every_steps says; more where the steps would wait for them "
       "longer than 0.5 % of it; 0: off"},
      {"checkpoint.keep", &c.checkpoint.keep, at_least(1), "",
       "newest checkpoints that are kept, beside the best; two good ones stay in any case"},
      {"checkpoint.keep_every", &c.checkpoint.keep_every, at_least(0), "steps",
       "checkpoints of steps that are multiples of this are kept for ever; 0: none"},
      {"checkpoint.behind", &c.checkpoint.behind, any, "",
       "write checkpoints while the next steps run, from a copy in memory; false: the steps wait and the memory of the "
       "copy is saved"},
      {"checkpoint.initial", &c.checkpoint.initial, any, "",
       "also write the checkpoint of step 0, the initial weights"},
  };
}

std::vector<Key> evaluation_keys(Config& c) {
  return {
      {"evaluation.every_steps", &c.evaluation.every_steps, at_least(0), "steps",
       "steps between evaluations on the validation split; 0: only at epoch ends and at the end"},
      {"evaluation.max_windows", &c.evaluation.max_windows, at_least(0), "sequences",
       "sequences of the split an evaluation uses; 0: all"},
      {"evaluation.test_at_end", &c.evaluation.test_at_end, any, "", "score the test split when training is done"},
      {"evaluation.split", &c.evaluation.split, one_of({"train", "valid", "test"}), "", "split that weft eval scores"},
      {"evaluation.best", &c.evaluation.best, one_of({"loss", "accuracy"}), "",
       "score on the validation split by which the best checkpoint is chosen and training.patience counts"},
      {"evaluation.minimum_context", &c.evaluation.minimum_context, at_least(0), "tokens",
       "m: every scored token follows at least m tokens of its window, which slides by N - m; 0: windows side by side",
       with("data.task", {"next_token"})},
  };
}

std::vector<Key> parallel_keys(Config& c) {
  return {
      {"parallel.bucket_mib", &c.parallel.bucket_mib, above(0), "MiB",
       "gradients gathered before they are summed over ranks; changes time, not one bit of the result"},
      {"parallel.share_device", &c.parallel.share_device, any, "",
       "let several ranks use one GPU; without it such a start is refused"},
      {"parallel.transport", &c.parallel.transport, one_of({"auto", "nccl", "mpi"}), "",
       "what carries gradients between GPUs; auto: NCCL where it is installed and every rank has a GPU of its own, "
       "else MPI through host memory; changes time, not one bit of the result"},
      {"parallel.cuda_graph", &c.parallel.cuda_graph, any, "",
       "record the kernels of a micro-batch once and replay them (cuda build only); changes time, not one bit of the "
       "result"},
      {"parallel.shard_optimizer", &c.parallel.shard_optimizer, any, "",
       "every rank holds and updates the moments of its share of the tensors only; changes memory and time, not one "
       "bit of the result"},
      {"parallel.timeout", &c.parallel.timeout, at_least(0), "seconds",
       "time without progress on any rank after which the job is ended, with the rank that is behind named; 0: the "
       "larger of 120 and 20 steps"},
  };
}

std::vector<Key> log_keys(Config& c) {
  return {
      {"log.every_steps", &c.log.every_steps, at_least(1), "steps", "steps between step lines"},
      {"log.tensorboard", &c.log.tensorboard, any, "", "write TensorBoard events to the run folder's tb/"},
  };
}

std::vector<Key> energy_keys(Config& c) {
  return {
      {"energy.grid_g_per_kwh", &c.energy.grid_g_per_kwh, at_least(0), "g/kWh",
       "CO2 of the electricity used, for the run's CO2 at its end; 0: only energy is told"},
  };
}

std::vector<Key> debug_keys(Config& c) {
  return {
      {"debug.fault", &c.debug.fault, any, "",
       "for tests of the program: something that goes wrong on purpose, such as \"kill:rank=1:step=7\""},
      {"debug.isa", &c.debug.isa, one_of({"best", "avx2", "avx512", "avx512_bf16"}), "",
       "the instruction set of the host's attention and matrix products; best: what is fastest on the processor. "
       "Another one "
       "changes the last bits of the results"},
  };
}

} // namespace

std::vector<Key> keys_of(Config& c) {
  std::vector<Key> all;
  for (const auto section :
       {run_keys, data_keys, model_keys, attention_keys, loss_keys, optimizer_keys, schedule_keys, training_keys,
        checkpoint_keys, evaluation_keys, parallel_keys, log_keys, energy_keys, debug_keys})
    for (Key& key : section(c))
      all.push_back(std::move(key));
  return all;
}

} // namespace weft
