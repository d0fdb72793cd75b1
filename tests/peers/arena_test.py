"""torch.nn.TransformerEncoderLayer in float64 has the arena encoder's logits and gradients; skipped (77) without PyTorch."""
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import h5py

from programs import main, run

TWIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "arena_twin.py")
INPUT = """
[run]
name = "run"
directory = "{folder}/runs"
[data]
path = "{folder}/{data}"
task = "{task}"
[model]
family = "arena"
layers = 2
width = 32
heads = 4
feedforward = 48
context = {context}
vocabulary = {vocabulary}
positions = "{positions}"
pooling = "{pooling}"
dropout = 0.0
[attention]
pattern = "dense"
[training]
steps = 1
batch = 12
micro_batch = 3
[checkpoint]
initial = true
keep = 9
[evaluation]
test_at_end = false
"""


class ArenaTwin(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = self.scratch.name
        self.addCleanup(self.scratch.cleanup)

    def listops(self):
        run(["generate", "listops", "--to", self.folder + "/listops", "--examples", "12,4,6", "--max-depth", "4",
             "--max-arguments", "5", "--min-length", "10", "--max-length", "60"])

    def pairs(self):
        os.makedirs(self.folder + "/texts")
        words = "sparse attention weaves cloth from long threads and short ones".split()
        for n in range(60):
            with open(f"{self.folder}/texts/{n:02d}.txt", "w", encoding="ascii") as f:
                f.write(" ".join(words[(n * k * k + k) % len(words)] + str(n) for k in range(40)))
        run(["generate", "pairs", "--from", self.folder + "/texts", "--to", self.folder + "/pairs", "--examples", "12,4,6",
             "--length", "64"])

    def compare(self, data, task, positions, pooling, *overrides, change=None):
        with h5py.File(f"{self.folder}/{data}/train-00000-of-00001.h5") as f:
            context, vocabulary = f["tokens"].shape[1], int(f.attrs["vocabulary"])
        path = self.folder + "/input.toml"
        with open(path, "w", encoding="ascii") as f:
            f.write(INPUT.format(folder=self.folder, data=data, task=task, context=context, vocabulary=vocabulary,
                                 positions=positions, pooling=pooling))
        gradients, logits = self.folder + "/gradients.h5", self.folder + "/logits.h5"
        run(["train", path, *overrides, "--dump-gradients", gradients])
        first = self.folder + "/runs/run/checkpoints/step-00000000.h5"
        run(["eval", first, "--split", "test", "--logits", logits])
        if change:
            change(gradients)
        done = subprocess.run([sys.executable, "-B", TWIN, "--checkpoint", first, "--gradients", gradients, "--logits",
                               logits], capture_output=True, text=True)
        return done

    def assert_agrees(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("agrees", done.stdout)

    def test_cls_with_learned_positions(self):
        self.listops()
        self.assert_agrees(self.compare("listops", "classify", "learned", "cls"))

    def test_mean_with_sinusoid(self):
        self.listops()
        self.assert_agrees(self.compare("listops", "classify", "sinusoid", "mean"))

    def test_pairs_with_two_and_four_features(self):
        self.pairs()
        self.assert_agrees(self.compare("pairs", "pairs", "sinusoid", "cls"))
        self.assert_agrees(self.compare("pairs", "pairs", "learned", "mean", "run.fresh=true", "model.pair_features=four"))

    def test_a_wrong_gradient_is_noticed(self):
        def spoil(path):
            with h5py.File(path, "r+") as f:
                group = f["parameters"] if "parameters" in f else f
                group["block.00.norm1.gain"][0] *= 1.01
        self.listops()
        done = self.compare("listops", "classify", "learned", "cls", change=spoil)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
