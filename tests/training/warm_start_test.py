"""model.init_from: a run begins with the weights of another one, or with all but its head, and says so."""
import hashlib
import json
import os
import shutil
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import write_input, write_split
from programs import ProgramTest, checkpoint_arrays, main, run

SHORT = ("training.steps=2", "schedule.warmup_steps=1", "checkpoint.initial=true", "checkpoint.keep=9", "evaluation.every_steps=0",
         "schedule.kind=constant")


class WarmStartTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.train("old", *SHORT, "run.seed=7")
        self.old = checkpoint_arrays(self.checkpoint("old", 2))

    def warm(self, name, *overrides, **how):
        return self.train(name, *SHORT, f"model.init_from={self.run_folder('old')}", *overrides, **how)

    def initial(self, name):
        return checkpoint_arrays(self.checkpoint(name, 0))

    def assert_weights(self, got, expected, names=None):
        for name in names or [n for n in expected if n.startswith("parameters/")]:
            np.testing.assert_array_equal(got[name], expected[name], name)

    def test_all_weights_are_those_of_the_checkpoint_and_the_optimiser_is_fresh(self):
        done = self.warm("new")
        got = self.initial("new")
        self.assert_weights(got, self.old)
        self.assertEqual([n for n in got if n.startswith("optimizer/") and got[n].any()], [])
        with h5py.File(self.checkpoint("new", 0)) as file:
            self.assertEqual((file.attrs["step"], file.attrs["updates"], file.attrs["samples"]), (0, 0, 0))
        tensors = [v for n, v in self.old.items() if n.startswith("parameters/")]
        self.assertIn(f"initial weights from {self.checkpoint('old', 2)} (step 2): {len(tensors)} of {len(tensors)} tensors, "
                      f"{sum(v.size for v in tensors):,} numbers", done.stdout)
        self.assertNotIn("left at their initial value", done.stdout)
        with open(self.run_folder("new") + "/run.log") as log:
            self.assertIn("  loaded: embedding.", log.read())

    def test_the_body_leaves_the_head_as_it_is_drawn(self):
        self.train("drawn", *SHORT, "run.seed=3")
        done = self.warm("new", "model.init_parts=body", "run.seed=3")
        got, drawn = self.initial("new"), self.initial("drawn")
        self.assert_weights(got, drawn, ["parameters/output.weight"])
        self.assert_weights(got, self.old, [n for n in self.old if n.startswith("parameters/") and "output" not in n])
        self.assertIn("; left at their initial value: output.weight; not used: output.weight", done.stdout)

    def test_shapes_that_differ_are_all_named_and_nothing_is_written(self):
        done = self.warm("new", "model.width=48", "model.layers=1", status=2)
        for told in ("model.init_from: ", "embedding.token: got (256, 32), expected (256, 48)", "and 19 more",
                     "model.width: saved 32, asked for 48", 'model.init_parts = "body"'):
            self.assertIn(told, done.stderr)
        self.assertFalse(os.path.exists(self.run_folder("new")))
        done = self.warm("new", "model.layers=4", "model.init_parts=body", status=2)
        self.assertRegex(done.stderr, r"and 12 more\n  model.layers: saved 2, asked for 4")
        self.assertRegex(done.stderr, r"block\.02\.norm1\.gain: got none, expected \(32\)")
        done = run(["check", self.input, f"model.init_from={self.run_folder('old')}", "model.width=48"], status=2)
        self.assertIn("expected (256, 48)", done.stderr)
        self.assertIn("initial weights from", run(["check", self.input, f"model.init_from={self.run_folder('old')}"]).stdout)

    def test_a_run_that_goes_on_keeps_its_own_weights(self):
        whole = ("training.steps=6",)
        self.warm("whole", *whole)
        self.warm("parts", "training.steps=3")
        shutil.rmtree(self.run_folder("old"))
        done = self.warm("parts", *whole)
        self.assertIn("continuing from", done.stdout)
        self.assertNotIn("initial weights from", done.stdout)
        self.assert_same_run("whole", "parts", 6)
        with open(self.run_folder("parts") + "/provenance.json") as file:
            starts = json.load(file)["starts"]
        self.assertEqual(starts[0]["init_from"], {"checkpoint": self.checkpoint("old", 2), "step": 2, "parts": "all"})
        self.assertIsNone(starts[1]["init_from"])
        done = self.warm("other", status=2)
        self.assertIn("model.init_from: " + self.run_folder("old") + " is neither a run folder nor a checkpoint file", done.stderr)
        self.assertFalse(os.path.exists(self.run_folder("other")))

    def test_ranks_change_no_bit(self):
        self.warm("one")
        self.warm("two", "parallel.shard_optimizer=true", ranks=2)
        self.assert_same_run("one", "two", 2)

    def test_a_run_does_not_move_away_the_weights_that_it_is_to_begin_with(self):
        done = self.train("old", *SHORT, f"model.init_from={self.run_folder('old')}", "run.fresh=true", status=2)
        self.assertIn("belongs to the run itself", done.stderr)
        self.assertEqual(os.listdir(self.folder + "/runs"), ["old"])

    def test_damage_and_numbers_that_are_none_are_refused(self):
        path = self.folder + "/copy.h5"
        shutil.copy(self.checkpoint("old", 2), path)
        with h5py.File(path, "a") as file:
            file["parameters/output.weight"][0, 0] += 1
        self.assertIn("is damaged", self.train("new", *SHORT, "model.init_from=" + path, status=4).stderr)
        shutil.copy(self.checkpoint("old", 2), path)
        with h5py.File(path, "a") as file:
            weights = file["parameters/output.weight"]
            weights[0, 0] = np.nan
            weights.attrs["sha256"] = hashlib.sha256(weights[()].tobytes()).hexdigest()
        self.assertIn("output.weight of " + path + " holds numbers that are not finite",
                      self.train("new", *SHORT, "model.init_from=" + path, status=4).stderr)
        self.assertIn("without model.init_from", self.train("x", "model.init_parts=body", status=2).stderr)

    def test_a_classifier_gets_another_number_of_classes(self):
        random = np.random.default_rng(2)
        for name, classes in (("three", 3), ("two", 2)):
            folder = f"{self.folder}/{name}"
            for split in ("train", "valid", "test"):
                write_split(folder + "/data", split, 20, random.integers(1, 20, (12, 16)), labels=np.arange(12) % classes,
                            classes=classes)
            write_input(folder + ".toml", folder, 16, 20)
        short = ("training.steps=1", "training.batch=4", "training.micro_batch=4", "checkpoint.initial=true",
                 "schedule.warmup_steps=0")
        run(["train", self.folder + "/three.toml", *short])
        warm = [f"model.init_from={self.folder}/three/runs/run", *short]
        text = run(["train", self.folder + "/two.toml", *warm], status=2).stderr
        self.assertIn("head.logits.bias: got (3), expected (2)", text)
        run(["train", self.folder + "/two.toml", *warm, "model.init_parts=body"])
        got = checkpoint_arrays(self.folder + "/two/runs/run/checkpoints/step-00000000.h5")
        old = checkpoint_arrays(self.folder + "/three/runs/run/checkpoints/step-00000001.h5")
        self.assertEqual(got["parameters/head.logits.bias"].shape, (2,))
        self.assert_weights(got, old, [n for n in old if n.startswith("parameters/") and ".head." not in n and "/head." not in n])


if __name__ == "__main__":
    main()
