"""The figures of weft bench, their exponents, and the scaling model, on made-up measurements with a known answer."""
import json
import math
import os
import sys
import unittest

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "postproc")]
import plot_bench  # noqa: E402
import scaling_model  # noqa: E402
from figures_test import FigureTest  # noqa: E402

MACHINE = {"device": "made up", "threads": 2, "matrix_fp32": 1e11, "matrix_bf16": 4e11, "copy_bandwidth": 2e10}


def attention(pattern, length, seconds, width=64):
    work = dict(what=pattern, precision="fp32", N=length, width=width, operations=1e6 * length, bytes=512.0 * length)
    return [dict(work, operation="attention forward", seconds=seconds / 4),
            dict(work, operation="attention backward", seconds=seconds * 3 / 4)]


def kernels():
    figures = [dict(operation="norm forward", what="", precision="bf16", N=1, width=8, operations=0, bytes=1e6,
                    seconds=1e-4)]
    for n in (1024, 2048, 4096, 8192):
        figures += attention("dense", n, 1e-9 * n**2) + attention("strided l=128", n, 3e-7 * n**1.5)
        figures += attention("dense", n, 1.0, width=32)  # another head width is no part of the curve
    return {"machine": MACHINE, "figures": figures, "steps": []}


class BenchFiles(FigureTest):
    def bench(self, name, content):
        return self.file(name, json.dumps(content))


class BenchTest(BenchFiles):
    def test_exponents_are_those_the_times_were_made_with(self):
        curves = plot_bench.curves(kernels()["figures"])
        self.assertEqual(set(curves), {("dense", "fp32"), ("strided l=128", "fp32")})
        n, seconds = curves["dense", "fp32"]
        np.testing.assert_array_equal(n, [1024, 2048, 4096, 8192])
        self.assertAlmostEqual(seconds[0], 1e-9 * 1024**2)
        self.assertAlmostEqual(plot_bench.exponent(n, seconds), 2, places=6)
        self.assertAlmostEqual(plot_bench.exponent(*curves["strided l=128", "fp32"], first=1), 1.5, places=6)
        self.assertTrue(math.isnan(plot_bench.exponent(n[:1], seconds[:1])))

    def test_prints_exponents_and_draws(self):
        self.bench("a.json", kernels())
        done = self.script("plot_bench.py", "a.json", "--labels", "here", "--out", "p")
        self.assertIn("here: dense, fp32: time grows as N^2.00, 4 lengths, N = 1024 to 8192; the operations "
                      "of its tiles as N^1.00", done.stdout)
        self.assertIn("strided l=128, fp32: time grows as N^1.50", done.stdout)
        self.assert_pictures("p")

    def test_pieces_are_one_measurement(self):
        whole = kernels()
        short = [f for f in whole["figures"] if f["N"] < 4096]
        product = dict(operation="product forward", what="qkv", precision="fp32", N=8, width=8, operations=1e6, bytes=1e3,
                       seconds=1e-4, bare_seconds=9e-5)
        self.bench("short.json", {**whole, "figures": short + [dict(product, bare_ratio=0.8)]})
        self.bench("long.json", {"machine": dict(MACHINE, matrix_fp32=2e11), "steps": [],
                                 "figures": [f for f in whole["figures"] if f["N"] >= 4096] +
                                            [dict(product, bare_ratio=r) for r in (0.9, 1.1)]})
        done = self.script("plot_bench.py", "short.json", "long.json", "--pieces", "--from", "1024", "--labels", "both")
        self.assertIn("both: dense, fp32: time grows as N^2.00, 4 lengths, N = 1024 to 8192", done.stdout)
        self.assertIn("both: products, fp32: a bare one takes 0.90 of the time at the median shape, 0.80 to 1.10 over 3",
                      done.stdout)
        self.assert_pictures("bench")
        machine, figures = plot_bench.together([(MACHINE, short), (dict(MACHINE, matrix_fp32=2e11), [])])
        self.assertEqual((machine["matrix_fp32"], machine["copy_bandwidth"]), (2e11, MACHINE["copy_bandwidth"]))
        self.assertEqual(figures, short)
        self.assertIn("expected 1 with --pieces", self.script("plot_bench.py", "a.json", "b.json", "--pieces", "--labels",
                                                              "a", "b", status=2).stderr)

    def test_tells_what_is_no_bench(self):
        self.bench("list.json", [])
        self.bench("steps.json", {"machine": MACHINE, "figures": [], "steps": []})
        self.bench("zero.json", {"machine": MACHINE, "figures": [dict(kernels()["figures"][0], seconds=0)]})
        self.file("text.json", "not json")
        for name, message in (("list.json", "\"machine\""), ("steps.json", "at least one"), ("zero.json", "no time"),
                              ("text.json", "weft bench --json"), ("none.json", "make it with weft bench")):
            self.assertIn(message, self.script("plot_bench.py", name, status=1).stderr)


def step(ranks, seconds, **other):
    row = dict(ranks=ranks, threads=1, seconds=seconds, parameters=1_000_000, batch=4, micro_batch=1, N=1024, width=256,
               layers=6, precision="fp32")
    return {"machine": MACHINE, "figures": [], "steps": [{**row, **other}]}


class ScalingTest(BenchFiles):
    def test_sums_cost_messages_and_bytes(self):
        self.assertEqual(scaling_model.direct_sum(1, 1e9, 1e-6, 1e9), 0)
        # Two buckets, 2 x 3 messages each, and 2 x 3/4 of the bytes.
        self.assertAlmostEqual(scaling_model.direct_sum(4, 2e6, 1e-3, 1e8, bucket=1e6), 2 * 6 * 1e-3 + 1.5 * 2e6 / 1e8)
        # In pairs 2 x 2 messages, the same bytes; the second round's partner may be far away.
        self.assertEqual(scaling_model.pair_sum(1, 1e9, lambda _: (1e-6, 1e9)), 0)
        self.assertAlmostEqual(scaling_model.pair_sum(4, 2e6, lambda _: (1e-3, 1e8), bucket=1e6), 2 * 4 * 1e-3 + 1.5 * 2e6 / 1e8)
        far = scaling_model.pair_sum(4, 2e6, lambda distance: (1e-3, 1e8 / distance), bucket=1e6)
        self.assertAlmostEqual(far, 2 * 4 * 1e-3 + 2e6 / 1e8 + 0.5 * 2e6 / 5e7)
        self.assertEqual([scaling_model.in_pairs(r) for r in (1, 2, 3, 4, 6, 8)], [False, False, False, True, False, True])
        self.assertAlmostEqual(scaling_model.exposed(1.0, 30.0, 4e6, bucket=1e6), 0.25)  # hidden but for the last bucket
        self.assertAlmostEqual(scaling_model.exposed(1.0, 0.3, 4e6, bucket=1e6), 0.8)

    def test_two_ranks_halve_the_slots_and_cores_are_shared_beyond_their_number(self):
        one = {"threads": 1, "seconds": 4.0, "parameters": 1000, "slots": 4, "copy": 1e10}
        self.assertAlmostEqual(scaling_model.predict(one, 1, 2), 4.0)
        self.assertAlmostEqual(scaling_model.predict(one, 2, 2), 2.0, places=3)
        self.assertAlmostEqual(scaling_model.predict(one, 4, 4), 1.0, places=3)
        self.assertAlmostEqual(scaling_model.predict(one, 4, 2), 2.0, places=3)
        self.assertAlmostEqual(scaling_model.predict(dict(one, slots=3, seconds=3.0), 2, 2), 2.0, places=3)

    def test_the_large_model_is_that_of_the_input_file(self):
        parameters, operations = scaling_model.enwik8_work()
        self.assertEqual(parameters, 94_949_888)
        self.assertTrue(7e12 < operations < 2e13)
        few, many, most = scaling_model.large_machines(0.35)
        self.assertEqual([few[0], many[0], most[0]], [8, 64, 4096])
        self.assertTrue(1 >= few[3] > many[3] > most[3] > 0.9)
        self.assertTrue(many[4] < 0.5 > most[4])  # why the sum is in pairs

    def test_compares_with_what_was_measured(self):
        self.bench("one.json", step(1, 4.0))
        self.bench("two.json", step(2, 2.5))
        out = self.script("scaling_model.py", "one.json", "two.json", "--cores", "2").stdout
        two = next(line for line in out.splitlines() if line.split()[:1] == ["2"])
        predicted, measured, error = two.split()[1:]
        self.assertTrue(2.0 <= float(predicted[:-1]) < 2.02, predicted)
        self.assertEqual(measured, "2.5000s")
        self.assertAlmostEqual(float(error[:-1]), 100 * (float(predicted[:-1]) / 2.5 - 1), delta=0.1)
        self.assertIn("4096", out)

    def test_tells_files_that_do_not_belong_together(self):
        self.bench("one.json", step(1, 4.0))
        self.bench("other.json", step(2, 2.5, width=512))
        self.bench("kernels.json", kernels())
        for files, message in ((("one.json", "other.json"), "another model"), (("other.json",), "expected one"),
                               (("kernels.json",), "weft bench INPUT.toml --json"), (("none.json",), "make it with")):
            self.assertIn(message, self.script("scaling_model.py", *files, status=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
