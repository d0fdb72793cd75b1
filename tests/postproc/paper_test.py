"""The tables of the papers with their naive floors, and the figures of context and patterns."""
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
import unittest

import h5py
import matplotlib.image
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
POSTPROC = os.path.join(HERE, "..", "..", "postproc")
sys.path[:0] = [HERE, POSTPROC]
import byte_models  # noqa: E402
import plot_context  # noqa: E402
import plot_patterns  # noqa: E402
import table_paper  # noqa: E402
from made_runs import make_data, make_run  # noqa: E402

ENGLISH = (b"A loom holds the warp under tension so that the weft can be woven through it. The weaver lifts every other "
           b"thread of the warp, throws the shuttle, and beats the weft down. Then the other threads are lifted and the "
           b"shuttle comes back. What the pattern of the cloth will be depends on which threads are lifted and when. ")


class FloorTest(unittest.TestCase):
    def test_marginal_is_the_cross_entropy_of_the_formula(self):
        expected = -(2 * np.log2(4 / 260) + np.log2(2 / 260) + np.log2(1 / 260)) / 4
        self.assertAlmostEqual(byte_models.marginal_bits(b"aaab", b"aabz"), expected, places=12)

    def test_order_5_probabilities_of_the_next_byte_sum_to_one(self):
        model = byte_models.ByteModel(ENGLISH)
        for before in (b"", b"w", b"the w", b"lifts every", b"\x00\x01\x02\x03\x04", b"xyz the"):
            total = sum(model.probabilities(before + bytes([x]))[-1] for x in range(256))
            self.assertAlmostEqual(total, 1, places=10, msg=before)

    def test_witten_bell_against_the_formula_by_hand(self):
        model = byte_models.ByteModel(b"aab", order=1)
        p0 = lambda n: (n + 2 / 256) / (3 + 2)  # noqa: E731  three bytes, two kinds
        np.testing.assert_allclose(model.probabilities(b"ab"), [p0(2), (1 + 2 * p0(1)) / (2 + 2)])

    def test_order_5_beats_order_0_on_english(self):
        half = len(ENGLISH) * 2 // 3
        train, test = ENGLISH[:half], ENGLISH[half:]
        self.assertLess(byte_models.ByteModel(train).bits(test), byte_models.marginal_bits(train, test))

    def test_an_order_that_does_not_fit_a_word_is_refused(self):
        with self.assertRaisesRegex(ValueError, "order 8"):
            byte_models.ByteModel(b"abc", 8)


class PaperTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-paper-")
        self.addCleanup(shutil.rmtree, self.folder)
        make_data(self.folder, [ENGLISH[:300], ENGLISH[300:]])
        with h5py.File(os.path.join(self.folder, "data", "train-00000-of-00001.h5"), "w") as f:
            f["tokens"] = np.frombuffer(ENGLISH * 3, dtype=np.uint8)

    def script(self, name, *arguments, status=0):
        done = subprocess.run([sys.executable, "-B", os.path.join(POSTPROC, name), *arguments], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def table(self, name, status=0):
        done = self.script("table_paper.py", "--table", name, "--runs", ".", "--out", "out", status=status)
        if status:
            return done
        with open(os.path.join(self.folder, "out", name + ".csv"), encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        for row in rows:
            self.assertNotIn("", row.values())
        for ending in ("md", "tex"):
            self.assertTrue(os.path.getsize(os.path.join(self.folder, "out", f"{name}.{ending}")))
        return {row["row"]: row for row in rows}

    def record(self, run, context, bits):
        os.makedirs(os.path.join(run, "evaluations"), exist_ok=True)
        with open(os.path.join(run, "evaluations", f"test-m{context}.json"), "w", encoding="utf-8") as f:
            json.dump({"split": "test", "minimum_context": context, "bits": bits}, f)

    def test_table_2_has_mean_and_deviation_and_says_not_run(self):
        bits = [0.99, 0.996]
        for seed, value in enumerate(bits):
            make_run(self.folder, f"enwik8_fixed_seed{seed}", seed, value)
        make_run(self.folder, "enwik8_fixed_small", 0, 2.5)
        rows = self.table("sparse2")
        self.assertEqual(rows["enwik8, fixed"]["ours"], f"0.9930 ± {statistics.stdev(bits):.4f}")
        self.assertEqual(rows["enwik8, fixed"]["n"], "2")
        self.assertEqual(rows["enwik8, fixed"]["energy"], "not measured")
        self.assertEqual(rows["small: enwik8 prefix, fixed"]["ours"], "2.5000")
        self.assertEqual(rows["CIFAR-10, strided"]["ours"], "not run")
        self.assertEqual(rows["enwik8, fixed"]["uniform"], "8.0000")
        self.assertLess(float(rows["enwik8, fixed"]["order 5"]), float(rows["enwik8, fixed"]["marginal"]))

    def test_table_3_reads_the_evaluation_records(self):
        run = make_run(self.folder, "enwik8_fixed", 0, 1.5)
        self.record(run, 6144, 1.25)
        rows = self.table("sparse3")
        self.assertEqual(rows["minimum context 6144"]["ours"], "1.2500")
        self.assertIn("not run", rows["minimum context 9216"]["ours"])
        self.record(run, 9216, "much")
        self.assertIn("run weft eval again", self.table("sparse3", status=1).stderr)

    def test_the_tables_of_the_reproduction(self):
        make_run(self.folder, "enwik8_reproduction_small_strided", 0, 2.75)
        make_run(self.folder, "cifar10_reproduction_fixed", 0, 4.5)
        self.assertEqual(self.table("repro1")["reproduced (strided)"]["ours"], "2.7500")
        rows = self.table("repro2")
        self.assertEqual(rows["reproduced (fixed)"]["ours"], "4.5000")
        self.assertIn("class labels", rows["reproduced (fixed)"]["measured"])

    def test_floors_are_kept(self):
        make_run(self.folder, "enwik8_fixed", 0, 1.5)
        self.table("sparse2")
        path = os.path.join(self.folder, "out", "floors.json")
        with open(path, encoding="utf-8") as f:
            kept = json.load(f)
        (key,) = kept
        kept[key]["order 5"] = 1.2345
        with open(path, "w", encoding="utf-8") as f:
            json.dump(kept, f)
        self.assertEqual(self.table("sparse2")["enwik8, fixed"]["order 5"], "1.2345")

    def test_latex_is_escaped(self):
        self.assertEqual(table_paper.tex("a_b & 5% ± {#}"), r"a\_b \& 5\% $\pm$ \{\#\}")

    def test_every_row_has_its_input_file_and_counts_the_runs_that_file_names(self):
        for table in table_paper.tables().values():
            for row in table["rows"]:
                if "input" in row:
                    with open(os.path.join(HERE, "..", "..", row["input"]), "rb") as f:
                        self.assertTrue(tomllib.load(f)["run"]["name"].startswith(row["stem"]), row)

    def picture(self, name):
        image = matplotlib.image.imread(os.path.join(self.folder, name + ".png"))
        self.assertGreater(len(np.unique(image.reshape(-1, image.shape[2]), axis=0)), 10)
        with open(os.path.join(self.folder, name + ".pdf"), "rb") as f:
            self.assertEqual(f.read(5), b"%PDF-")

    def test_context_curve(self):
        with open(os.path.join(self.folder, "c.csv"), "w", encoding="utf-8") as f:
            f.write("context,bits,count\n" + "".join(f"{i},{8 / (i + 1) ** 0.1},{5}\n" for i in range(500)))
        self.script("plot_context.py", "c.csv", "--out", "c")
        self.picture("c")
        x, y = plot_context.binned(np.array([0.0, 9, 9]), np.array([8.0, 1, 4]), np.array([1.0, 2, 1]), 2)
        np.testing.assert_allclose((x, y), ([0, 9], [8, 2]))

    def test_pattern_picture(self):
        path = os.path.join(self.folder, "p.csv")
        with open(path, "w", encoding="utf-8") as f:
            f.write("0,0\n1,0,1\n2,1\n")
        np.testing.assert_array_equal(plot_patterns.matrix(path), [[2, 0, 0], [1, 2, 0], [0, 1, 0]])
        self.script("plot_patterns.py", path, path, "--out", "p")
        self.picture("p")


if __name__ == "__main__":
    unittest.main(verbosity=2)
