"""SIGKILL at random moments of training and saving, over and over: the run ends as if nothing had happened.

    kill_storm_test.py KILLS KILLS_ON_TWO_RANKS

The run is started, killed after a random time and started again; what a start finds on the disk is all that is left of
the one before. Checkpoints are written every other step, so that about half of the kills meet one that is being written.
"""
import contextlib
import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import h5py
import numpy as np

from programs import ProgramTest, main

KILLS = [int(word) for word in sys.argv[1:3]] or [20, 5]
STEPS = 60
SMALL = (f"training.steps={STEPS}", "checkpoint.every_steps=2", "evaluation.every_steps=7", "model.context=32",
         "model.width=16", "log.tensorboard=false")


class KillStormTest(ProgramTest):
    text_bytes = 2400

    def kill_one(self, process):
        """Kills a random rank after a random time; False where the run was over before."""
        if self.random.random() < 0.1:  # while it starts
            time.sleep(self.random.uniform(0, 0.3))
            self.counts["before the first step"] += 1
        else:
            for line in process.lines:
                if line.lstrip().startswith("step "):
                    break
            time.sleep(self.random.uniform(0, 0.15))
        while process.poll() is None and not (found := self.processes("parts")):
            time.sleep(0.001)  # the launcher has not started a rank yet
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(found), signal.SIGKILL)
        text = "".join(process.lines)
        status = process.wait(timeout=120)
        if status == 0:
            return False
        self.assertIn(status, (-signal.SIGKILL, 128 + signal.SIGKILL, 1), text)
        for line in text.splitlines():
            if "weft: error" in line:
                self.assertIn("has died", line)
        for _ in range(500):
            if not self.processes("parts"):
                return True
            time.sleep(0.02)
        self.fail("a process is left")

    def committed(self):
        """The newest committed step, and whether a checkpoint was being written."""
        try:
            files = os.listdir(self.run_folder("parts") + "/checkpoints")
        except FileNotFoundError:
            return 0, False
        return (max([int(f[5:-3]) for f in files if f[:5] + f[-3:] == "step-.h5"] or [0]),
                any("partial" in f for f in files))

    def storm(self, kills, ranks):
        self.random = random.Random(5)
        self.counts = {"kills": 0, "before the first step": 0, "while a checkpoint was written": 0, "whole runs": 0}
        self.train("whole", *SMALL)
        begin, before = time.monotonic(), 0
        while True:
            over = self.counts["kills"] >= kills
            process = self.start("parts", *SMALL, ranks=ranks)
            if not over and self.kill_one(process):
                self.counts["kills"] += 1
                now, writing = self.committed()
                self.counts["while a checkpoint was written"] += writing
                self.assertGreaterEqual(now, before, "a committed checkpoint is lost")
                before = now
                continue
            if over:
                self.finish(process, 0)
            self.as_if_undisturbed()
            self.counts["whole runs"] += 1
            if over:
                break
            shutil.rmtree(self.run_folder("parts"))
            before = 0
        print(f"{ranks} rank(s), {time.monotonic() - begin:.0f} s: {self.counts}", flush=True)
        if kills >= 20:
            self.assertGreater(self.counts["while a checkpoint was written"], 0)

    def as_if_undisturbed(self):
        self.assert_same_run("whole", "parts", STEPS)
        with h5py.File(self.run_folder("parts") + "/metrics.h5") as one:
            np.testing.assert_array_equal(one["steps/step"], np.arange(1, STEPS + 1))
            with h5py.File(self.run_folder("whole") + "/metrics.h5") as other:
                for column in ("step", "valid_loss"):
                    np.testing.assert_array_equal(one["epochs"][column], other["epochs"][column])
                self.assertEqual(float(one["final/test_loss"][()]), float(other["final/test_loss"][()]))

    def test_one_rank(self):
        self.storm(KILLS[0], 1)

    def test_one_of_two_ranks(self):
        self.storm(KILLS[1], 2)


if __name__ == "__main__":
    main()
