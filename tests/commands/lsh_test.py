"""A model trained with hash buckets: its score does not depend on when it is asked for, and it can be scored otherwise."""
import os
import sys

import h5py

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import RUN  # noqa: E402
from programs import FolderTest, main, run, train_copy  # noqa: E402

INPUT = RUN + """task = "copy"
[model]
layers = 1
width = 32
heads = 2
context = 32
vocabulary = 16
embedding_scale = 8
position_scale = 8
weight_scale = 2
position_shape = [32]
[attention]
pattern = "lsh"
rounds = 2
chunk = 8
[optimizer]
learning_rate = 3e-3
[training]
steps = 20
batch = 16
micro_batch = 8
[log]
tensorboard = false
"""


class LshTest(FolderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trained = train_copy(cls.folder, INPUT, "64,32,32", 32)

    def score(self, *overrides):
        """What eval prints of the score, without what it is a score of."""
        lines = run(["eval", self.trained, *overrides]).stdout.splitlines()
        return next(line for line in lines if "bits per token" in line).split(": ", 1)[1]

    def test_a_reloaded_checkpoint_has_the_score_that_the_run_found(self):
        with h5py.File(self.trained + "/metrics.h5") as file:
            bits = file["final/test_bits"][()] if "final/test_bits" in file else None
            accuracy = file["final/test_accuracy"][()]
        score = self.score()
        self.assertEqual(score, self.score("training.micro_batch=4"))
        self.assertIn(f"accuracy {100 * accuracy:.2f} %", score)
        if bits is not None:
            self.assertIn(f"{bits:.4f} bits", score)

    def test_one_bucket_and_one_chunk_are_dense_attention_with_shared_queries_and_keys(self):
        self.assertEqual(self.score("attention.buckets=[1]", "attention.chunk=32"),
                         self.score("attention.pattern=dense", "attention.shared_qk=true"))
        self.assertNotEqual(self.score("attention.rounds=8"), self.score())
        done = run(["eval", self.trained, "attention.pattern=dense"], status=2)
        self.assertIn("holds another model", done.stderr)

    def test_with_full_attention_it_can_be_sampled_from(self):
        full = ["sample", self.trained, "attention.pattern=dense", "attention.shared_qk=true", "--samples", "3"]
        samples = []
        for at_once in ("1", "3"):
            run([*full, "--at-once", at_once, "--bytes", self.folder + "/bytes"])
            with open(self.folder + "/bytes", "rb") as file:
                samples.append(file.read())
        self.assertEqual(samples[0], samples[1])
        self.assertEqual(len(samples[0]), 3 * 32)
        self.assertTrue(max(samples[0]) < 16 and len({samples[0][n:n + 32] for n in (0, 32, 64)}) == 3)

    def test_it_cannot_be_sampled_from_and_has_no_lists(self):
        self.assertIn("attention.pattern=dense attention.shared_qk=true", run(["sample", self.trained], status=2).stderr)
        self.assertIn("weft pattern RUN", run(["pattern", self.folder + "/input.toml"], status=2).stderr)


if __name__ == "__main__":
    main()
