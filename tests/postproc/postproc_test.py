"""The tables and figures made from run folders."""
import csv
import gzip
import os
import statistics
import tomllib
import unittest

import h5py
import matplotlib.image
import numpy as np

from scripts import POSTPROC, ScriptTest
import plot_curves
import runs
import table_bits
from made_runs import make_data, make_run


class PostprocTest(ScriptTest):
    def rows(self, *folders, **options):
        return table_bits.make_table([runs.Run(f) for f in folders], **options)


class TableTest(PostprocTest):
    def test_seeds_of_one_row_become_mean_and_standard_deviation_beside_the_published_value(self):
        bits = {1: 0.990, 2: 0.994, 3: 0.992}
        folders = [make_run(self.folder, f"enwik8_fixed_seed{s}", s, b, log=s) for s, b in bits.items()]
        (row,) = self.rows(*reversed(folders))
        self.assertEqual(row["ours"], f"0.9920 ± {statistics.stdev(bits.values()):.4f}")
        self.assertEqual(row["published"], "0.992 ± 0.001")
        self.assertEqual(row["seeds"], "1 2 3")
        self.assertEqual(row["parameters"], "123,456 (95M)")
        self.assertEqual(row["epochs"], "1 of 80")
        self.assertEqual(row["steps"], "40")

    def test_runs_with_other_settings_are_other_rows(self):
        one, other = make_run(self.folder, "mine", 0, 2.0), make_run(self.folder, "mine_seed1", 1, 2.5, windows=3)
        rows = self.rows(one, other)
        self.assertEqual([r["ours"] for r in rows], ["2.0000", "2.5000"])
        self.assertEqual([r["published"] for r in rows], ["", ""])
        self.assertIn("first 3 windows only", rows[1]["note"])

    def test_a_run_without_a_test_figure_says_so_and_invents_none(self):
        (row,) = self.rows(make_run(self.folder, "enwik8_dense", valid=(3.0, np.nan, 2.5, 2.75)))
        self.assertEqual(row["ours"], "")
        self.assertEqual(row["valid"], "2.5000")
        self.assertEqual(row["train"], "3.2500")
        self.assertEqual(row["published"], "1.00")
        self.assertIn("no test figure yet", row["note"])

    def test_every_commit_of_a_resumed_run_is_named_once(self):
        (row,) = self.rows(make_run(self.folder, "resumed", starts=("aaa", "bbb", "aaa")))
        self.assertEqual(row["commit"], "aaa bbb")

    def test_compressors_are_measured_on_the_bytes_that_were_scored(self):
        make_data(self.folder, [b"warp and weft " * 20, bytes(range(256)) * 4])
        run = make_run(self.folder, "small", test_bits=2.0, windows=5)  # 5 windows of 64 bytes
        data = (b"warp and weft " * 20 + bytes(range(256)))[: 5 * 64]
        rows = {r["row"]: r for r in self.rows(run, compressors=True)}
        self.assertEqual(rows["gzip -9"]["ours"], f"{8 * len(gzip.compress(data, 9)) / 320:.4f}")
        self.assertEqual(len(rows), 4)

    def test_all_three_files_hold_the_same_rows(self):
        folders = [make_run(self.folder, "a_b", 0, 2.0), make_run(self.folder, "enwik8_strided", 0, 1.25)]
        printed = self.script("table_bits.py", *folders, "--out", "t").stdout
        files = {}
        for ending in ("csv", "md", "tex"):
            with open(os.path.join(self.folder, "t." + ending), encoding="utf-8") as f:
                files[ending] = f.read()
        self.assertEqual(printed, files["md"])
        values = list(csv.DictReader(files["csv"].splitlines()))
        self.assertEqual([v["ours"] for v in values], ["2.0000", "1.2500"])
        self.assertEqual(values[1]["published"], "1.13")
        for text in (files["md"], files["tex"]):
            self.assertIn("1.2500", text)
            self.assertIn("1.13", text)
        self.assertIn(r"a\_b", files["tex"])
        head, body = files["tex"].split("\\toprule")[1].split("\\bottomrule")[0].split("\\midrule")
        self.assertEqual({line.count("&") for line in body.strip().splitlines()}, {head.count("&")})

    def test_a_folder_that_is_no_run_is_named(self):
        done = self.script("table_bits.py", os.path.join(self.folder, "nothing"), status=1)
        self.assertIn("nothing/metrics.h5 is not there", done.stderr)
        broken = make_run(self.folder, "broken")
        with open(os.path.join(broken, "metrics.h5"), "wb") as f:
            f.write(b"no HDF5")
        self.assertIn("cannot be read", self.script("table_bits.py", broken, status=1).stderr)

    def test_every_input_file_of_a_published_row_is_found_by_its_name(self):
        inputs = os.path.join(POSTPROC, "..", "inputs")
        for name, entry in table_bits.published("published.toml").items():
            with open(os.path.join(inputs, entry["input"]), "rb") as f:
                given = tomllib.load(f)
            self.assertEqual(given["run"]["name"], name)
            self.assertEqual(given["data"]["path"], entry["data"])


class CurveTest(PostprocTest):
    def test_writes_a_picture_that_is_not_blank_and_a_pdf(self):
        make_data(self.folder, [b"warp and weft " * 100])
        folders = [make_run(self.folder, name, steps=n) for name, n in (("one", 40), ("two", 1000))]
        self.script("plot_curves.py", *folders, "--out", "c", "--compressors")
        picture = matplotlib.image.imread(os.path.join(self.folder, "c.png"))
        self.assertGreater(len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)), 50)
        with open(os.path.join(self.folder, "c.pdf"), "rb") as f:
            self.assertEqual(f.read(5), b"%PDF-")
        self.assertEqual([f for f in os.listdir(self.folder) if "partial" in f], [])

    def test_draws_a_run_that_has_only_begun(self):
        self.script("plot_curves.py", make_run(self.folder, "young", steps=1, valid=()), "--against", "time")

    def test_thinning_keeps_means_and_drops_what_is_not_finite(self):
        x = np.arange(1000.0)
        y = x.copy()
        y[3] = np.nan
        a, b = plot_curves.thinned(x, y, 100)
        self.assertEqual(len(a), 100)
        np.testing.assert_allclose(a, b)
        self.assertAlmostEqual(np.mean(a), np.delete(x, 3).mean(), delta=1)


COPY = """[run]
name = "{name}"
seed = {seed}
[data]
path = "{data}"
task = "TASK"
scoring = "reproduction"
[model]
context = 64
vocabulary = 128
[optimizer]
learning_rate = RATE
[evaluation]
max_windows = {windows}
"""


class AccuracyTest(PostprocTest):
    def copier(self, name, seed, valid, rate="0.001", task="copy"):
        path = make_run(self.folder, name, seed, valid=np.ones(len(valid)), config=COPY.replace("RATE", rate).replace("TASK", task))
        with h5py.File(path + "/metrics.h5", "r+") as f:
            f["epochs/valid_accuracy"] = np.array(valid, dtype=float)
        return path

    def axes(self, folders, keys=(), left=None, against="step"):
        figure = plot_curves.draw_accuracy([runs.Run(f) for f in folders], against, keys, left)
        self.addCleanup(plot_curves.plt.close, figure)
        return figure.axes[0]

    @staticmethod
    def marks(axes):
        return [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == "v" and len(line.get_xdata())]

    def labels(self, axes):
        return [text.get_text() for text in axes.get_legend().get_texts()]

    def test_seeds_have_thin_lines_and_a_thick_mean(self):
        axes = self.axes([self.copier(f"a_seed{s}", s, valid) for s, valid in ((1, (0.04, 0.04, 0.5, 1)), (2, (0.02, 0.04, 0.06, 0.2)))])
        lines = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 4]
        self.assertEqual([line.get_linewidth() > 1 for line in lines], [False, False, True])
        np.testing.assert_allclose(lines[2].get_ydata(), (3, 4, 28, 60))
        np.testing.assert_allclose(lines[2].get_xdata(), (10, 20, 30, 40))
        self.assertEqual(self.marks(axes), [(30, 50), (40, 20)])
        self.assertEqual(self.labels(axes), ["a, n = 2, 2 of 2 left chance", "chance: 3.89 %", "a run leaves chance"])

    def test_learning_rates_are_groups_of_their_own(self):
        folders = [self.copier(f"a_{rate}_seed{s}", s, (0.04, value), rate) for rate, value in (("0.001", 0.9), ("0.0001", 0.04))
                   for s in (1, 2)]
        axes = self.axes(folders, ["optimizer.learning_rate"])
        self.assertEqual(self.labels(axes)[:2], ["learning_rate 0.001, n = 2, 2 of 2 left chance",
                                                 "learning_rate 0.0001, n = 2, 0 of 2 left chance"])
        self.assertEqual(len(self.marks(axes)), 2)
        with self.assertRaisesRegex(ValueError, "has no such key"):
            self.axes(folders, ["optimizer.nothing"])

    def test_equal_names_with_other_settings_are_not_one_mean(self):
        folders = [self.copier("a_seed1", 1, (0.04, 0.9)), self.copier("a_seed2", 2, (0.04, 0.1), "0.0001")]
        self.assertEqual([label.split(",")[1] for label in self.labels(self.axes(folders))[:2]], [" n = 1"] * 2)

    def test_a_mean_is_of_the_stretch_that_all_have(self):
        x, y = plot_curves.mean_curve([(np.array([10.0, 20, 30]), np.array([0.0, 10, 20])), (np.array([15.0, 25]), np.array([0.0, 10]))])
        self.assertEqual((x.tolist(), y.tolist()), ([15, 20, 25], [2.5, 7.5, 12.5]))

    def test_other_tasks_have_a_mark_where_a_limit_is_given(self):
        folder = self.copier("a", 1, (0.4, float("nan"), 0.6, 0.7), task="classify")
        self.assertEqual(self.marks(self.axes([folder])), [])
        self.assertEqual(self.marks(self.axes([folder], left=0.55)), [(30, 60)])
        self.assertEqual(self.marks(self.axes([folder], left=0.55, against="tokens")), [(30000, 60)])

    def test_the_program_draws_it_and_refuses_what_does_not_fit(self):
        folder = self.copier("a_seed1", 1, (0.04, 0.9))
        self.script("plot_curves.py", folder, "--accuracy", "--by", "optimizer.learning_rate", "--out", "c")
        for ending, begin in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
            with open(f"{self.folder}/c.{ending}", "rb") as f:
                self.assertEqual(f.read(4), begin)
        self.assertIn("no such key", self.script("plot_curves.py", folder, "--accuracy", "--by", "x", status=2).stderr)
        for wrong in (["--accuracy", "--compressors"], ["--by", "run.seed"], ["--left", "3"]):
            self.assertIn("are for --accuracy", self.script("plot_curves.py", folder, *wrong, status=2).stderr)
        bits = make_run(self.folder, "bits")
        self.assertIn("none of these runs has", self.script("plot_curves.py", bits, "--accuracy", status=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
