"""The published tables beside our runs: what counts for a row, what is missing, what differs."""
import csv
import os
import statistics
import tomllib
import unittest

import numpy as np

from scripts import POSTPROC, ScriptTest
import floors
import records
import runs
import table_paper
import tables
from made_runs import make_data, make_record, make_run

INPUTS = os.path.join(POSTPROC, "..", "inputs")

TABLES = ("sparse2", "sparse3", "repro1", "repro2")
RUN_SECTION = '[run]\nname = "{name}"\nseed = {seed}\nprecision = "bf16"\n'


def config_of(file):
    """The input file of a row as the configuration of a made run; it reads the made data set."""
    with open(os.path.join(INPUTS, file), encoding="utf-8") as f:
        text = f.read()
    body = text[text.index("[data]"):].replace("{", "{{").replace("}", "}}")
    with open(os.path.join(INPUTS, file), "rb") as f:
        path = tomllib.load(f)["data"]["path"]
    return RUN_SECTION + body.replace(f'"{path}"', '"{data}"')


class TablePaperTest(ScriptTest):
    def setUp(self):
        super().setUp()
        self.runs = os.path.join(self.folder, "runs")
        os.makedirs(self.runs)

    def run_of(self, file, name, *arguments, **named):
        return make_run(self.runs, name, *arguments, config=config_of(file), **named)

    def lines(self, table, kept=None):
        found = [runs.Run(os.path.join(self.runs, name)) for name in sorted(os.listdir(self.runs))]
        return table_paper.make_table(table, found, kept)[1]

    def table_paper(self, *arguments, status=0):
        return self.script("table_paper.py", *arguments, status=status)

    def move_data(self, name):
        """The data set to a folder that is no run's, and the path of it in a run's configuration."""
        before, after = (os.path.join(folder, "data") for folder in (self.runs, self.folder))
        os.rename(before, after)
        path = os.path.join(self.runs, name, "config.toml")
        with open(path, encoding="utf-8") as f:
            text = f.read().replace(before, after)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def test_seeds_of_a_row_become_mean_and_standard_deviation(self):
        bits = {1: 0.990, 2: 0.994, 3: 0.995}
        for seed, value in bits.items():
            self.run_of("enwik8/fixed.toml", f"enwik8_fixed_seed{seed}", seed, value)
        line = self.lines("sparse2")[1]
        self.assertEqual(line["ours"], f"0.9930 ± {statistics.stdev(bits.values()):.4f}")
        self.assertEqual((line["n"], line["published"], line["epochs"]), ("3", "0.992 ± 0.001", "1 (80)"))
        self.assertEqual(line["parameters"], "123,456 (95M)")
        self.assertEqual((line["published_step"], line["step"]), ("0.55", "0.5"))
        self.assertAlmostEqual(float(line["hours"]), 20 / 3600, places=4)
        self.assertEqual((line["commit"], line["energy"]), ("abc", "not measured"))
        self.assertEqual(len(self.lines("sparse2")), 7)

    def test_energy_is_the_sum_where_it_was_measured(self):
        self.run_of("enwik8/dense.toml", "enwik8_dense", 0, 1.5, joules=3.6e5)  # 40 steps
        self.assertEqual(self.lines("sparse2")[0]["energy"], "4 kWh")

    def test_what_was_never_run_says_so_in_every_table_and_no_cell_is_blank(self):
        for table in TABLES:
            for line in self.lines(table):
                self.assertEqual((line["ours"], line["n"]), ("not run", "0"))
                for column in ("hours", "energy", "step", "commit", "machine"):
                    self.assertEqual(line[column], "not run")
                self.assertTrue(line["parameters"].startswith("not run"))
        for table in TABLES:
            for line in self.lines(table, floors.Floors(os.path.join(self.folder, "floors.json"))):
                shown = [c for c, _ in table_paper.FORM.shown([line])]
                self.assertIn("order5", shown)
                self.assertEqual(line["order5"], "no data set")
        self.table_paper("--table", "all", "--runs", "runs", "--out", "t")
        for table in TABLES:
            with open(os.path.join(self.folder, "t", table + ".md"), encoding="utf-8") as f:
                cells = [c.strip() for row in f if row.startswith("|") for c in row.strip().strip("|").split("|")]
            self.assertIn("not run", cells)
            self.assertNotIn("", cells)

    def test_a_run_with_other_settings_gets_its_own_line_that_says_what_differs(self):
        config = config_of("enwik8/fixed.toml").replace("layers = 30", "layers = 2")
        config += 'max_windows = 3\n\n[log]\nevery_steps = 7\n'
        make_run(self.runs, "enwik8_fixed", 0, 2.5, config=config,
                 command=["weft", "train", "x", "model.layers=2", "evaluation.max_windows=3", "run.seed=0"])
        first, second, third, *_ = self.lines("sparse2")
        self.assertEqual((second["ours"], second["n"]), ("not run", "0"))
        self.assertEqual((third["row"], third["ours"], third["published"]), ("other run: enwik8_fixed", "2.5000", "none"))
        self.assertIn("model.layers 2, not 30", third["note"])
        self.assertIn("first 3 windows of the split only", third["note"])
        self.assertNotIn("log", third["note"])

    def test_a_key_that_only_the_command_line_gave_is_named(self):
        config = config_of("enwik8/fixed.toml").replace("dropout = 0.4", "dropout = 0.4\nembedding_scale = 16.0")
        make_run(self.runs, "enwik8_fixed_seed4", 4, 2.5, config=config,
                 command=["weft", "train", "x", "model.embedding_scale=16", "run.name=enwik8_fixed_seed4"])
        run = runs.Run(os.path.join(self.runs, "enwik8_fixed_seed4"))
        self.assertEqual(records.differences(run, os.path.join(INPUTS, "enwik8/fixed.toml")),
                         ["model.embedding_scale 16.0"])

    def test_part_of_the_data_set_is_not_the_row(self):
        make_data(self.runs, [b"only a part of enwik8"])
        self.run_of("enwik8/strided.toml", "enwik8_strided", 0, 3.0)
        self.move_data("enwik8_strided")
        line = self.lines("sparse2")[3]
        self.assertEqual(line["row"], "other run: enwik8_strided")
        self.assertIn("a test split of 21 bytes, not 5,000,000", line["note"])

    def test_small_siblings_stand_below_the_row_and_never_in_it(self):
        self.run_of("enwik8/fixed_small.toml", "enwik8_fixed_small", 0, 2.6)
        self.run_of("enwik8/reproduction_large_fixed.toml", "enwik8_reproduction_large_fixed_try", 0, 1.9)
        lines = {line["row"]: line for line in self.lines("sparse2") + self.lines("repro1")}
        self.assertEqual(lines["enwik8, fixed, 95M"]["ours"], "not run")
        self.assertEqual(lines["other run: enwik8_fixed_small"]["ours"], "2.6000")
        self.assertEqual(lines["reproduced (fixed): its budget, causal"]["ours"], "not run")
        self.assertEqual(lines["other run: enwik8_reproduction_large_fixed_try"]["ours"], "1.9000")

    def test_the_reproduction_is_told_what_its_figures_are(self):
        first = {line["row"]: line for line in self.lines("repro1")}
        leak = first["reproduced (fixed): its window and 46.7M, with its leak"]
        self.assertEqual(leak["published"], "1.03")
        self.assertIn("222 of 254", leak["measures"])
        self.assertIn("no bits per dim", self.lines("repro2")[1]["measures"])
        self.assertIn("wrong row", self.lines("repro2")[0]["measures"])

    def test_minimum_context_comes_from_the_records_of_plain_evaluations(self):
        attention = {"pattern": "fixed", "stride": 128, "summary": 32, "combination": "merged"}
        for seed, bits in ((1, 1.5), (2, 1.7)):
            run = self.run_of("enwik8/fixed.toml", f"enwik8_fixed_seed{seed}", seed, 1.8)
            make_record(run, 6144, bits, attention=attention)
        make_record(run, 9216, 9.0, split="valid")
        make_record(run, 9216, 9.0, best=True)
        make_record(run, 9216, 9.0, max_windows=5)
        make_record(run, 9216, 9.0, attention={**attention, "pattern": "dense"})
        make_record(run, 9216, 9.0, attention=attention, as_trained=False)  # other data, window or precision
        make_record(run, 9216, float("nan"))
        make_record(run, 9216, None)
        make_record(run, 10752, 1.6, attention=attention, step=7)
        make_record(run, 10752, 1.9, attention=attention, time="2025-01-01T00:00:00Z")  # older
        lines = {line["row"]: line for line in self.lines("sparse3")}
        self.assertEqual(lines["m = 6,144"]["ours"], f"1.6000 ± {statistics.stdev((1.5, 1.7)):.4f}")
        self.assertEqual((lines["m = 6,144"]["n"], lines["m = 6,144"]["commit"]), ("2", "feedbeeffe"))
        self.assertEqual(lines["m = 6,144"]["published"], "0.9952")
        self.assertEqual(lines["m = 9,216"]["ours"], "not run")
        self.assertEqual(lines["m = 10,752"]["ours"], "1.6000")
        self.assertIn("evaluated at step 7", lines["m = 10,752"]["note"])
        self.assertEqual(lines["m = 12,160"]["ours"], "not run")

    def test_minimum_contexts_of_a_small_run_stand_below(self):
        run = self.run_of("enwik8/fixed_small.toml", "enwik8_fixed_small", 0, 2.6)
        make_record(run, 512, 2.5)
        make_record(run, 0, 2.6)
        lines = {line["row"]: line["ours"] for line in self.lines("sparse3")}
        self.assertEqual(lines["other run: enwik8_fixed_small, m = 512"], "2.5000")
        self.assertEqual(lines["other run: enwik8_fixed_small, m = 0"], "2.6000")

    def test_floors_are_those_of_the_bytes_that_the_run_scored(self):
        generator = np.random.default_rng(0)
        text = "".join(generator.choice(["warp ", "weft ", "and "], 2000)).encode()
        make_data(self.runs, [text], "train", source_sha256="dd", task="text")
        make_data(self.runs, [text[:3000]], source_sha256="dd", task="text")
        self.run_of("enwik8/fixed_small.toml", "enwik8_fixed_small", 0, 2.6)
        self.move_data("enwik8_fixed_small")
        kept = floors.Floors(os.path.join(self.folder, "floors.json"))
        line = next(line for line in self.lines("sparse2", kept) if line["ours"] == "2.6000")
        self.assertEqual(line["uniform"], "8.0000")
        self.assertEqual(line["order5"], f"{kept.known['dd/test/all']['order5']:.4f}")
        self.assertLess(float(line["order5"]), float(line["marginal"]))
        self.assertGreater(float(line["marginal"]), 1)

    def test_all_three_files_hold_the_same_rows_and_latex_takes_every_character(self):
        self.run_of("enwik8/fixed_small.toml", "enwik8_fixed_small", 0, 2.6)
        self.table_paper("--table", "sparse2", "--runs", "runs", "--out", "t", "--no-floors",
                         "--columns", "row,published,ours,n,note")
        texts = {}
        for ending in ("csv", "md", "tex"):
            with open(os.path.join(self.folder, "t", "sparse2." + ending), encoding="utf-8") as f:
                texts[ending] = f.read()
        rows = list(csv.DictReader(texts["csv"].splitlines()))
        self.assertEqual(tuple(rows[0]), table_paper.COLUMNS)
        self.assertEqual(len(rows), 8)
        self.assertIn("2.6000", texts["md"])
        self.assertIn(r"enwik8\_fixed\_small", texts["tex"])
        self.assertIn(r"0.992 $\pm$ 0.001", texts["tex"])
        head, body = texts["tex"].split("\\toprule")[1].split("\\bottomrule")[0].split("\\midrule")
        self.assertEqual({line.replace(r"\&", "").count("&") for line in body.strip().splitlines()}, {4})
        self.assertEqual(head.count("&"), 4)
        self.assertEqual(tables.tex(r"50 % & a_b $x$ #1 {y} ~ ^ \ <>"),
                         r"50 \% \& a\_b \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{} "
                         r"\textless{}\textgreater{}")
        self.assertIn("expected some of row", self.table_paper("--table", "sparse2", "--columns", "x", status=2).stderr)

    def test_every_row_is_a_run_of_an_input_file_with_its_settings(self):
        with open(os.path.join(POSTPROC, "tables.toml"), "rb") as f:
            known = tomllib.load(f)
        self.assertEqual(tuple(known), TABLES)
        published = table_paper.published("published.toml")
        for table in known.values():
            for row in table.get("rows", [table]):
                self.assertTrue(os.path.isfile(os.path.join(INPUTS, published[row["run"]]["input"])), row["run"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
