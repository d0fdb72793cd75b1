"""What a model can see decides what it can learn: the last of 256 tokens is the class, and the CLS vector is read.

Dense attention brings it there, and so do patterns in which the CLS vector sees all; blocks side by side never do, however
long they are trained.
"""
import os
import sys
import tempfile
import unittest

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import write_input, write_split  # noqa: E402
from programs import main, run  # noqa: E402

LENGTH, CLASSES, NOISE, UNSEEN = 256, 4, 2, 1000
VOCABULARY = 1 + NOISE + CLASSES


class ReachTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        random = np.random.default_rng(7)
        for split, n in (("train", 2000), ("test", UNSEEN)):
            labels = random.integers(0, CLASSES, n)
            tokens = random.integers(1, 1 + NOISE, (n, LENGTH))
            tokens[:, -1] = 1 + NOISE + labels
            write_split(self.folder + "/data", split, VOCABULARY, tokens, None, labels, CLASSES)
        write_input(self.folder + "/input.toml", self.folder, LENGTH, VOCABULARY)

    def accuracy(self, *pattern):
        """On sequences that were not trained on."""
        run(["train", self.folder + "/input.toml", "run.fresh=true", "training.batch=16", "training.micro_batch=16",
             "training.steps=240", "evaluation.test_at_end=true", "model.width=16", "model.feedforward=32", *pattern])
        with h5py.File(self.folder + "/runs/run/metrics.h5") as file:
            return file["final/test_accuracy"][()]

    def test_the_transformer_sees_the_last_token(self):
        self.assertGreater(self.accuracy("attention.pattern='dense'"), 0.95)

    def test_hash_buckets_may_or_may_not(self):
        # Whether CLS and the last token share a bucket is up to their directions: the figure is told, not judged.
        accuracy = self.accuracy("attention.pattern='lsh'", "attention.chunk=16", "attention.rounds=4")
        print(f"lsh: {100 * accuracy:.1f} %, chance is {100 / CLASSES:.1f} %")

    def test_linformer_and_the_synthesizer_see_it(self):
        for pattern in (("attention.pattern='linformer'", "attention.projected=64"),
                        ("attention.pattern='synthesizer'", "attention.dot_product=true")):
            self.assertGreater(self.accuracy(*pattern), 0.95, pattern)

    def test_global_positions_see_it(self):
        for pattern in (("sparse", "attention.stride=32", "attention.summary=4"), ("longformer", "attention.window=16"),
                        ("bigbird", "attention.stride=16", "attention.random=2")):
            accuracy = self.accuracy(f"attention.pattern='{pattern[0]}'", *pattern[1:])
            self.assertGreater(accuracy, 0.95, pattern[0])

    def test_a_window_without_global_positions_does_not(self):
        chance, sigma = 1 / CLASSES, (1 / CLASSES * (1 - 1 / CLASSES) / UNSEEN)**0.5
        accuracy = self.accuracy("attention.pattern='longformer'", "attention.window=16", "attention.global=0")
        self.assertLess(abs(accuracy - chance), 4 * sigma)

    def test_linear_attention_and_the_performer_do_too(self):
        # Weights that cannot be sharp: the last token is one of 256 that count nearly alike, and longer to find.
        for pattern in (("attention.pattern='linear'", "training.steps=1000"),
                        ("attention.pattern='performer'", "attention.kernel='relu'", "training.steps=1000"),
                        ("attention.pattern='performer'",)):
            with self.subTest(pattern):
                self.assertGreater(self.accuracy(*pattern), 0.95)


    def test_sorted_blocks_bring_it_to_the_first_one(self):
        self.assertGreater(self.accuracy("attention.pattern='sinkhorn'", "attention.stride=32"), 0.9)

    def test_the_sums_of_the_released_sinkhorn_hold_it(self):
        self.assertGreater(self.accuracy("attention.pattern='sinkhorn'", "attention.stride=32", "attention.form='lra'",
                                         "model.pooling='mean_all'"), 0.9)

    def test_the_sets_of_the_released_local_do_not(self):
        # 257 slots in 17 sets: the last one, 256, is in set 1, that of the CLS vector is 0.
        chance, sigma = 1 / CLASSES, (1 / CLASSES * (1 - 1 / CLASSES) / UNSEEN)**0.5
        accuracy = self.accuracy("attention.pattern='local'", "attention.stride=16", "attention.form='lra'", "model.layers=2")
        self.assertLess(abs(accuracy - chance), 4 * sigma)

    def test_blocks_side_by_side_do_not(self):
        chance, sigma = 1 / CLASSES, (1 / CLASSES * (1 - 1 / CLASSES) / UNSEEN)**0.5
        for stride in (16, 64):
            accuracy = self.accuracy("attention.pattern='local'", f"attention.stride={stride}", "model.layers=2")
            self.assertLess(abs(accuracy - chance), 4 * sigma, f"blocks of {stride}")


if __name__ == "__main__":
    main()
