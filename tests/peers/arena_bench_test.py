"""arena_bench.py times every model of the arena beside its peer: rows as they happen, finite ratios, reasons for what
is not there. It says nothing of speed. Skipped (77) without PyTorch."""
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
from arena_peer import MODULES, RECURRENT
from programs import WEFT, main


def bench(*arguments):
    command = [sys.executable, "-B", os.path.join(HERE, "arena_bench.py"), "--weft", WEFT, "--length", "256", "--batch", "1",
               "--layers", "1", "--repeats", "1", "--steps", "1", "--threads", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows_of(done):
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class ArenaBench(unittest.TestCase):
    def test_every_model_runs_beside_its_peer(self):
        with tempfile.TemporaryDirectory() as folder:
            out = folder + "/rows.json"
            modules_of = {**MODULES, **RECURRENT}
            done = bench("--models", *modules_of, "--width", "64", "--variants", "eager", "--out", out)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            rows = rows_of(done)
            with open(out, encoding="utf-8") as f:
                self.assertEqual([json.loads(line) for line in f], rows)
        table = {line.split()[0]: line.split() for line in done.stdout.split("\n\n")[1].splitlines()[2:]}
        self.assertEqual(set(table), set(modules_of))
        for model, modules in modules_of.items():
            with self.subTest(model):
                mine = {row["program"]: row for row in rows if row["model"] == model}
                self.assertEqual(set(mine), {"weft", *("eager, " + module for module in modules)})
                timed = {program: row["ms"] for program, row in mine.items() if "ms" in row}
                fetched = [row for row in mine.values() if "cannot be fetched" in row.get("missing", "")]
                if fetched:
                    continue
                self.assertEqual(set(timed), set(mine), mine)
                self.assertTrue(all(math.isfinite(ms) and ms > 0 for ms in timed.values()), timed)
                ratio = float(table[model][4])
                best = min(ms for program, ms in timed.items() if program != "weft")
                self.assertAlmostEqual(ratio, best / timed["weft"], delta=0.01)
                shares = [mine["weft"][name] for name in ("products_share", "attention_share", "rest_share")]
                self.assertAlmostEqual(sum(shares), 1, delta=0.01)

    def test_what_ends_late_or_cannot_run_is_told(self):
        done = bench("--models", "linear", "--variants", "compiled", "--limit", "0.01")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        late = [row for row in rows_of(done) if row["program"] != "weft"]  # which may end within the second that it has at least
        self.assertEqual(len(late), len(MODULES["linear"]))
        self.assertTrue(all("did not end within 0.01 s" in row["missing"] for row in late), done.stdout)
        self.assertIn("did not end", done.stdout.split("\n\n")[1])

    def test_a_length_that_peers_cannot_take_is_refused(self):
        for length in ("100", "1000"):
            done = bench("--length", length)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"--length: got {length}, expected a power of two", done.stderr)
        done = bench("--width", "100")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--width: got 100, expected a multiple of 32", done.stderr)


if __name__ == "__main__":
    main()
