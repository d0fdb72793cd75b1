// Everything an input file can say, with its default. config/keys.cpp is the one table that gives each member its
// key, range, unit and help; nothing else names a key.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

constexpr double least_loss_scale = 1, largest_loss_scale = 1 << 24; ///< the ends between which it moves

struct Config {
  struct {
    std::string name = "run";
    std::string directory = "runs";
    std::int64_t seed = 0;
    std::string precision = "fp32"; // fp32 | bf16 | fp16
    bool fresh = false;
    bool changes = false;
    std::int64_t max_idle_restarts = 3; // of one Slurm job, in a row without a new step
    double max_minutes = 0;             // 0: no limit
  } run;
  struct {
    std::string path = "data/enwik8";
    std::string task = "next_token"; // config/families.hpp: next_token | classify | pairs | copy
    std::string scoring = "paper";   // copy: paper | reproduction
    bool fresh = false;              // copy: training rows are drawn, each one once
    double fraction = 1;             // of the rows of labelled examples that train and valid keep
    std::int64_t min_length = 0;     // of the examples taken, in tokens; 0: any
    std::int64_t max_length = 0;
    bool by_length = false; // rows of a batch that are about as long share a micro-batch
  } data;
  struct {
    std::string function = "cross_entropy"; // cross_entropy | class_proximity
    double proximity = 1;                   // strength of what class_proximity adds
  } loss;
  struct {
    std::string family = "sparse_transformer"; // config/families.hpp
    std::string code = "lra";                  // lra | nystromformer | bert | gpt2: whose encoder the arena's is
    std::int64_t layers = 6;                   // L
    std::int64_t width = 256;                  // D
    std::int64_t heads = 8;                    // H
    std::int64_t context = 1024;               // N
    std::int64_t vocabulary = 256;             // V
    std::int64_t feedforward = 0;              // width of the hidden layer; 0: the family's own
    std::int64_t feedforward_chunks = 1;       // parts of the rows, one after the other
    std::int64_t loss_chunks = 1;              // the same of the output and its loss
    std::int64_t state_width = 0;              // of an LSTM in each direction, an LRU, modes of an S4D
    double dropout = 0.0;                      // on the two residual additions
    double layer_dropout = 0.0;                // between two LSTM layers
    bool half_size = false;                    // query/key width D/2, feed-forward 2D
    std::string recompute = "none";            // none | attention | block
    std::string stream = "pre_norm";           // pre_norm | post_norm | reversible
    bool final_norm = true;                    // of the stream pre_norm, behind the last block
    std::string input = "tokens";              // mega: tokens | pixels
    double pixel_mean = 0.5;                   // of values in [0, 1]
    double pixel_deviation = 0.5;
    std::string norm = "layer";                // mega: layer | scale | rms | batch
    std::string positions = "grid";            // grid | learned | axial | sinusoid | none
    std::vector<std::int64_t> position_shape;  // row-major coordinates; empty: (ceil(N/l), l)
    std::vector<std::int64_t> position_widths; // of axial tables; empty: equal ones
    double embedding_scale = 0.125;            // token and start vector: std = scale/sqrt(D)
    double position_scale = 0.125;             // position tables: std = scale/sqrt(D * tables)
    double weight_scale = 0.125;               // weights: variance = scale/inputs
    bool tied_embedding = false;               // the output matrix is the token embedding
    bool bidirectional = true;                 // states of an LRU or S4D, scanned from both ends
    double r_min = 0.0;                        // ring in which an LRU's factors begin
    double r_max = 1.0;
    double phase_max = 6.283185307179586; // and their largest angle
    double dt_min = 0.001;                // steps in which an S4D begins,
    double dt_max = 0.1;                  // from the one to the other
    std::string pooling = "cls";          // cls | first | last | mean | mean_all | attention
    std::int64_t pooling_width = 0;       // of attention pooling; 0: that of the rows
    std::int64_t classes = 0;             // 0: from the data
    std::string head = "own";             // own | pooler: of the arena and mega
    std::int64_t head_width = 0;          // hidden width of the classifier; 0: the family's own
    double token_deviation = 0;           // of token vectors in the beginning; 0: the family's own
    std::string pair_features = "two";    // two | four
    std::string init_from;                // a run or checkpoint whose weights new ones begin with
    std::string init_parts = "all";       // all | body
  } model;
  struct {
    std::string pattern = "fixed";     // config/patterns.hpp
    std::string form = "paper";        // paper | lra
    std::int64_t width = 0;            // of queries, keys and values, all heads together; 0: model.width
    double dropout = 0.0;              // of attention weights
    std::int64_t stride = 128;         // l
    std::int64_t window = 0;           // of local and strided; 0: l; of longformer; 0: 512
    bool allow_leak = false;           // take a pattern that is not causal
    std::int64_t summary = 32;         // c
    bool shared_summary = false;       // every head the last sub-block instead of one of its own
    bool shared_qk = false;            // dense: queries and keys of one map
    std::string score = "unit";        // unit | trax | raw: kernels/lsh/keys.hpp
    std::string self = "last_resort";  // last_resort | seen
    std::int64_t rounds = 2;           // R, of hashing
    std::vector<std::int64_t> buckets; // factors of their number; empty: 2 (N div m)
    std::int64_t chunk = 64;           // m
    bool other_buckets = false;        // a query sees keys of other buckets in its chunks
    bool duplicates = false;           // a key counts as often as it is seen
    std::string look_back = "cyclic";  // cyclic | straight
    std::string join = "softmax";      // softmax | mean
    bool fixed_hashes = false;         // the same projections in every step
    std::int64_t projected = 256;      // keys that linformer mixes, k
    std::string sharing = "key_value"; // of its matrices: headwise | key_value | layerwise | per_head
    std::string mode = "random";       // synthesizer: random | dense | factorised_random | factorised_dense
    bool dot_product = false;          // q . k beside the synthetic scores
    bool mixture = false;              // a learned share for each of the two
    std::int64_t rank = 8;             // of factorised_random
    std::int64_t hidden = 0;           // of both dense modes, per head; 0: the head's width
    std::int64_t dilation = 1;         // of longformer's window
    std::int64_t global = 1;           // positions that see all and that all see (longformer)
    std::int64_t random = 3;           // r, random blocks of a block row (bigbird)
    std::string kernel = "softmax";    // softmax | relu: what the features of performer stand for
    std::int64_t features = 0;         // M of the softmax kernel; 0: floor(E ln E) for heads of width E
    std::int64_t redraw_steps = 1000;  // steps that share a draw of features; 0: all
    std::vector<std::string> combination = {
        "merged"};                    // merged | interleaved | heads, or a list, one entry per layer, repeating
    std::string sort_net = "mlp";     // mlp | linear: sinkhorn
    std::int64_t iterations = 8;      // of sinkhorn's normalisation
    double temperature = 0.75;        // its tau
    bool noise = true;                // Gumbel noise on its logits in training
    std::int64_t sort_cut = 0;        // sorted blocks that every query sees alone; 0: its own block and that one sorted
    std::int64_t shared_width = 64;   // of mega's queries and keys, Z
    std::int64_t value_width = 0;     // of its values; 0: 2D
    std::int64_t states = 16;         // averages of a channel
    std::string bias = "simple";      // none | simple | rotary: scores by distance
    std::string function = "softmax"; // softmax | laplace | relu2
  } attention;
  struct {
    std::string kind = "adamw"; // adam | adamw
    double learning_rate = 3.5e-4;
    double weight_decay = 0.01;
    std::string decay = "matrices"; // matrices | all: the tensors that weight decay acts on
    double state_rate = 1;          // lru, s4d: factor on the learning rate of the recurrence
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    double clip = 1.0;                           // global norm; 0: no clipping
    double loss_scale = 65536;                   // fp16: the first one
    std::int64_t loss_scale_growth_steps = 2000; // fp16: good steps in a row that double it
  } optimizer;
  struct {
    std::string kind = "cosine"; // constant | linear | cosine | step | one_cycle | rsqrt
    std::int64_t warmup_steps = 0;
    double initial_factor = 0;                 // learning rate of step 1 of the warm-up, as a factor of learning_rate
    double final_factor = 0.0;                 // learning rate at the last step, as a factor of learning_rate
    std::int64_t cycle_steps = 0;              // of the arena's cosine, which begins again; 0: half a cosine in all
    std::vector<std::int64_t> step_milestones; // steps at which kind = "step" multiplies by step_factor
    std::int64_t step_every = 0;               // or each so many steps
    double step_factor = 0.1;
    double peak_at = 0.3;     // one_cycle: the share of all steps spent rising
    double beta1_at_peak = 0; // one_cycle: beta1 there; 0: optimizer.beta1 throughout
  } schedule;
  struct {
    std::int64_t steps = 0; // exactly one of steps and epochs is given
    double epochs = 0;
    std::int64_t batch = 16;      // sequences per step, all ranks together
    std::int64_t micro_batch = 1; // sequences per forward and backward
    std::int64_t patience = 0;    // early stopping: evaluations without a better validation score; 0: off
  } training;
  struct {
    std::int64_t every_steps = 1000;
    double every_seconds = 300; // 0: off
    std::int64_t keep = 2;
    std::int64_t keep_every = 0; // never removed: steps that are multiples of it; 0: none
    bool behind = true;          // written while the next steps run, from a copy in memory
    bool initial = false;        // also write the checkpoint of step 0
  } checkpoint;
  struct {
    std::int64_t every_steps = 1000; // 0: only at epoch ends and at the end
    std::int64_t max_windows = 0;    // 0: all of the split
    bool test_at_end = true;
    std::string split = "test";       // what `weft eval` scores: train | valid | test
    std::string best = "loss";        // the best checkpoint and early stopping go by it: loss | accuracy
    std::int64_t minimum_context = 0; // m: bytes every scored byte sees at least; 0: windows side by side
  } evaluation;
  struct {
    double bucket_mib = 4;          // size of a gradient bucket
    bool share_device = false;      // more than one rank on a GPU
    std::string transport = "auto"; // of gradients between GPUs: auto | nccl | mpi
    bool cuda_graph = false;        // micro-batches are replayed from a recording
    bool shard_optimizer = false;   // every rank holds the moments of its part of the tensors only
    double timeout = 0;             // seconds without progress that end the job; 0: max(120, 20 steps)
  } parallel;
  struct {
    std::int64_t every_steps = 10;
    bool tensorboard = true;
  } log;
  struct {
    double grid_g_per_kwh = 0; // 0: no CO2 is told
  } energy;
  struct {
    std::string fault;        // config/fault.hpp; empty: none
    std::string isa = "best"; // kernels/common/isa.hpp
  } debug;
};

} // namespace weft
