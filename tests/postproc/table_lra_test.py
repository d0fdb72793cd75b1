"""The arena's table: published figures as printed, our runs beside them, stuck seeds told, floors of the very rows."""
import csv
import os
import statistics
import unittest

import h5py
import numpy as np

from scripts import ScriptTest
import floors
import runs
import table_lra
from made_runs import make_data, make_run

BODY = """precision = "fp32"
[data]
path = "{data}"
task = "classify"
[model]
family = "arena"
layers = 4
[attention]
pattern = "dense"
[evaluation]
max_windows = {windows}
"""
CONFIG = '[run]\nname = "{name}"\nseed = {seed}\n' + BODY


class TableLraTest(ScriptTest):
    def setUp(self):
        super().setUp()
        self.runs = os.path.join(self.folder, "runs")
        self.inputs = os.path.join(self.folder, "inputs", "arena")
        os.makedirs(self.runs)
        os.makedirs(self.inputs)
        self.row("lra_text_transformer")

    def row(self, name, body=BODY):
        with open(os.path.join(self.inputs, name + ".toml"), "w", encoding="utf-8") as f:
            f.write(f'[run]\nname = "{name}"\n' + body.format(data="elsewhere", windows=0))

    def train(self, name, seed, test=None, valid=(0.5, 0.6, 0.7, 0.8), config=CONFIG, **named):
        path = make_run(self.runs, name, seed, valid=np.ones(len(valid)), config=config, **named)
        with h5py.File(path + "/metrics.h5", "r+") as f:
            f["epochs/valid_accuracy"] = np.array(valid)
            if test is not None:
                f["final/test_accuracy"] = test

    def lines(self, kept=None):
        found = [runs.Run(os.path.join(self.runs, n)) for n in sorted(os.listdir(self.runs)) if n != "data"]
        return table_lra.make_lra(found, kept, os.path.dirname(self.inputs))[1]

    def find(self, task, model, kept=None):
        return next(line for line in self.lines(kept) if line["task"] == task and line["model"].startswith(model))

    def test_published_figures_have_the_published_averages(self):
        known = table_lra.published("published_lra.toml")
        self.assertEqual((len(known["models"]), len(known["tasks"])), (11, 6))
        for name, model in known["models"].items():
            mean = statistics.fmean(model[task] for task in table_lra.FIVE)
            self.assertAlmostEqual(mean, model["average"], delta=0.1 if name == "sinkhorn" else 0.0051, msg=name)
            self.assertEqual(model["pathx"], "FAIL")
        for task, mean in zip(table_lra.FIVE, (29, 61, 55, 41, 72)):
            self.assertLess(abs(statistics.fmean(m[task] for m in known["models"].values()) - mean), 1)

    def test_without_runs_every_cell_says_so(self):
        lines = self.lines()
        self.assertEqual(len(lines), 11 * 7)
        line = self.find("Path-X", "BigBird")
        self.assertEqual((line["published"], line["ours"], line["stuck"]), ("FAIL", "not run", "not run"))
        self.assertEqual(self.find("ListOps", "Transformer")["published"], "36.37")
        self.assertEqual(self.find("average of five", "Reformer")["ours"], "0 of 5 tasks run")
        self.assertNotIn("", [line[c] for line in lines for c in table_lra.COLUMNS if c != "floors"])

    def test_seeds_become_mean_and_deviation_and_stuck_ones_are_counted(self):
        self.train("lra_text_transformer_seed1", 1, 0.66, (0.50, 0.58, 0.51, 0.61, 0.64))
        self.train("lra_text_transformer_seed2", 2, 0.64, (0.55, 0.60, float("nan"), 0.62, 0.63))
        self.train("lra_text_transformer_seed3", 3, 0.505, (0.49, 0.50, 0.51, 0.50, 0.50))
        line = self.find("Text", "Transformer")
        deviation = 100 * statistics.stdev((0.66, 0.64, 0.505))
        self.assertEqual((line["published"], line["n"]), ("64.27", "3"))
        self.assertEqual(line["ours"], f"60.17 ± {deviation:.2f}")
        self.assertEqual((line["stuck"], line["escape"]), ("1 of 3", "32 / 8 / never"))
        self.assertEqual((line["parameters"], line["ratio"]), ("123,456", f"{123456 / 3486722:.2f}"))
        self.assertEqual(line["commit"], "abc")

    def test_other_settings_names_and_models_stand_below(self):
        self.train("lra_text_transformer", 1, 0.7, config=CONFIG.replace("layers = 4", "layers = 2"))
        self.train("imdb_256", 1, 0.6)
        self.train("lra_text_local", 1, 0.55, config=CONFIG.replace('"dense"', '"local"'))
        self.train("lra_text_mega", 1, 0.9, config=CONFIG.replace('"arena"', '"mega"'))  # dense, and no Transformer
        self.train("enwik8_text", 1, 0.9, config=CONFIG.replace('"classify"', '"next_token"'))
        self.assertEqual(self.find("Text", "Transformer")["ours"], "not run")
        other = self.find("Text", "other run: lra_text_transformer (Transformer)")
        self.assertEqual((other["published"], other["ours"], other["note"]), ("none", "70.00", "model.layers 2, not 4"))
        self.assertEqual(self.find("Text", "other run: imdb_256")["note"], "no input file has this name")
        self.assertEqual(self.find("Text", "other run: lra_text_local (Local Attention)")["ours"], "55.00")
        self.assertEqual(self.find("Text", "other run: lra_text_mega (other model)")["ours"], "90.00")
        self.assertFalse([line for line in self.lines() if "enwik8" in line["model"]])

    def test_runs_without_a_test_figure_are_told(self):
        self.train("lra_text_transformer", 1)
        line = self.find("Text", "Transformer")
        self.assertEqual((line["ours"], line["n"], line["stuck"]), ("no test figure yet", "0", "none"))
        self.assertIn("1 of 1 runs without a test figure", line["note"])

    def test_floors_and_the_input_form_come_from_the_data_set(self):
        self.row("lra_listops_transformer")
        symbols = "<pad> 0 1 2 3 4 5 6 7 8 9 [MIN [MAX [MED [SM ] <unk>"
        tokens = np.array([[12, 2, 4, 15], [11, 3, 2, 15], [12, 9, 2, 15], [11, 9, 2, 15]] * 100, np.uint8)
        label = np.array([3, 1, 8, 1] * 100, np.int32)
        for split in ("train", "test"):
            make_data(self.runs, [tokens], split, source_sha256="cc", task="listops", classes=10, symbols=symbols)
            with h5py.File(f"{self.runs}/data/{split}-00000-of-00001.h5", "r+") as f:
                f["label"], f["length"] = label, np.full(400, 4, np.int32)
        self.train("lra_listops_transformer", 1, 0.52, (0.4, 0.55, 0.6, 0.7))
        kept = floors.Floors(os.path.join(self.folder, "floors.json"))
        line = self.find("ListOps", "Transformer", kept)
        self.assertEqual(line["floors"], "constant 50.0; root operator 75.0; 1 level 100.0; 2 levels 100.0; 3 levels 100.0; "
                                         "4 levels 100.0")
        self.assertEqual((line["stuck"], line["escape"], line["note"]), ("1 of 1", "30", "tokens lra"))
        self.assertEqual(self.find("Text", "Transformer", kept)["floors"], "no data set")

    def test_all_forms_are_written_and_wrong_columns_refused(self):
        self.script("table_paper.py", "--table", "lra", "--runs", "runs", "--out", "t", "--no-floors",
                    "--columns", "task,model,published,ours")
        with open(os.path.join(self.folder, "t", "lra.csv"), encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual((len(rows), tuple(rows[0])), (77, table_lra.COLUMNS))
        for ending, text in (("md", "| Text | Performer | 65.40 | not run |"), ("tex", "Text & Performer & 65.40 & not run")):
            with open(os.path.join(self.folder, "t", "lra." + ending), encoding="utf-8") as f:
                self.assertIn(text, f.read())
        refused = self.script("table_paper.py", "--table", "lra", "--columns", "row", status=2)
        self.assertIn("expected some of task", refused.stderr)
        told = self.script("table_paper.py", "--table", "all", "--runs", "runs", "--no-floors", "--columns", "row,ours")
        self.assertNotIn("Long Range", told.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
