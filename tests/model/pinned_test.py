"""A checkpoint of the first release (pinned/) still loads, gives the logits it gave then, and trains on with the losses
it had then.

Bit for bit where the instruction set and the version of the matrix library are those of the recording: Weft's own sums
have a fixed order, and the library keeps its order on one instruction set (tests ask for avx2, which every supported
processor has). Another version of the library, or a GPU, may add in another order; then 1e-5 of the largest logit is
allowed, some hundred times the rounding of one sum. pinned/ was written by
  unshare -u sh -c 'hostname pinned; WEFT=build/cpu/weft python3 tests/model/pinned_test.py record'
and is never written again: what a new release computes is no judge of itself.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from programs import WEFT, checkpoint_arrays, main  # noqa: E402

PINNED = os.path.join(HERE, "pinned")
STEP = 5
INPUT = """
[run]
name = "pinned"
seed = 11
[data]
path = "data"
[model]
layers = 1
width = 16
heads = 2
context = 32
vocabulary = 32
dropout = 0.1
embedding_scale = 8.0
position_scale = 8.0
weight_scale = 2.0
[attention]
pattern = "fixed"
stride = 8
summary = 2
combination = "heads"
[optimizer]
learning_rate = 1e-2
[schedule]
kind = "constant"
[training]
steps = 5
batch = 4
micro_batch = 2
[evaluation]
every_steps = 0
[debug]
isa = "avx2"
[log]
tensorboard = false
"""


def text():
    """5,000 bytes below 32, the same everywhere: a walk with a rhythm, so that there is something to learn."""
    x, at, out = 1, 0, bytearray()
    for i in range(5000):
        x = (x * 1103515245 + 12345) % 2**31
        at = (at + (1, 1, 2, 5)[x >> 29]) % 32 if i % 7 else 0
        out.append(at)
    return bytes(out)


class Folder:
    """A folder with the data set and the input; programs run in it, so that no path stands in what they write."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="weft-pinned-")
        with open(self.path + "/text", "wb") as file:
            file.write(text())
        with open(self.path + "/input.toml", "w", encoding="utf-8") as file:
            file.write(INPUT)
        self.weft("prepare", "text", "--from", "text", "--to", "data")
        for shard in glob.glob(self.path + "/data/*.h5"):  # a small model: no tables for bytes that never come
            with h5py.File(shard, "r+") as file:
                file.attrs["vocabulary"] = 32

    def weft(self, *arguments):
        done = subprocess.run([WEFT, *arguments], cwd=self.path, capture_output=True, text=True, timeout=240,
                              env=dict(os.environ, OMP_NUM_THREADS="1"), stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"weft {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def checkpoint(self, step):
        return f"{self.path}/runs/pinned/checkpoints/step-{step:08d}.h5"

    def logits(self):
        """Tokens (N) and logits (N, V) of the first window of the test split, by the checkpoint of STEP."""
        self.weft("eval", self.checkpoint(STEP), "--split", "test", "--logits", "logits.h5")
        with h5py.File(self.path + "/logits.h5", "r") as file:
            return file["tokens"][0].astype(int), file["logits"][0].astype(np.float32)

    def train_on(self):
        """The losses of the two steps behind STEP: one is of the loaded weights, one of what Adam makes of them."""
        self.weft("train", "input.toml", f"training.steps={STEP + 2}", "--dump-losses", "losses.txt")
        return np.loadtxt(self.path + "/losses.txt")[-2:]


def record():
    folder = Folder()
    folder.weft("train", "input.toml")
    os.makedirs(PINNED, exist_ok=True)
    shutil.copy(folder.checkpoint(STEP), PINNED + "/checkpoint.h5")
    tokens, logits = folder.logits()
    np.savetxt(PINNED + "/logits.txt", np.column_stack([tokens, logits]), fmt=["%d"] + ["%.9g"] * logits.shape[1],
               header="token, then its logits; first window of the test split")
    np.savetxt(PINNED + "/losses.txt", folder.train_on(), fmt=["%d", "%.9g"], header="step, loss")
    shutil.rmtree(folder.path)


class PinnedTest(unittest.TestCase):
    def setUp(self):
        self.folder = Folder()
        self.addCleanup(shutil.rmtree, self.folder.path, ignore_errors=True)
        os.makedirs(os.path.dirname(self.folder.checkpoint(STEP)))
        shutil.copy(PINNED + "/checkpoint.h5", self.folder.checkpoint(STEP))

    def exact(self):
        """Whether this program multiplies as the recording did: the same matrix library on the same instruction set."""
        with h5py.File(PINNED + "/checkpoint.h5", "r") as file:
            libraries, devices = (file.attrs[key] for key in ("libraries", "devices"))
        library = next(one.split()[1] for one in str(libraries).split("; ") if one.startswith("oneDNN"))
        self.assertTrue(str(devices).endswith("avx2"), devices)
        words = dict(line.split(maxsplit=1) for line in self.folder.weft("--version").splitlines())
        return words.get("oneDNN") == library and "CUDA ON" not in words["build"]

    def assert_as_pinned(self, got, pinned):
        self.assertEqual(got.shape, pinned.shape)
        if self.exact():
            np.testing.assert_array_equal(got, pinned)
        error = np.abs(got - pinned).max() / np.abs(pinned).max()
        self.assertTrue(error <= 1e-5, error)

    def test_the_logits_are_those_of_the_recording(self):
        pinned = np.loadtxt(PINNED + "/logits.txt")
        tokens, logits = self.folder.logits()
        np.testing.assert_array_equal(tokens, pinned[:, 0].astype(int))
        self.assertGreater(np.abs(pinned[:, 1:]).max(), 0.5)  # five steps have moved them from zero
        self.assert_as_pinned(logits, pinned[:, 1:].astype(np.float32))

    def test_training_goes_on_with_the_losses_of_the_recording(self):
        losses = self.folder.train_on()
        pinned = np.loadtxt(PINNED + "/losses.txt")
        np.testing.assert_array_equal(losses[:, 0], [STEP + 1, STEP + 2])
        self.assert_as_pinned(losses[:, 1], pinned[:, 1])
        before, after = (checkpoint_arrays(self.folder.checkpoint(step)) for step in (STEP, STEP + 2))
        self.assertEqual(sorted(before), sorted(after))
        for name, array in after.items():
            self.assertTrue(np.all(np.isfinite(array)), name)
            self.assertTrue(np.any(array != before[name]), name)

    def test_a_changed_weight_would_be_noticed(self):
        _, good = self.folder.logits()
        self.folder.weft("train", "input.toml", f"training.steps={STEP + 1}")
        shutil.copy(self.folder.checkpoint(STEP + 1), self.folder.checkpoint(STEP))
        self.assertFalse(np.array_equal(self.folder.logits()[1], good))


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        record()
    else:
        main()
