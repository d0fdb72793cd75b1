"""What a user types wrong, what eval prints, what a bad number does: statuses and messages of whole runs."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import h5py

from programs import WEFT, ProgramTest, main, run, steps


class TrainTest(ProgramTest):
    def test_all_mistakes_are_told_at_once_and_nothing_is_written(self):
        with open(self.input, "a") as file:
            file.write("\n[optimiser]\nlearning_rate = 1\n")
        done = self.train("wrong", "model.widht=3", "model.layers=-1", "training.steps=0", status=2)
        for part in ("optimiser", "did you mean", "model.width", "model.layers", "input.toml:", "command line"):
            self.assertIn(part, done.stderr)
        self.assertFalse(os.path.exists(self.folder + "/runs"))

    def test_a_missing_data_set_is_status_4(self):
        done = self.train("missing", f"data.path={self.folder}/nowhere", status=4)
        self.assertIn("nowhere", done.stderr)
        self.assertIn("weft prepare", done.stderr)
        self.assertFalse(os.path.exists(self.folder + "/runs"))

    def test_a_run_leaves_the_files_the_contract_names(self):
        self.train("files")
        folder = self.run_folder("files")
        for name in ("config.toml", "run.log", "metrics.h5", "provenance.json", "checkpoints/latest", "checkpoints/best.h5", "tb"):
            self.assertTrue(os.path.exists(f"{folder}/{name}"), name)
        with open(folder + "/checkpoints/latest") as file:
            self.assertEqual(file.read().strip(), "step-00000012.h5")
        with h5py.File(folder + "/metrics.h5") as file:
            self.assertEqual(list(file["steps/step"]), list(range(1, 13)))
            for name in ("epoch", "step", "train_loss", "train_bits", "valid_loss", "valid_bits", "valid_accuracy", "seconds"):
                self.assertEqual(len(file["epochs"][name]), len(file["epochs/step"]))
                self.assertIn("units", file["epochs"][name].attrs)
            self.assertLess(float(file["final/test_bits"][()]), 8)
        with open(folder + "/provenance.json") as file:
            self.assertEqual(len(json.load(file)["starts"]), 1)

    def test_evaluation_scores_every_byte_once_whatever_the_context(self):
        self.train("run")
        results = []
        for context in (0, 32, 63):
            path = f"{self.folder}/eval{context}.json"
            run(["eval", self.run_folder("run"), f"evaluation.minimum_context={context}", "--json", path])
            with open(path) as file:
                results.append(json.load(file))
        self.assertEqual(len({r["tokens"] for r in results}), 1)
        with h5py.File(self.run_folder("run") + "/metrics.h5") as file:
            self.assertAlmostEqual(results[0]["loss"], float(file["final/test_loss"][()]), places=12)
        self.assertNotEqual(results[0]["loss"], results[1]["loss"])

    def test_bad_numbers_end_the_run_with_status_3_and_a_name(self):
        done = self.train("bad", "optimizer.learning_rate=1e30", "optimizer.clip=0", "schedule.warmup_steps=0",
                          "training.steps=100", status=3)
        self.assertIn("10 steps in a row", done.stderr)
        self.assertIn("first seen in: ", done.stderr)

    def test_epochs_must_hold_the_schedule_and_be_countable(self):
        epochs = ("training.steps=0", "training.epochs=1")
        for command in ("check", "train"):
            done = run([command, self.input, *epochs, "schedule.warmup_steps=1000"], status=2)
            self.assertIn("schedule.warmup_steps is 1000, expected below the", done.stderr)
            done = run([command, self.input, "training.steps=0", "training.epochs=1e18"], status=2)
            self.assertIn("training.epochs", done.stderr)
        self.assertIn("the input is right", run(["check", self.input, *epochs, "schedule.warmup_steps=1000",
                                                 "schedule.kind='rsqrt'"]).stdout)
        self.assertIn("micro-batches", run(["check", self.input, "--ranks", "5"], status=2).stderr)
        self.assertIn("--dump-batches", self.train("x", "--dump-batches", "f", ranks=2, status=2).stderr)

    def test_the_start_is_told_in_a_few_lines_and_whole_in_the_log(self):
        done = self.train("run", "evaluation.test_at_end=true")
        self.assertLess(len(done.stdout.split("run folder")[0].splitlines()), 6)
        with open(self.run_folder("run") + "/run.log") as file:
            log = file.read()
        for row in ("  stride ", "memory per rank", "  optimiser moments ", "  kernels "):
            self.assertIn(row, log)
            self.assertNotIn(row, done.stdout)
        self.assertIn("memory per rank", self.train("loud", "training.steps=4", "--verbose").stdout)
        # Nothing is left to do, and nothing is done again.
        done = self.train("run", "evaluation.test_at_end=true")
        self.assertIn("this run is finished: step 12 of 12", done.stdout)
        self.assertNotIn("test ", done.stdout)

    def test_a_finished_run_keeps_the_settings_it_was_trained_with(self):
        self.train("run")
        with open(self.run_folder("run") + "/config.toml") as file:
            before = file.read()
        done = self.train("run", "training.steps=8", "run.seed=77", "run.changes=true")
        self.assertIn("nothing is trained: the run is at step 12 of 8", done.stdout)
        with open(self.run_folder("run") + "/config.toml") as file:
            self.assertEqual(file.read(), before)

    def test_output_that_cannot_be_written_is_an_error_but_for_training(self):
        self.train("run")
        for command in (["sample", self.run_folder("run"), "--length", "5"], ["eval", self.run_folder("run")],
                        ["check", self.input], ["inspect", self.run_folder("run")], ["help"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([WEFT, *command], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("weft: error", done.stderr)

    def test_patience_stops_early(self):
        done = self.train("early", "optimizer.learning_rate=1e-20", "training.patience=2", "evaluation.every_steps=1",
                          "training.steps=100")
        self.assertIn("early stop", done.stdout)
        self.assertLess(len(steps(self.run_folder("early"))["step"]), 20)

    def test_several_shards_train_to_the_same_bits(self):
        run(["prepare", "text", "--from", self.folder + "/text.txt", "--to", self.folder + "/data4", "--shards", "4"])
        self.train("one")
        self.train("four", f"data.path={self.folder}/data4")
        self.assert_same_run("one", "four", 12)

    def test_bf16_trains_and_continues_to_the_same_bits(self):
        constant = ("run.precision=bf16", "schedule.kind=constant")
        self.train("whole", *constant)
        self.train("parts", *constant, "training.steps=7")
        self.train("parts", *constant)
        self.assert_same_run("whole", "parts", 12)


if __name__ == "__main__":
    main()
