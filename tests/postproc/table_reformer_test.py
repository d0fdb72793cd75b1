"""The Reformer's copy task: which records make the matrix, chance and escape, both scorings, the reproduction's mixture."""
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
POSTPROC = os.path.join(HERE, "..", "..", "postproc")
INPUTS = os.path.join(HERE, "..", "..", "inputs")
sys.path[:0] = [HERE, POSTPROC]
import copy_task  # noqa: E402
import records  # noqa: E402
import runs  # noqa: E402
import table_reformer  # noqa: E402
from made_runs import make_data, make_record, make_run  # noqa: E402

FULL = {"pattern": "dense", "shared_qk": True, "score": "unit", "self": "last_resort", "rounds": 2, "buckets": "[]"}
HASHES = {"other_buckets": False, "duplicates": False, "look_back": "cyclic", "join": "softmax", "fixed_hashes": False,
          "self": "last_resort", "shared_qk": False, "score": "unit"}


def lsh(rounds, buckets="[16]", chunk=64, **more):
    return {"pattern": "lsh", "rounds": rounds, "buckets": buckets, "chunk": chunk, **HASHES, **more}


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-reformer-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.runs = os.path.join(self.folder, "runs")
        os.makedirs(self.runs)

    def train(self, name, seed, file, valid=(0.0098, 0.0099, 0.5, 1.0), test=None, **overrides):
        """A run of a shipped input file; overrides: section__key=value."""
        whole = records.settings_of(os.path.join(INPUTS, file))
        whole.setdefault("run", {}).update(name=name, seed=seed)
        whole["attention"] = {**HASHES, "rounds": 2, "buckets": [], "chunk": 64, **whole["attention"]}
        whole["data"]["path"] = self.folder + "/none"
        for key, value in overrides.items():
            section, _, last = key.partition("__")
            whole.setdefault(section, {})[last] = value
        text = "".join(f"[{s}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in keys.items()) for s, keys in whole.items())
        path = make_run(self.runs, name, seed, valid=np.ones(len(valid)), config=text.replace("{", "{{").replace("}", "}}"))
        with h5py.File(path + "/metrics.h5", "r+") as f:
            f["epochs/valid_accuracy"] = np.array(valid)
            if test is not None:
                f["final/test_accuracy"] = test
        return path

    def evaluate(self, run, attention, accuracy, last_bits=None, length=1024, **more):
        os.makedirs(run + "/evaluations", exist_ok=True)
        number = len(os.listdir(run + "/evaluations"))  # as make_record counts
        make_record(run, 0, 1.0, accuracy=accuracy, attention=attention, context=length, **more)
        if last_bits is not None:
            with open(f"{run}/evaluations/test-m0-{number}.csv", "w", encoding="utf-8") as f:
                f.write(f"context,bits,count\n{length - 2},7.0,9\n{length - 1},{last_bits},9\n")

    def lines(self):
        found = [runs.Run(os.path.join(self.runs, n)) for n in sorted(os.listdir(self.runs))]
        return table_reformer.make_reformer(found)[1]

    def find(self, trained, figures, lines=None):
        return next(l for l in lines or self.lines() if l["trained"].startswith(trained) and l["figures"].startswith(figures))


class CopyTaskTest(Case):
    def test_chance_is_that_of_one_who_knows_the_separators(self):
        self.assertAlmostEqual(100 * copy_task.chance(1024, 127, "reproduction"), 0.981, places=3)
        self.assertAlmostEqual(100 * copy_task.chance(1024, 127, "paper"), 0.787, places=3)
        self.assertAlmostEqual(copy_task.chance(64, 127, "reproduction"), (31 / 127 + 1) / 32)
        rows, slots, symbols = 4000, 4, 5
        draws = np.random.default_rng(0).integers(1, symbols + 1, (rows, slots - 1))
        hits = (draws == 3).sum() + rows  # always says 3, and 0 at the end
        self.assertAlmostEqual(hits / (rows * slots), copy_task.chance(8, symbols, "reproduction"), delta=0.01)

    def test_symbols_are_those_of_the_data_set_where_it_is_there(self):
        run = runs.Run(self.train("a", 1, "reformer/full.toml"))
        self.assertEqual(copy_task.symbols(run), 127)
        make_data(self.folder, [np.zeros((2, 8), np.uint8)], name="none", vocabulary=13)
        self.assertEqual(copy_task.symbols(run), 12)

    def test_a_run_leaves_chance_at_the_first_evaluation_above_twice_chance(self):
        valid = (0.0098, float("nan"), 0.0196, 0.0197, 0.01, 0.9)
        run = runs.Run(self.train("a", 1, "reformer/full.toml", valid))
        self.assertEqual(copy_task.escape(run), 4 * 40 // 6)
        self.assertEqual(copy_task.escape(run, 0.5), 40)
        self.assertIsNone(copy_task.escape(run, 0.95))
        self.assertIsNone(copy_task.escape(runs.Run(self.train("b", 1, "reformer/full.toml", ()))))

    def test_the_one_scoring_follows_from_the_other_by_the_last_slot(self):
        for right, last_right, bits in ((0.7, 1.0, 0.0), (0.7, 0.5, 0.6), (1 / 127, 1.0, 0.001), (0.3, 0.0, 3.0)):
            slots = (511 * right + last_right) / 512
            low, high = copy_task.symbols_alone(slots, 1024, bits)
            self.assertLessEqual(low, right + 1e-12)
            self.assertGreaterEqual(high, right - 1e-12)
            self.assertLessEqual(high - low, bits / 511 + 1e-12)
        low, high = copy_task.symbols_alone(copy_task.chance(1024, 127, "reproduction"), 1024)
        self.assertAlmostEqual(low, 1 / 127)
        self.assertEqual(low, high)


class TableReformerTest(Case):
    def test_published_figures_and_chance_stand_in_their_lines(self):
        lines = self.lines()
        self.assertEqual(len(lines), 4 * 5)
        paper, reproduction = self.find("full", "paper", lines), self.find("LSH-1", "reproduction", lines)
        self.assertEqual([paper[c] for c in table_reformer.EVALUATED], ["100", "94.8", "92.5", "76.9", "52.5"])
        self.assertEqual([reproduction[c] for c in table_reformer.EVALUATED], ["70.65", "76.61", "79.68", "79.34", "56.09"])
        self.assertEqual((paper["chance"], reproduction["chance"]), ("0.79", "0.98"))
        ours = self.find("LSH-2", "ours, 511 symbols", lines)
        self.assertEqual((ours["lsh2"], ours["n"], ours["escape"], ours["chance"]), ("not run", "0", "not run", "0.79"))
        self.assertNotIn("", [line[c] for line in lines for c in table_reformer.COLUMNS])

    def test_every_training_is_a_shipped_input_file(self):
        for key, entry in table_reformer.published("published_reformer.toml")["trained"].items():
            given = records.settings_of(os.path.join(INPUTS, entry["input"]))
            self.assertEqual(given["run"]["name"], entry["run"])
            self.assertEqual(table_reformer.column_of(given["attention"]), key)
            self.assertEqual((given["model"]["context"], given["model"]["width"]), (1024, 256))  # from base.toml

    def test_seeds_become_mean_and_deviation_under_both_scorings(self):
        slots = (0.99, 0.95)
        for seed, accuracy in enumerate(slots, 1):
            run = self.train(f"reformer_lsh4_seed{seed}", seed, "reformer/lsh4.toml",
                             (0.0098, 0.0099, 0.5, 1.0) if seed == 1 else (0.0098,) * 4)
            self.evaluate(run, lsh(4), accuracy, 0.0)
        self.evaluate(run, lsh(8), 0.5, 2.0)
        self.evaluate(run, FULL, 0.25, 0.0, step=7)
        lines = self.lines()
        ours, symbols = self.find("LSH-4", "ours, 512 slots", lines), self.find("LSH-4", "ours, 511 symbols", lines)
        self.assertEqual(ours["lsh4"], f"97.00 ± {100 * statistics.stdev(slots):.2f}")
        self.assertEqual((ours["n"], ours["escape"], ours["score"], ours["chance"]), ("2", "30 / never", "unit", "0.98"))
        self.assertEqual((ours["lsh8"], ours["lsh2"], ours["full"]), ("50.00 (n = 1)", "not run", "25.00 (n = 1)"))
        self.assertEqual(ours["note"], "full evaluated at step 7")
        self.assertEqual(symbols["lsh4"], table_reformer.spread([(512 * a - 1) / 511 for a in slots], 2, 100))
        self.assertEqual((symbols["lsh8"], symbols["chance"]), ("≥ 49.90 (n = 1)", "0.79"))
        self.assertEqual((ours["commit"], ours["parameters"]), ("abc", "123,456"))

    def test_only_fitting_records_count_and_the_newest(self):
        run = self.train("reformer_lsh2_seed1", 1, "reformer/lsh2.toml")
        self.evaluate(run, lsh(4), 0.5, time="2026-01-02T00:00:00Z")
        self.evaluate(run, lsh(4), 0.6, time="2026-01-01T00:00:00Z")
        for wrong in ({"split": "valid"}, {"best": True}, {"as_trained": False}, {"max_windows": 3}):
            self.evaluate(run, lsh(8), 0.9, **wrong)
        for other in (lsh(8, "[8]"), lsh(8, chunk=32), lsh(8, duplicates=True), lsh(8, self="seen"), lsh(8, score="raw")):
            self.evaluate(run, other, 0.9)
        self.evaluate(run, {**FULL, "shared_qk": False}, 0.9)
        line = self.find("LSH-2", "ours, 512 slots")
        self.assertEqual([line[c] for c in table_reformer.EVALUATED], ["not run", "not run", "50.00", "not run", "not run"])
        self.assertIn("the last slot is taken as right", self.find("LSH-2", "ours, 511 symbols")["note"])

    def test_the_figure_at_the_end_of_training_is_that_of_the_training_s_own_attention(self):
        self.train("reformer_lsh1_seed1", 1, "reformer/lsh1.toml", test=0.77)
        self.train("reformer_full_seed1", 1, "reformer/full.toml", test=0.88)
        lines = self.lines()
        self.assertEqual(self.find("LSH-1", "ours, 512", lines)["lsh1"], "77.00")
        self.assertEqual(self.find("LSH-1", "ours, 512", lines)["lsh2"], "not run")
        self.assertEqual(self.find("full", "ours, 512", lines)["full"], "88.00")

    def test_a_model_of_full_attention_is_hashed_as_the_others_are(self):
        run = self.train("reformer_full_seed1", 1, "reformer/full.toml")
        self.evaluate(run, lsh(4, "[2]", 32), 0.3)
        self.evaluate(run, lsh(8), 0.4)
        line = self.find("full", "ours, 512 slots")
        self.assertEqual((line["lsh4"], line["lsh8"]), ("not run", "40.00"))
        self.assertIn("LSH with buckets [16], chunks of 64", line["note"])

    def test_the_reproduction_s_mixture_of_scores_has_a_line_of_its_own(self):
        raw = self.train("reformer_full_raw_seed1", 1, "reformer/full_raw.toml", test=1.0)
        self.evaluate(raw, lsh(8), 0.02)
        self.evaluate(raw, lsh(8, score="raw"), 0.9)
        hashed = self.train("reformer_lsh4_seed1", 1, "reformer/lsh4.toml")
        self.evaluate(hashed, lsh(4), 0.99)
        self.evaluate(hashed, FULL, 0.98)
        self.evaluate(hashed, {**FULL, "score": "raw"}, 0.47)
        lines = self.lines()
        first = self.find("full", "ours, 512 slots, mixed", lines)
        self.assertEqual((first["full"], first["lsh8"], first["n"]), ("100.00", "2.00", "1"))
        self.assertEqual(first["score"], "raw in full, unit in LSH")
        self.assertEqual(self.find("full", "ours, 512 slots", lines)["full"], "not run")
        second = self.find("LSH-4", "ours, 512 slots, mixed", lines)
        self.assertEqual((second["full"], second["lsh4"]), ("47.00", "99.00"))
        plain = self.find("LSH-4", "ours, 512 slots", lines)
        self.assertEqual((plain["full"], plain["lsh4"], plain["score"]), ("98.00", "99.00", "unit"))
        raw_all = self.find("other run: reformer_full_raw", "ours, 512 slots", lines)
        self.assertEqual((raw_all["score"], raw_all["lsh8"]), ("raw", "90.00"))
        self.assertEqual(self.find("LSH-2", "ours, 512 slots, mixed", lines)["full"], "not run")

    def test_other_runs_stand_below_with_what_they_are(self):
        small = self.train("reformer_two_cores_lsh4_seed1", 1, "reformer_two_cores/lsh4.toml", (0.03, 0.06, 0.08, 0.99))
        self.evaluate(small, lsh(4, "[2]", 32), 0.97, 0.0, length=64)
        full = self.train("reformer_two_cores_full_seed1", 1, "reformer_two_cores/full.toml")
        self.evaluate(full, lsh(1, "[2]", 32), 0.2, length=64)
        self.train("reformer_full_lr_seed1", 1, "reformer/full.toml", test=0.1, optimizer__learning_rate=1e-4)
        self.train("reformer_lsh1_p_seed1", 1, "reformer/lsh1.toml", test=0.2, data__scoring="paper")
        self.train("mine_seed1", 1, "reformer/lsh1.toml", test=0.3, attention__rounds=3)
        lines = self.lines()
        self.assertTrue(all(self.find(t, "ours, 512", lines)["n"] == "0" for t in ("full", "LSH-4", "LSH-1")))
        line = self.find("other run: reformer_two_cores_lsh4 (LSH-4)", "ours, 32 slots", lines)
        self.assertEqual((line["lsh4"], line["chance"], line["escape"]), ("97.00", "3.89", "30"))
        self.assertEqual(line["note"], "rows of 64, 781 steps of 64")
        line = self.find("other run: reformer_two_cores_lsh4", "ours, 31 symbols", lines)
        self.assertEqual((line["lsh4"], line["chance"]), (f"{100 * (32 * 0.97 - 1) / 31:.2f}", "0.79"))
        self.assertEqual(self.find("other run: reformer_two_cores_full", "ours, 32", lines)["lsh1"], "20.00")
        self.assertIn("optimizer.learning_rate 0.0001, not 0.001", self.find("other run: reformer_full_lr", "ours", lines)["note"])
        paper = [line for line in lines if "reformer_lsh1_p" in line["trained"]]
        self.assertEqual([(line["figures"], line["lsh1"], line["chance"]) for line in paper],
                         [("ours, 511 symbols", "20.00", "0.79")])
        self.assertEqual(len([line for line in lines if line["trained"] == "other run: mine (lsh3)"]), 2)

    def test_runs_of_other_tasks_are_no_part_of_it(self):
        self.train("reformer_full_seed1", 1, "reformer/full.toml", test=0.9, data__task="next_token")
        self.assertEqual(len(self.lines()), 20)

    def test_all_forms_are_written_by_the_program(self):
        self.train("reformer_lsh4_seed1", 1, "reformer/lsh4.toml", test=0.97)
        done = subprocess.run([sys.executable, "-B", os.path.join(POSTPROC, "table_paper.py"), "--table", "reformer", "--runs",
                               "runs", "--out", "t"], cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        texts = {}
        for ending in ("csv", "md", "tex"):
            with open(os.path.join(self.folder, "t", "reformer." + ending), encoding="utf-8") as f:
                texts[ending] = f.read()
        self.assertEqual(done.stdout.strip(), texts["md"].strip())
        rows = list(csv.DictReader(texts["csv"].splitlines()))
        self.assertEqual((len(rows), tuple(rows[0])), (20, table_reformer.COLUMNS))
        self.assertIn("97.00", texts["tex"])
        self.assertIn("twice chance", texts["md"])

    def test_settings_of_an_input_file_hold_those_that_it_starts_from(self):
        for name, text in (("a", '[model]\nwidth = 1\nlayers = 2\n[run]\nname = "a"\n'),
                           ("b", 'base = "a.toml"\n[model]\nwidth = 3\n'), ("c", 'base = "b.toml"\n[data]\npath = "x"\n')):
            with open(f"{self.folder}/{name}.toml", "w", encoding="utf-8") as f:
                f.write(text)
        self.assertEqual(records.settings_of(self.folder + "/c.toml"),
                         {"model": {"width": 3, "layers": 2}, "run": {"name": "a"}, "data": {"path": "x"}})


if __name__ == "__main__":
    unittest.main(verbosity=2)
