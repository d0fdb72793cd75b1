"""One training step of a small model, for a twin in another library to compare: weights, gradients, logits.

    sizes = one_step.listops(folder)                           a data set of short lists: its name, task, context, vocabulary
    files = one_step.take(folder, TEXT.format(folder=folder, **sizes))
    done = one_step.judged("lru_twin.py", files)               status 0 and "agrees" where the twin has the same numbers
"""
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

import packages
from programs import run

# Of an input file: which run and data, a small encoder, and one step over a training split of twelve rows.
RUN = """
[run]
name = "run"
directory = "{folder}/runs"
[data]
path = "{folder}/{data}"
task = "{task}"
"""
ENCODER = """[model]
family = "arena"
layers = 2
width = 32
heads = 4
feedforward = 48
context = {context}
vocabulary = {vocabulary}
"""
ONE_STEP = """
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


def classifier(family, text, width=24):
    """An input file for one step of this family in two layers; text: further lines of [model] and on."""
    return RUN + f"""[model]
family = "{family}"
layers = 2
width = {width}
context = {{context}}
vocabulary = {{vocabulary}}
""" + text + ONE_STEP


def listops(folder):
    run(["generate", "listops", "--to", folder + "/listops", "--examples", "12,4,6", "--max-depth", "4",
         "--max-arguments", "5", "--min-length", "10", "--max-length", "60"])
    return sizes_of(folder, "listops", "classify")


def sizes_of(folder, data, task):
    import h5py
    with h5py.File(f"{folder}/{data}/train-00000-of-00001.h5") as file:
        return {"data": data, "task": task, "context": file["tokens"].shape[1], "vocabulary": int(file.attrs["vocabulary"])}


def take(folder, text):
    """Trains by the input file; the weights before the step, the gradients, the logits of the test split: their files."""
    with open(folder + "/input.toml", "w", encoding="ascii") as file:
        file.write(text)
    first, gradients, logits = folder + "/runs/run/checkpoints/step-00000000.h5", folder + "/gradients.h5", folder + "/logits.h5"
    run(["train", folder + "/input.toml", "run.fresh=true", "--dump-gradients", gradients])
    run(["eval", first, "--split", "test", "--logits", logits])
    return first, gradients, logits


def judged(twin, files):
    """The finished process of a twin beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), twin)
    options = [word for pair in zip(("--checkpoint", "--gradients", "--logits"), files) for word in pair]
    return subprocess.run([sys.executable, "-B", path, *options], capture_output=True, text=True, check=False)


def torch_or_skip():
    if importlib.util.find_spec("torch") is None:
        packages.skip("PyTorch is not installed (Debian: python3-torch)")


class Judged(unittest.TestCase):
    """Compares a classifier with its twin after one step over short lists, or over pairs of documents."""
    text, twin = "", ""  # an input file with {more} among the keys of [model]; the file beside this one

    def setUp(self):
        torch_or_skip()
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def compare(self, more="", task="classify", change=None):
        if task == "pairs":
            os.makedirs(self.folder + "/texts")
            words = "states turn and shrink while the lines of a long song go by".split()
            for n in range(60):
                with open(f"{self.folder}/texts/{n:02d}.txt", "w", encoding="ascii") as f:
                    f.write(" ".join(words[(n * k * k + k) % len(words)] + str(n) for k in range(40)))
            run(["generate", "pairs", "--from", self.folder + "/texts", "--to", self.folder + "/pairs", "--examples",
                 "12,4,6", "--length", "64"])
            sizes = sizes_of(self.folder, "pairs", task)
        else:
            sizes = listops(self.folder)
        files = take(self.folder, self.text.format(folder=self.folder, more=more, **sizes))
        if change:
            change(files[1])
        return judged(self.twin, files)

    def assert_agrees(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("agrees", done.stdout)


class Recurrent(Judged):
    """Of a family of recurrences."""
    spoilt = ""  # a tensor whose wrong gradient is to be noticed

    def test_from_both_ends(self):
        self.assert_agrees(self.compare())

    def test_from_the_front_with_norms_behind(self):
        self.assert_agrees(self.compare('bidirectional = false\nstream = "post_norm"'))

    def test_pairs(self):
        self.assert_agrees(self.compare('pair_features = "four"', "pairs"))

    def test_a_wrong_gradient_is_noticed(self):
        import h5py

        def spoil(path):
            with h5py.File(path, "r+") as f:
                group = f["parameters"] if "parameters" in f else f
                group[self.spoilt][...] *= 1.01
        self.assertEqual(self.compare(change=spoil).returncode, 1)

