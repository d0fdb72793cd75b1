"""The table of the ListOps study: what was published and what that was, ours on each split apart, floors of the very rows."""
import csv
import os
import statistics
import unittest

import h5py
import numpy as np

from scripts import ScriptTest
import floors
import runs
import table_listops_study as table
from floors_arena import accuracies
from made_runs import make_data, make_run

BODY = """precision = "fp32"
[data]
path = "{data}"
task = "classify"
[model]
layers = 4
[evaluation]
max_windows = {windows}
"""
CONFIG = '[run]\nname = "{name}"\nseed = {seed}\n' + BODY
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WORDS = "<pad> <unk> <cls> <sep> <mask> ( ) [ ] 8 7 9 5 4 6 3 1 0 2 MIN MED MAX SM"


class TableListOpsStudyTest(ScriptTest):
    def setUp(self):
        super().setUp()
        self.runs, self.inputs = (os.path.join(self.folder, n) for n in ("runs", "inputs"))
        os.makedirs(self.runs)
        for name in ("listops_study/A", "listops_study/H_as_published", "listops_study/A-log", "listops_depth/long"):
            path = os.path.join(self.inputs, name + ".toml")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(f'[run]\nname = "{name.replace("/", "_")}"\n' + BODY.format(data="elsewhere", windows=0))

    def train(self, name, seed, test=None, valid=(0.2, 0.4, 0.3, 0.35), train=(0.1, 0.2, 0.3, 0.4), config=CONFIG, epochs=4):
        """Ten steps for each of four evaluations."""
        path = make_run(self.runs, name, seed, valid=np.ones(len(valid)), config=config)
        with h5py.File(path + "/metrics.h5", "r+") as f:
            f["steps/accuracy"] = np.repeat(train, 10)
            f["epochs/valid_accuracy"] = np.array(valid)
            f["epochs/epoch"][...] = np.linspace(epochs / 4, epochs, 4)
            if test is not None:
                f["final/test_accuracy"] = test

    def lines(self, kept=None):
        found = [runs.Run(os.path.join(self.runs, n)) for n in sorted(os.listdir(self.runs)) if n != "data"]
        return table.make_listops_study(found, kept, self.inputs)[1]

    def find(self, name, kept=None):
        return next(line for line in self.lines(kept) if line["id"] == name)

    def test_every_row_has_its_input_file_and_says_what_its_figure_was(self):
        rows = table.rows_of(table.published("published_listops_study.toml"), os.path.join(SOURCE, "inputs"))
        self.assertEqual([n for n, _, _, path in rows if path is None], [])
        shipped = [os.path.splitext(f)[0] for folder in ("listops_study", "listops_depth")
                   for f in os.listdir(os.path.join(SOURCE, "inputs", folder)) if f != "base.toml"]
        self.assertEqual(sorted(name for _, name, _, _ in rows), sorted(shipped))
        for name, _, entry, path in rows:
            with open(path, encoding="utf-8") as f:
                text = f.read()
            self.assertIn(f'name = "{name}"', text)
            if "published" in entry:  # the file says the same, as a share
                self.assertRegex(text, rf"0\.{entry['published'].replace('.', '').rstrip('0')}")
                self.assertTrue(entry["was"], name)

    def test_without_runs_every_cell_says_so(self):
        lines = self.lines()
        self.assertEqual(len(lines), 17 + 4)
        line = self.find("G")
        self.assertEqual((line["published"], line["train"], line["valid"], line["test"], line["minutes"]),
                         ("22.19", *["not run"] * 4))
        self.assertIn("training accuracy", line["was"])
        self.assertEqual(self.find("long")["published"], "none")
        self.assertNotIn("", [line[c] for line in lines for c in table.COLUMNS if c not in table.FLOORS])

    def test_train_valid_and_test_stand_apart_over_seeds(self):
        self.train("listops_study_A_seed1", 1, 0.50)
        self.train("listops_study_A_seed2", 2, 0.54, valid=(0.2, 0.3, 0.5, 0.45), train=(0.1, 0.2, 0.3, 0.6))
        line = self.find("A")
        self.assertEqual((line["published"], line["n"]), ("52", "2"))
        self.assertEqual(line["train"], f"50.00 ± {100 * statistics.stdev((0.4, 0.6)):.2f}")
        best, last = 100 * statistics.stdev((0.4, 0.5)), 100 * statistics.stdev((0.35, 0.45))
        self.assertEqual(line["valid"], f"45.00 ± {best:.2f} (40.00 ± {last:.2f})")
        self.assertEqual(line["test"], f"52.00 ± {100 * statistics.stdev((0.50, 0.54)):.2f}")
        self.assertEqual((line["minutes"], line["parameters"], line["commit"]), ("0.333", "123,456", "abc"))

    def test_train_is_of_the_last_epoch_however_many_there_are(self):
        self.train("listops_study_A", 1, 0.5, epochs=2)  # twenty steps each
        self.assertEqual(self.find("A")["train"], "35.00")
        self.train("listops_study_A-log", 1, 0.5, epochs=0.5)  # not one whole: all steps
        self.assertEqual(self.find("A-log")["train"], "25.00")

    def test_names_that_begin_alike_and_other_settings_are_told_apart(self):
        self.train("listops_study_A-log", 1, 0.28)
        self.train("listops_study_H_as_published", 1, 0.17)
        self.train("listops_study_A", 1, 0.3, config=CONFIG.replace("layers = 4", "layers = 2"))
        self.train("listops_study_A-log_bf16", 1, 0.2)
        self.train("enwik8", 1, 0.9)
        self.assertEqual((self.find("A-log")["test"], self.find("H_as_published")["test"]), ("28.00", "17.00"))
        self.assertEqual((self.find("A")["test"], self.find("A")["n"]), ("not run", "0"))
        other = self.find("other run: listops_study_A")
        self.assertEqual((other["test"], other["published"], other["note"]), ("30.00", "none", "model.layers 2, not 4"))
        self.assertEqual(self.find("other run: listops_study_A-log_bf16")["note"], "another name")
        self.assertFalse([line for line in self.lines() if "enwik8" in line["id"]])

    def test_runs_without_a_test_figure_are_told(self):
        self.train("listops_depth_long", 1)
        line = self.find("long")
        self.assertEqual(line["test"], "no test figure yet")
        self.assertIn("1 of 1 runs without a test figure", line["note"])

    def make_lists(self, symbols, rows, label):
        tokens = np.array([[symbols.split().index(w) for w in row.split()] for row in rows] * 50, np.uint8)
        for split in ("train", "test"):
            make_data(self.runs, [tokens], split, source_sha256="cc", task="listops", classes=10, symbols=symbols)
            with h5py.File(f"{self.runs}/data/{split}-00000-of-00001.h5", "r+") as f:
                f["label"], f["length"] = np.array(label * 50, np.int32), np.full(len(tokens), tokens.shape[1], np.int32)

    def test_floors_are_of_the_very_rows_and_know_brackets_that_stand_apart(self):
        self.make_lists(WORDS, ["( ( [ MAX 2 ) ( [ MIN 9 ] ) ) ] )", "( ( [ MIN 3 ) ( [ MAX 1 ] ) ) ] )",
                                "( ( [ MAX 7 ) ( [ MIN 2 ] ) ) ] )"], [9, 1, 7])
        self.train("listops_study_A", 1, 0.3)
        kept = floors.Floors(os.path.join(self.folder, "floors.json"))
        line = self.find("A", kept)
        self.assertEqual([line[k] for k in table.FLOORS], ["33.3", "66.7", "33.3", "100.0", "100.0"])
        self.assertEqual(self.find("H_as_published", kept)["constant"], "no data set")

    def test_without_operators_there_are_no_levels_and_no_other_data_set_of_the_same_source(self):
        self.make_lists("<pad> 0 1 2 3 4 5 6 7 8 9 ] ( ) <unk>", ["( ( <unk> 2 ) 9 ) ] )", "( ( <unk> 3 ) 1 ) ] )"], [9, 1])
        self.train("listops_study_H_as_published", 1, 0.5)
        kept = floors.Floors(os.path.join(self.folder, "floors.json"))
        line = self.find("H_as_published", kept)
        self.assertEqual([line[k] for k in table.FLOORS], ["50.0", "50.0", "none", "none", "none"])
        self.assertNotIn("levels1", accuracies(self.runs + "/data")["accuracies"])
        self.make_lists("<pad> 0 1 2 3 4 5 6 7 8 9 [MAX ] ( )", ["( ( [MAX 2 ) 9 ) ] )", "( ( [MAX 1 ) 1 ) ] )"], [9, 1])
        self.assertEqual(self.find("H_as_published", kept)["levels1"], "100.0")

    def test_all_forms_are_written(self):
        self.script("table_paper.py", "--table", "listops_study", "--runs", "runs", "--out", "t", "--no-floors",
                    "--columns", "id,published,was,train,test")
        with open(os.path.join(self.folder, "t", "listops_study.csv"), encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual((len(rows), tuple(rows[0])), (21, table.COLUMNS))
        with open(os.path.join(self.folder, "t", "listops_study.md"), encoding="utf-8") as f:
            self.assertIn("| C | 18 | constant answer; no accuracy was computed | not run | not run |", f.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
