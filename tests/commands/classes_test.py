"""weft eval of a classifier: accuracy by length and the confusion matrix add up to the score, on any number of ranks."""
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import write_input, write_split  # noqa: E402
from programs import FolderTest, main, run  # noqa: E402

LENGTHS = np.array([3, 5, 9, 20])


class ClassesTest(FolderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        random = np.random.default_rng(7)
        cls.lengths, cls.labels = {}, {}
        for split, n in (("train", 64), ("valid", 16), ("test", 37)):
            lengths = random.choice(LENGTHS, n)
            labels = random.integers(0, 3, n)
            tokens = random.integers(1, 12, (n, 20)) * (np.arange(20) < lengths[:, None])
            write_split(cls.folder + "/data", split, 12, tokens, lengths, labels, 3)
            cls.lengths[split], cls.labels[split] = lengths, labels
        write_input(cls.folder + "/input.toml", cls.folder, 20, 12)
        run(["train", cls.folder + "/input.toml", "training.steps=4", "training.batch=16", "training.micro_batch=8",
             "schedule.warmup_steps=0"])
        cls.trained = cls.folder + "/runs/run"

    def evaluate(self, split, *arguments, **how):
        """The record, the rows of accuracy by length, and what was printed."""
        record, rows = self.folder + "/record.json", self.folder + "/lengths.csv"
        done = run(["eval", self.trained, "--split", split, "--json", record, "--by-length", rows, *arguments], **how)
        with open(record, encoding="utf-8") as file:
            parsed = json.load(file)
        with open(rows, encoding="ascii") as file:
            self.assertEqual(file.readline(), "length,accuracy,count\n")
            return parsed, [tuple(float(x) for x in line.split(",")) for line in file], done.stdout

    def test_accuracy_by_length_adds_up_to_the_accuracy(self):
        for split in ("train", "valid", "test"):
            record, rows, printed = self.evaluate(split)
            lengths, counts = np.unique(self.lengths[split], return_counts=True)
            self.assertEqual([row[0] for row in rows], list(lengths))
            self.assertEqual([row[2] for row in rows], list(counts))
            right = sum(accuracy * count for _, accuracy, count in rows)
            self.assertAlmostEqual(right / counts.sum(), record["accuracy"], places=5)
            self.assertEqual(record["examples"], counts.sum())
            self.assertNotIn("bits", record)
            self.assertIn("accuracy by true length", printed)
            self.assertIn(f"{split} split of {self.folder}/data: accuracy {100 * record['accuracy']:.2f} %", printed)

    def test_the_confusion_matrix_counts_every_example_once(self):
        record, _, printed = self.evaluate("test")
        matrix = np.array(record["confusion"])
        self.assertEqual(matrix.shape, (3, 3))
        np.testing.assert_array_equal(matrix.sum(1), np.bincount(self.labels["test"], minlength=3))
        self.assertAlmostEqual(np.trace(matrix) / matrix.sum(), record["accuracy"], places=6)
        for label, row in enumerate(matrix):
            self.assertRegex(printed, rf"\n +{label} +" + " +".join(str(x) for x in row) + r"\n")

    def test_ranks_and_micro_batches_change_nothing(self):
        expected = self.evaluate("test")[:2]
        for how, overrides in (({"ranks": 2}, []), ({"ranks": 3}, []), ({}, ["training.micro_batch=4"])):
            record, rows, _ = self.evaluate("test", *overrides, **how)
            self.assertEqual(rows, expected[1])
            for name in ("accuracy", "confusion", "examples"):
                self.assertEqual(record[name], expected[0][name])
            self.assertAlmostEqual(record["loss"], expected[0]["loss"], places=6)

    def test_a_dash_writes_the_table_to_the_output(self):
        done = run(["eval", self.trained, "--by-length", "-"])
        self.assertIn("length,accuracy,count\n3,", done.stdout)
        self.assertFalse(os.path.exists("-"))

    def test_bits_by_position_are_refused(self):
        done = run(["eval", self.trained, "--by-position", self.folder + "/p.csv"], status=2)
        self.assertIn("the model predicts classes, expected one of tokens; --by-length FILE", done.stderr)
        self.assertFalse(os.path.exists(self.folder + "/p.csv"))

    def test_labels_that_the_model_has_not_are_refused(self):
        other = self.folder + "/four"
        for split, n in (("train", 8), ("valid", 8), ("test", 8)):
            write_split(other, split, 12, np.ones((n, 20), int), np.full(n, 20), np.arange(n) % 4, 4)
        done = run(["eval", self.trained, "data.path=" + other], status=None)
        self.assertIn(done.returncode, (2, 4))
        self.assertIn("classes", done.stderr)

    def test_the_windows_asked_for_are_said(self):
        record, rows, printed = self.evaluate("test", "evaluation.max_windows=10")
        self.assertEqual((record["examples"], record["max_windows"]), (10, 10))
        self.assertEqual(sum(row[2] for row in rows), 10)
        self.assertIn("the first 10 of 37 examples only", printed)


if __name__ == "__main__":
    main()
