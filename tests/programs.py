"""What the whole-program tests share: a small data set, input files, running weft on ranks, comparing checkpoints."""
import os
import queue
import subprocess
import sys
import tempfile
import threading
import unittest

import h5py
import numpy as np

from examples import RUN

WEFT = os.environ["WEFT"]
MPIEXEC = os.environ.get("MPIEXEC", "mpiexec")

INPUT = RUN + """[model]
layers = 2
width = 32
heads = 2
context = 64
dropout = 0.1
[attention]
pattern = "fixed"
stride = 16
summary = 4
[optimizer]
learning_rate = 3e-3
[schedule]
warmup_steps = 3
[training]
steps = 12
batch = 4
micro_batch = 1
[checkpoint]
every_steps = 5
[evaluation]
every_steps = 6
[log]
every_steps = 1
"""


def run(arguments, ranks=1, threads=1, status=0, environment=None, timeout=240):
    """Runs weft; fails unless it ends with the expected status (None: any). Returns the finished process."""
    command = [WEFT, *arguments]
    if ranks > 1:
        command = [MPIEXEC, "-n", str(ranks), *command]
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), **(environment or {}))
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="surrogateescape", timeout=timeout,
                          stdin=subprocess.DEVNULL)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}, expected {status}\n"
                             f"{done.stdout}\n{done.stderr}")
    return done


def train_copy(folder, text, examples, length):
    """Generates a copy task as `folder`/data, writes `text` as `folder`/input.toml and trains it. The folder of the run."""
    run(["generate", "copy", "--to", folder + "/data", "--examples", examples, "--length", str(length), "--symbols", "15"])
    with open(folder + "/input.toml", "w", encoding="ascii") as file:
        file.write(text.format(directory=folder))
    run(["train", folder + "/input.toml"])
    return folder + "/runs/run"


def checkpoint_arrays(path):
    arrays = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: arrays.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return arrays


def steps(folder):
    with h5py.File(folder + "/metrics.h5", "r") as file:
        return {name: file["steps"][name][()] for name in file["steps"]}


class Started(subprocess.Popen):
    """A run that goes on while the test does; `lines` gives what it prints, its errors too, and waits for more.

    A thread takes the lines as they come: a run with a full pipe would wait for its test, and the test for the run.
    """

    def __init__(self, command, environment):
        super().__init__(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="surrogateescape")
        taken = queue.SimpleQueue()
        self.lines = iter(taken.get, None)
        threading.Thread(target=self.take, args=(taken,), daemon=True).start()

    def take(self, taken):
        with self.stdout:
            for line in self.stdout:
                taken.put(line)
        taken.put(None)


class FolderTest(unittest.TestCase):
    """A folder for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = scratch.name


class ProgramTest(unittest.TestCase):
    """A folder of its own for each test, with a text data set and the input file above."""

    text_bytes = 6000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-test-")
        self.addCleanup(__import__("shutil").rmtree, self.folder, ignore_errors=True)
        generator = np.random.default_rng(3)
        words = ["the ", "cat ", "sat ", "on ", "a ", "mat. ", "warp ", "and ", "weft "]
        text = "".join(generator.choice(words) for _ in range(self.text_bytes // 4))
        with open(self.folder + "/text.txt", "w") as file:
            file.write(text)
        run(["prepare", "text", "--from", self.folder + "/text.txt", "--to", self.folder + "/data"])
        self.input = self.folder + "/input.toml"
        with open(self.input, "w") as file:
            file.write(INPUT.format(directory=self.folder))

    def train(self, name, *overrides, **how):
        return run(["train", self.input, f"run.name={name}", *overrides], **how)

    def start(self, name, *overrides, ranks=1, environment=None):
        """Starts a run and returns at once."""
        command = [WEFT, "train", self.input, f"run.name={name}", *overrides]
        if ranks > 1:
            command = [MPIEXEC, "-n", str(ranks), *command]
        return Started(command, dict(os.environ, OMP_NUM_THREADS="1", **(environment or {})))

    def wait_for(self, process, *parts):
        """Reads the run's lines up to one that holds all the parts."""
        read = []
        for line in process.lines:
            read.append(line)
            if all(part in line for part in parts):
                return "".join(read)
        self.fail(f"no line with {parts}; the run ended with {process.wait()}:\n{''.join(read)}")

    def finish(self, process, status, timeout=120):
        """The rest of the lines of a run that ends with this status."""
        text = "".join(process.lines)
        self.assertEqual(process.wait(timeout=timeout), status, text)
        return text

    def processes(self, name):
        """Numbers of this test's weft processes that train the run, in the order they were started."""
        found, marks = [], {self.input.encode(), f"run.name={name}".encode()}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if marks.issubset(words) and os.path.realpath(f"/proc/{entry}/exe") == os.path.realpath(WEFT):
                    found.append(int(entry))
            except OSError:
                pass  # it is gone
        return sorted(found)

    def run_folder(self, name):
        return f"{self.folder}/runs/{name}"

    def checkpoint(self, name, step):
        return f"{self.run_folder(name)}/checkpoints/step-{step:08d}.h5"

    def assert_same_run(self, one, other, step):
        """Loss and gradient norm of every step and every number of the checkpoint, bit for bit."""
        a, b = steps(self.run_folder(one)), steps(self.run_folder(other))
        for column in ("step", "tokens", "loss", "accuracy", "lr", "gradient_norm"):
            np.testing.assert_array_equal(a[column], b[column], err_msg=column)
        left, right = (checkpoint_arrays(self.checkpoint(name, step)) for name in (one, other))
        self.assertEqual(sorted(left), sorted(right))
        self.assertGreater(len(left), 3 * 20)
        for name in left:
            self.assertTrue(np.all(np.isfinite(left[name])), name)
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def main():
    unittest.main(verbosity=2, argv=[sys.argv[0]])
