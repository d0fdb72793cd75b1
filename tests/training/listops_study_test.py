"""Every input of the ListOps study and of its comparisons trains: a few steps on lists that its own command generates.

The commands stand in the inputs and are those of slurm/listops_study.sh --data; the lists are few here, and where the command
asks for the arena's long ones, short. Models are the inputs' own but for the widths of the largest three.
"""
import glob
import os
import re
import subprocess
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import FolderTest, main, run  # noqa: E402

SOURCE = os.environ.get("WEFT_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SMALL = ("model.layers=1", "model.width=48", "model.heads=4", "model.feedforward=64", "model.context=512")
LARGE = {"C": SMALL, "C_as_published": SMALL, "D": SMALL, "E": SMALL, "E_as_published": SMALL,
         "B": ("model.layers=1", "model.context=512"), "F": ("model.context=1024",), "F_as_published": ("model.context=1024",),
         "H": ("model.context=512", "model.state_width=32"), "H_as_published": ("model.state_width=32",),
         "short": ("model.context=512", "model.layers=1"), "long": ("model.context=512", "model.layers=1")}


class ListOpsStudyTest(FolderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        listed = subprocess.run(["slurm/listops_study.sh", "--data", "--list"], cwd=SOURCE, capture_output=True, text=True,
                                timeout=60, check=True).stdout.splitlines()
        cls.commands = {re.search(r"--to (\S+)", line)[1]: line.split()[1:] for line in listed}
        cls.inputs = sorted(path for folder in ("listops_study", "listops_depth")
                            for path in glob.glob(f"{SOURCE}/inputs/{folder}/*.toml") if not path.endswith("base.toml"))
        cls.made = {}

    def data(self, path, context):
        """The folder of a data set, small, with rows of so many tokens."""
        if (path, context) in self.made:
            return self.made[path, context]
        command = list(self.commands[path])
        to = self.folder + "/" + path + str(context)
        for option, value in (("--examples", "48,24,24"), ("--to", to), ("--length", str(context)),
                              ("--min-length", "20"), ("--max-length", "120")):
            if option in command:
                command[command.index(option) + 1] = value
            elif option == "--examples" or ("2018" not in command and option in ("--min-length", "--max-length")):
                command += [option, value]
        run(command)
        self.made[path, context] = to
        return to

    def test_every_command_is_of_an_input_and_every_input_has_one(self):
        wanted = set()
        for path in self.inputs:
            with open(path, encoding="utf-8") as f:
                wanted |= set(re.findall(r'^path = "(.*)"', f.read(), re.M))
        self.assertEqual(wanted, set(self.commands))
        for command in self.commands.values():
            self.assertEqual(command[:2], ["generate", "listops"])

    def test_every_input_trains_validates_and_is_tested(self):
        self.assertEqual(len(self.inputs), 21)
        for path in self.inputs:
            name = os.path.splitext(os.path.basename(path))[0]
            with self.subTest(name):
                text, file = "", path
                while file:  # the file's own keys, then those of what it starts from
                    with open(file, encoding="utf-8") as f:
                        own = f.read()
                    text += own
                    base = re.match(r'base = "(.*)"', own)
                    file = os.path.join(os.path.dirname(file), base[1]) if base else None
                keys = LARGE.get(name, ())
                context = next((k.split("=")[1] for k in keys if k.startswith("model.context=")),
                               re.search(r"^context = (\d+)", text, re.M)[1])
                data = self.data(re.search(r'^path = "(.*)"', text, re.M)[1], context)
                folder = f"{self.folder}/runs/{name}"
                run(["train", path, *keys, f"data.path={data}", f"run.name={name}", f"run.directory={self.folder}/runs",
                     "run.precision=fp32", "data.fraction=1", "schedule.warmup_steps=0", "training.epochs=0",
                     "training.steps=3", "training.batch=4", "training.micro_batch=2", "evaluation.every_steps=3",
                     "log.every_steps=1"])
                with h5py.File(folder + "/metrics.h5") as f:
                    loss, accuracy = f["steps/loss"][()], f["steps/accuracy"][()]
                    self.assertEqual(len(loss), 3)
                    self.assertTrue(np.isfinite(loss).all() and np.isfinite(accuracy).all())
                    self.assertLess(abs(loss[0] - np.log(10)), 1.5)
                    self.assertIn("test_accuracy", f["final"])
                    self.assertTrue(np.isfinite(f["epochs/valid_accuracy"][-1]))

    def test_a_tenth_of_the_training_rows_is_taken_where_the_input_says_so(self):
        data = self.data("data/listops_study/d20", "1024")
        told = run(["check", f"{SOURCE}/inputs/listops_study/G.toml", f"data.path={data}", "training.batch=1",
                    "training.micro_batch=1"])
        self.assertRegex(told.stdout + told.stderr, r": 5 training examples")  # of 48

    def test_the_loss_of_close_classes_falls_and_costs_more_than_the_entropy(self):
        data = self.data("data/listops_study/d20_512", "512")
        losses = {}
        for function in ("cross_entropy", "class_proximity"):
            run(["train", f"{SOURCE}/inputs/listops_study/K.toml", f"data.path={data}", f"run.name={function}",
                 f"run.directory={self.folder}/runs", f"loss.function={function}", "schedule.warmup_steps=0",
                 "training.epochs=0", "training.steps=60", "training.batch=8", "training.micro_batch=8",
                 "evaluation.every_steps=0", "model.dropout=0", "attention.dropout=0"])
            with h5py.File(f"{self.folder}/runs/{function}/metrics.h5") as f:
                losses[function] = f["steps/loss"][()]
        self.assertLess(losses["class_proximity"][-12:].mean(), losses["class_proximity"][:6].mean())
        self.assertGreater(losses["class_proximity"][0], losses["cross_entropy"][0] + 0.1)

    def test_a_run_goes_on_with_the_rows_that_it_began_with(self):
        data = self.data("data/listops_study/d20_512", "512")
        keys = [f"{SOURCE}/inputs/listops_study/K.toml", f"data.path={data}", "run.name=rows",
                f"run.directory={self.folder}/runs", "schedule.warmup_steps=0", "training.epochs=0", "evaluation.every_steps=0"]
        run(["train", *keys, "data.fraction=0.5", "training.steps=2"])
        refused = run(["train", *keys, "data.fraction=0.25", "training.steps=4"], status=2)
        self.assertIn("other rows of the data set (data.fraction, data.min_length, data.max_length)", refused.stderr)
        run(["train", *keys, "data.fraction=0.25", "training.steps=4", "run.changes=true"])


if __name__ == "__main__":
    main()
