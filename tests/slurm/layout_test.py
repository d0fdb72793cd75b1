"""What job scripts hand to weft, without a cluster: the row, what the layout sets, and that so many ranks have work."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, main, run

SOURCE = os.environ.get("WEFT_SOURCE", os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")))


class LayoutTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        with open(self.folder + "/srun", "w") as out:  # tells what it is to start, a word a line
            out.write('#!/bin/sh\nprintf "%s\\n" "$@"\nexit "${SRUN_STATUS:-0}"\n')
        with open(self.folder + "/scontrol", "w") as out:
            out.write(f'#!/bin/sh\necho "$@" > {self.folder}/requeued\n')
        for name in ("srun", "scontrol"):
            os.chmod(f"{self.folder}/{name}", 0o755)

    def started(self, script, *arguments, status=0, **environment):
        """The words behind `weft train`."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("WEFT_", "SLURM_"))}
        env.update(PATH=self.folder + ":" + env["PATH"], SLURM_SUBMIT_DIR=SOURCE, SLURM_JOB_ID="7", WEFT=WEFT, WEFT_RUNS="elsewhere",
                   **environment)
        done = subprocess.run(["bash", f"slurm/{script}.sh", *arguments], cwd=SOURCE, env=env, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        words = done.stdout.splitlines()
        return words[words.index("train") + 1:] if "train" in words else done.stderr

    def asked(self, script, name):
        with open(f"{SOURCE}/slurm/{script}.sh") as file:
            found = re.search(rf"^#SBATCH --{name}=(\S+)", file.read(), re.M)
        return int(found[1]) if found else 1

    def test_every_layout_has_work_for_its_ranks(self):
        for script, precision in (("enwik8_4xa100", "bf16"), ("enwik8_8xv100", "fp16"), ("cifar10_4xa100", "bf16"),
                                  ("cifar10_8xv100", "fp16"), ("imagenet64_4xa100", "bf16"), ("imagenet64_64xv100", "fp16")):
            with self.subTest(script):
                ranks = self.asked(script, "nodes") * self.asked(script, "ntasks-per-node")
                self.assertEqual(ranks, {"4": 4 * self.asked(script, "nodes"), "8": 8, "6": 64}[script.split("_")[1][0]])
                words = self.started(script)
                # The model made small: what is checked is how the batch is shared out.
                told = run(["check", f"{SOURCE}/{words[0]}", *words[1:], "model.layers=1", "model.recompute=none",
                            "attention.combination=merged", "--ranks", str(ranks)]).stdout
                self.assertIn("the input is right", told)
                resolved = run(["check", f"{SOURCE}/{words[0]}", *words[1:], "--resolved"]).stdout
                self.assertRegex(resolved, rf'(?m)^precision = "{precision}"')

    def test_a_row_is_named_by_the_first_word_and_keys_of_the_command_line_win(self):
        self.assertEqual(self.started("cifar10"), ["inputs/cifar10/strided.toml", "run.directory=elsewhere"])
        self.assertEqual(self.started("cifar10", "dense_small", "run.seed=3"),
                         ["inputs/cifar10/dense_small.toml", "run.directory=elsewhere", "run.seed=3"])
        self.assertEqual(self.started("enwik8_8xv100", "strided", "training.micro_batch=2"),
                         ["inputs/enwik8/strided.toml", "run.directory=elsewhere", "run.precision=fp16", "training.micro_batch=1",
                          "training.micro_batch=2"])
        told = self.started("cifar10", "nosuch", status=2)
        self.assertIn("got the row nosuch, expected one of", told)
        self.assertIn("strided.toml", told)

    def test_seeds_and_stops_are_those_of_every_job(self):
        words = self.started("cifar10", SLURM_ARRAY_TASK_ID="2")
        self.assertEqual(words[-2:], ["run.seed=2", "run.name=cifar10_strided_seed2"])
        self.started("cifar10", SRUN_STATUS="75")
        with open(self.folder + "/requeued") as file:
            self.assertEqual(file.read(), "requeue 7\n")
        self.started("cifar10", SRUN_STATUS="3", status=3)


if __name__ == "__main__":
    main()
