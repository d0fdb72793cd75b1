"""Tables and figures from what the program really leaves behind: two tiny runs of shipped input files."""
import csv
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..")]
from programs import ProgramTest, main, run  # noqa: E402

import h5py  # noqa: E402

ROOT = os.path.join(HERE, "..", "..")
TINY = ["model.layers=2", "model.width=32", "model.heads=2", "model.context=64", "training.steps=6", "training.batch=2",
        "schedule.warmup_steps=2", "checkpoint.every_steps=6", "evaluation.every_steps=3", "log.every_steps=3"]


class TablesFromRunsTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.runs = f"{self.folder}/runs"
        for pattern in ("fixed", "strided"):
            run(["train", f"{ROOT}/inputs/enwik8/{pattern}_small.toml", f"run.directory={self.runs}",
                 f"data.path={self.folder}/data", *TINY])
        self.model = f"{self.runs}/enwik8_fixed_small"

    def script(self, name, *arguments):
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "postproc", name), *arguments], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def rows(self, table):
        with open(f"{self.folder}/tables/{table}.csv", encoding="utf-8", newline="") as f:
            return {row["row"]: row for row in csv.DictReader(f)}

    def test_all_tables_are_built_and_hold_the_figures_of_the_runs(self):
        run(["eval", self.model, "--split", "test", "evaluation.minimum_context=48"])
        self.script("table_paper.py", "--table", "all", "--runs", self.runs, "--out", "tables")
        self.assertEqual(len(glob.glob(f"{self.folder}/tables/*.tex")), 7)
        sparse2 = self.rows("sparse2")
        with open(f"{self.folder}/tables/floors.json", encoding="utf-8") as f:
            floors, = json.load(f).values()
        for name in ("enwik8_fixed_small", "enwik8_strided_small"):
            with h5py.File(f"{self.runs}/{name}/metrics.h5") as f:
                bits, parameters = f["final/test_bits"][()], f.attrs["parameters"]
            row = sparse2[f"other run: {name}"]
            self.assertEqual((row["ours"], row["n"], row["parameters"]), (f"{bits:.4f}", "1", f"{parameters:,}"))
            self.assertEqual(row["order5"], f"{floors['order5']:.4f}")
            self.assertIn("model.layers 2, not 30", row["note"])
            self.assertNotIn("not recorded", row["machine"] + row["commit"] + row["hours"])
        self.assertEqual(sparse2["enwik8, dense"]["ours"], "not run")
        self.assertTrue(all(row["ours"] == "not run" for row in self.rows("repro2").values()))
        with open(f"{self.model}/evaluations/test-m48.json", encoding="utf-8") as f:
            bits = json.load(f)["bits"]
        sparse3 = self.rows("sparse3")
        self.assertEqual(sparse3["other run: enwik8_fixed_small, m = 48"]["ours"], f"{bits:.4f}")
        self.assertEqual(sparse3["m = 6,144"]["ours"], "not run")

    def test_all_figures_are_drawn(self):
        runs = [f"{self.runs}/enwik8_{pattern}_small" for pattern in ("fixed", "strided")]
        self.script("plot_curves.py", *runs, "--out", "curves", "--compressors")
        run(["eval", self.model, "--split", "test", "--by-position", f"{self.folder}/context.csv"])
        self.script("plot_context.py", "context.csv")
        for layer in ("0", "1"):
            run(["pattern", f"{ROOT}/inputs/enwik8/strided_small.toml", "model.context=36", "attention.stride=6", "--layer",
                 layer, "--csv", f"{self.folder}/strided{layer}.csv"])
        self.script("plot_patterns.py", "strided0.csv+strided1.csv", "--labels", "strided")
        for prefix in ("curves", "context", "patterns"):
            for ending, begin in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
                with open(f"{self.folder}/{prefix}.{ending}", "rb") as f:
                    self.assertEqual(f.read(4), begin)


if __name__ == "__main__":
    main()
