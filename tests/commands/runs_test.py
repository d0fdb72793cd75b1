"""weft runs and weft metrics: what a person, and another program, learns of runs without opening HDF5."""
import csv
import fcntl
import io
import json
import math
import os
import struct
import sys

import h5py

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run, steps  # noqa: E402

F_OFD_SETLK = 37


class RunsTest(ProgramTest):
    def listed(self, *arguments, **how):
        """The rows of the list, by run."""
        done = run(["runs", self.folder + "/runs", "--csv", *arguments], **how)
        return {row["run"]: row for row in csv.DictReader(io.StringIO(done.stdout))}

    def metrics(self, *arguments):
        return run(["metrics", self.run_folder("model"), *arguments]).stdout

    def test_a_finished_run(self):
        self.train("model", "evaluation.test_at_end=true")
        row = self.listed()["model"]
        with h5py.File(self.run_folder("model") + "/metrics.h5") as file:
            self.assertEqual(float(row["best_valid"]), file["epochs/valid_bits"][()].min())
            self.assertEqual(float(row["test"]), file["final/test_bits"][()])
            self.assertAlmostEqual(float(row["seconds"]), file["steps/seconds"][()].sum(), places=9)
        self.assertEqual((row["step"], row["planned_steps"], row["score"]), ("12", "12", "bits"))
        self.assertEqual((row["state"], row["seconds_left"]), ("finished at step 12 (status 0)", ""))
        lines = run(["runs", self.folder + "/runs"]).stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], "^run +step +best valid +test +time +left +state$")
        self.assertRegex(lines[1], r"^model +12 of 12 +[\d.]+ bits +[\d.]+ bits +[\d.]+ m?s +- +finished at step 12")
        self.assertEqual(run(["runs", self.run_folder("model") + "/"]).stdout.splitlines()[1].split()[0], "model")

    def test_states(self):
        process = self.start("long", "training.steps=100000", "checkpoint.every_steps=1")
        self.wait_for(process, "step", "valid")  # behind a checkpoint
        row = self.listed()["long"]
        self.assertEqual(row["state"], "running")
        self.assertGreater(float(row["seconds_left"]), 0)
        process.kill()
        process.wait()
        self.assertIn("no end", self.listed()["long"]["state"])
        process = self.start("long", "training.steps=100000")
        self.wait_for(process, "step ")
        open(self.run_folder("long") + "/STOP", "w").close()
        self.finish(process, 75)
        self.assertIn("(status 75)", self.listed()["long"]["state"])

    def test_to_look_takes_no_lock(self):
        self.train("model")
        with open(self.run_folder("model") + "/lock", "r+") as lock:
            fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            self.assertEqual(self.listed()["model"]["state"], "running")
        self.assertEqual(self.listed()["model"]["state"], "finished at step 12 (status 0)")

    def test_what_is_no_run_or_damaged(self):
        os.makedirs(self.folder + "/runs/notes")
        self.assertIn("no run in", run(["runs", self.folder + "/runs"]).stdout)
        self.assertIn("there is no folder", run(["runs", self.folder + "/missing"], status=2).stderr)
        self.train("model")
        self.train("other")
        with open(self.run_folder("model") + "/metrics.h5", "r+b") as file:
            file.truncate(100)
        rows = self.listed(status=4)
        self.assertIn("metrics.h5", rows["model"]["state"])
        self.assertEqual(rows["other"]["step"], "12")

    def test_metrics_are_those_of_the_file(self):
        self.train("model", "evaluation.test_at_end=true")
        wanted = steps(self.run_folder("model"))
        for option in ((), ("--csv",)):
            rows = list(csv.DictReader(io.StringIO(self.metrics(*option))))
            self.assertEqual(set(rows[0]), set(wanted))
            for name, values in wanted.items():
                for row, value in zip(rows, values):
                    self.assertTrue(row[name] == "" if math.isnan(value) else float(row[name]) == value, name)
        self.assertEqual(len(rows), 12)
        with h5py.File(self.run_folder("model") + "/metrics.h5") as file:
            epochs = {name: file["epochs"][name][()] for name in file["epochs"]}
            test = {name: file["final"][name][()] for name in file["final"]}
        rows = list(csv.DictReader(io.StringIO(self.metrics("--evaluations"))))
        self.assertEqual([float(row["valid_bits"]) for row in rows], list(epochs["valid_bits"]))
        self.assertEqual(set(rows[0]), set(epochs))
        lines = [json.loads(line) for line in self.metrics("--jsonl").splitlines()]
        self.assertEqual([line["kind"] for line in lines], ["step"] * 6 + ["evaluation"] + ["step"] * 6 + ["evaluation", "test"])
        self.assertEqual([line["loss"] for line in lines if line["kind"] == "step"], list(wanted["loss"]))
        for line, value in zip((line for line in lines if line["kind"] == "step"), wanted["energy_j"]):
            self.assertEqual(line["energy_j"], None if math.isnan(value) else value)
        self.assertEqual({name: lines[-1][name] for name in test}, test)
        lines = [json.loads(line)["kind"] for line in self.metrics("--jsonl", "--evaluations").splitlines()]
        self.assertEqual(lines, ["evaluation", "evaluation", "test"])

    def test_metrics_of_nothing(self):
        self.assertIn("no metrics.h5", run(["metrics", self.folder], status=2).stderr)
        self.assertIn("neither a run folder", run(["metrics", self.folder + "/missing"], status=2).stderr)
        run(["metrics", self.input], status=4)
        self.assertIn("--csv", run(["metrics", self.folder, "--csv", "--jsonl"], status=2).stderr)


if __name__ == "__main__":
    main()
