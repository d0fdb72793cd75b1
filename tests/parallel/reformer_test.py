"""The Reformer's family, with hashing, dropout, reversible streams and rows that are drawn fresh: the same bits on any number
of ranks and through a stop."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import COPY  # noqa: E402
from programs import ProgramTest, main, run  # noqa: E402

INPUT = COPY + """positions = "axial"
layers = 2
width = 32
heads = 2
feedforward = 48
context = 64
vocabulary = 12
tied_embedding = true
dropout = 0.1
[attention]
pattern = "lsh"
chunk = 16
[schedule]
kind = "constant"
warmup_steps = 3
[training]
steps = 8
batch = 6
micro_batch = 1
[checkpoint]
every_steps = 4
[evaluation]
every_steps = 4
[log]
every_steps = 1
"""


class ReformerRanksTest(ProgramTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        run(["generate", "copy", "--to", self.folder + "/copy", "--length", "64", "--symbols", "11", "--examples", "24,6,6"])
        self.input = self.folder + "/input.toml"
        with open(self.input, "w", encoding="ascii") as f:
            f.write(INPUT.format(self.folder))

    def compare(self, *overrides):
        self.train("whole", *overrides)
        for ranks in (2, 3):
            self.train(f"ranks{ranks}", *overrides, ranks=ranks)
            self.assert_same_run("whole", f"ranks{ranks}", 8)
        self.train("parts", *overrides, "training.steps=5", ranks=3)
        self.train("parts", *overrides, ranks=2)
        self.assert_same_run("whole", "parts", 8)

    def test_reversible_streams_and_fresh_rows(self):
        self.compare("model.stream=reversible", "data.fresh=true")

    def test_post_norm_and_the_reproductions_scoring_in_chunks(self):
        self.compare("model.stream=post_norm", "data.scoring=reproduction", "model.loss_chunks=2", "model.feedforward_chunks=2")

    def test_fresh_rows_are_others(self):
        self.train("read", "model.stream=reversible")
        self.train("fresh", "model.stream=reversible", "data.fresh=true")
        with self.assertRaises(AssertionError):
            self.assert_same_run("read", "fresh", 8)


if __name__ == "__main__":
    main()
