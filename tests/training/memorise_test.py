"""Every model on every task learns 64 fixed examples by heart: all of them right, or all that can be known.

    memorise_test.py [--every-pair]    pairs by every model, not only by one of each kind of head, mask and operation
"""
import os
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import write_input, write_split  # noqa: E402
from programs import main, run, steps  # noqa: E402

EXAMPLES, LENGTH, SYMBOLS, CLASSES = 64, 40, 12, 4
# Blocks of 16 and 32 end within the rows and within the tiles of the kernels. CLS reads the first block alone, so these
# read the mean.
PATTERNS = {"dense": ("attention.pattern='dense'", "model.pooling='cls'"),
            "local 16": ("attention.pattern='local'", "attention.stride=16", "model.pooling='mean'"),
            "local 32": ("attention.pattern='local'", "attention.stride=32", "model.pooling='mean'"),
            "lsh": ("attention.pattern='lsh'", "attention.chunk=8", "attention.rounds=4", "attention.fixed_hashes=true",
                    "model.pooling='mean'", "training.steps=150"),
            "lsh lra": ("attention.pattern='lsh'", "attention.form='lra'", "model.pooling='mean'", "training.steps=200"),
            "linformer": ("attention.pattern='linformer'", "attention.projected=16", "model.pooling='cls'"),
            "linformer, released": ("attention.pattern='linformer'", "attention.projected=16", "attention.form='lra'",
                                    "model.pooling='cls'"),
            "synthesizer, released": ("attention.pattern='synthesizer'", "attention.dot_product=true", "attention.form='lra'",
                                      "model.pooling='cls'"),
            "synthesizer, random": ("attention.pattern='synthesizer'", "model.pooling='mean'"),
            "synthesizer, factorised": ("attention.pattern='synthesizer'", "attention.mode='factorised_random'",
                                        "attention.dot_product=true", "model.pooling='cls'"),
            "synthesizer, factorised dense": ("attention.pattern='synthesizer'", "attention.mode='factorised_dense'",
                                              "model.pooling='mean'"),
            "synthesizer, mixture": ("attention.pattern='synthesizer'", "attention.dot_product=true", "attention.mixture=true",
                                     "model.pooling='cls'"),
            "synthesizer, dense": ("attention.pattern='synthesizer'", "attention.mode='dense'", "model.pooling='mean'"),
            **{f"{name} {form}": (f"attention.pattern='{name}'", f"attention.form='{form}'", "model.pooling='cls'", *keys)
               for name, keys in (("sparse", ("attention.stride=8", "attention.summary=2")),
                                  ("longformer", ("attention.window=40",)),
                                  ("bigbird", ("attention.stride=4", "attention.random=1")))
               for form in ("paper", "lra")},
            "linear": ("attention.pattern='linear'", "model.pooling='cls'"),
            "performer": ("attention.pattern='performer'", "model.pooling='cls'"),
            "performer relu": ("attention.pattern='performer'", "attention.kernel='relu'", "model.pooling='cls'"),
            "local as released": ("attention.pattern='local'", "attention.stride=16", "attention.form='lra'", "model.pooling='cls'"),
            "sinkhorn": ("attention.pattern='sinkhorn'", "attention.stride=8", "model.pooling='cls'"),
            "sinkhorn as released": ("attention.pattern='sinkhorn'", "attention.stride=8", "attention.form='lra'",
                                     "model.pooling='mean_all'")}
# Another family, with keys of its own: the numbers of an input in which the encoder's are those that nobody sets.
NO_ENCODER = ("model.heads=8", "model.feedforward=0", "model.positions='grid'", "attention.pattern='fixed'")
LSTMS = {"bilstm": ("model.family='bilstm'", *NO_ENCODER, "model.pooling='attention'", "model.layers=2",
                    "model.state_width=24", "model.pooling_width=16"),
         "bilstm, mean": ("model.family='bilstm'", *NO_ENCODER, "model.pooling='mean'")}
FEATURES = {name: ("two", "four") for name in ("dense", "local 16", "local 32")}  # only the head tells them apart
# Two documents are two sequences of one batch: what differs from classes is the head, and how a model knows its rows.
PAIRS_ALWAYS = ("dense", "local 16", "lsh lra", "linformer", "longformer paper", "bigbird lra", "performer", "sinkhorn")
EVERY_PAIR = "--every-pair" in sys.argv
MEGA = ("model.family='mega'", "model.positions='grid'", "model.heads=1", "model.pooling='mean'", "attention.shared_width=16")
MEGA_PATTERNS = {"mega": (*MEGA, "model.stream='post_norm'"), "mega in chunks": (*MEGA, "attention.pattern='block_bidirectional'", "attention.stride=16")}
MEGA_OF_PIXELS = {"mega of pixels": (*MEGA, "model.input='pixels'", "model.pixel_mean=0.02", "model.pixel_deviation=0.015",
                                    "attention.function='laplace'", "attention.bias='rotary'", "training.steps=250")}
HEADS = {"bert": ("model.code='bert'", "model.stream='post_norm'", "model.head='pooler'", "model.pooling='first'",
                  "model.positions='learned'", "training.steps=150"),
         "gpt2": ("model.code='gpt2'", "model.pooling='last'", "model.positions='learned'", "training.steps=150"),
         "reversible, axial": ("model.stream='reversible'", "model.positions='axial'", "model.position_shape=[5,8]",
                               "model.head='pooler'", "model.pooling='first'", "training.steps=150"),
         "close classes": ("loss.function='class_proximity'", "model.pooling='mean'")}
LRU = ("model.family='lru'", "model.positions='grid'", "model.heads=8", "model.feedforward=0", "attention.pattern='fixed'",
       "model.pooling='mean'", "model.state_width=24")
LRUS = {"lru": LRU, "lru from the front, post-norm": (*LRU, "model.bidirectional=false", "model.stream='post_norm'"),
        "s4d": ("model.family='s4d'", *LRU[1:], "model.dt_min=0.01", "model.dt_max=0.5",
                "training.steps=150")}
CAUSAL = ("model.family='sparse_transformer'", "model.positions='grid'", "model.feedforward=0", "model.embedding_scale=8",
          "model.position_scale=8", "model.weight_scale=2", "model.layers=2", "model.position_shape=[2,8]",
          "training.micro_batch=16")
CAUSAL_PATTERNS = {"fixed": ("attention.pattern='fixed'", "attention.stride=8", "attention.summary=4"),
                   "linear": ("attention.pattern='linear'",),
                   "performer": ("attention.pattern='performer'",),
                   "lsh": ("attention.pattern='lsh'", "attention.chunk=8", "attention.rounds=4", "attention.fixed_hashes=true",
                           "model.position_shape=[16]")}
MEGA_CAUSAL = ("model.family='mega'", "model.positions='grid'", "model.heads=1", "model.feedforward=0", "model.layers=2",
               "attention.pattern='chunk'", "attention.stride=8", "attention.shared_width=16", "training.micro_batch=16")


class MemoriseTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        self.random = np.random.default_rng(5)

    def rows(self):
        """Random tokens from 1 up, padded with 0 behind a random length."""
        lengths = self.random.integers(LENGTH // 2, LENGTH + 1, EXAMPLES)
        tokens = self.random.integers(1, SYMBOLS, (EXAMPLES, LENGTH))
        tokens[np.arange(LENGTH) >= lengths[:, None]] = 0
        return tokens, lengths

    def accuracy(self, context, vocabulary, *overrides):
        """Share of right predictions over all 64 examples: at the last step, before its update."""
        path = self.folder + "/input.toml"
        write_input(path, self.folder, context, vocabulary)
        run(["train", path, "run.fresh=true", *overrides])
        accuracy = steps(self.folder + "/runs/run")["accuracy"]
        self.assertLess(accuracy[0], 0.6)  # it was not known before
        return accuracy[-1]

    def test_classes_of_sequences(self):
        tokens, lengths = self.rows()
        labels = self.random.integers(0, CLASSES, EXAMPLES)
        write_split(self.folder + "/data", "train", SYMBOLS, tokens, lengths, labels, CLASSES)
        for name, pattern in {**PATTERNS, **MEGA_PATTERNS, **MEGA_OF_PIXELS, **LSTMS, **LRUS, **HEADS}.items():
            with self.subTest(name):
                self.assertEqual(self.accuracy(LENGTH, SYMBOLS, *pattern), 1)

    def test_classes_of_pairs(self):
        (tokens, lengths), (tokens2, lengths2) = self.rows(), self.rows()
        labels = self.random.integers(0, CLASSES, EXAMPLES)
        write_split(self.folder + "/data", "train", SYMBOLS, (tokens, tokens2), (lengths, lengths2), labels, CLASSES)
        for name, pattern in {**PATTERNS, **MEGA_PATTERNS, **LSTMS, **LRUS}.items():
            if "synthesizer" in name and "released" not in name:
                continue  # nothing that one document does not show
            if name not in PAIRS_ALWAYS and name not in LRUS and name != "mega" and not EVERY_PAIR:
                continue
            for features in FEATURES.get(name, ("two",)):
                with self.subTest(f"{name}, {features} features"):
                    self.assertEqual(self.accuracy(LENGTH, SYMBOLS, "data.task='pairs'", f"model.pair_features='{features}'",
                                                   *pattern), 1)

    def test_next_tokens(self):
        # The first tokens of the examples are all different: nothing tells one from the start, all else follows from it.
        tokens = self.random.integers(0, EXAMPLES, (EXAMPLES, 16))
        tokens[:, 0] = self.random.permutation(EXAMPLES)
        write_split(self.folder + "/data", "train", EXAMPLES, tokens)
        most = (EXAMPLES * 15 + 1) / (EXAMPLES * 16)
        everyone = {name: (*CAUSAL, *pattern) for name, pattern in CAUSAL_PATTERNS.items()}
        for name, pattern in {**everyone, "mega": MEGA_CAUSAL}.items():
            with self.subTest(name):
                got = self.accuracy(16, EXAMPLES, "data.task='next_token'", *pattern, "training.steps=250")
                self.assertGreaterEqual(got, most - 1.5 / (EXAMPLES * 16))
                self.assertLessEqual(got, most)

    def test_copies(self):
        run(["generate", "copy", "--to", self.folder + "/data", "--examples", "64,1,1", "--length", "16", "--symbols", "15"])
        for name, pattern in CAUSAL_PATTERNS.items():
            with self.subTest(name):
                self.assertEqual(self.accuracy(16, 16, "data.task='copy'", *CAUSAL, *pattern, "training.steps=250"), 1)


if __name__ == "__main__":
    main()
