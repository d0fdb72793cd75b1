"""The arena's second table and its picture, from a measurement's file."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
POSTPROC = os.path.join(HERE, "..", "..", "postproc")
sys.path.insert(0, POSTPROC)
import plot_arena  # noqa: E402
import table_lra  # noqa: E402
import table_lra_speed  # noqa: E402


def row(model, N, seconds, speed, memory, published=(None, None)):
    return {"model": model, "input": f"inputs/lra/text/{model}.toml", "N": N, "batch": 4, "seconds": seconds, "peak_bytes": 2**27,
            "speed": speed, "memory": memory, "published_speed": published[0], "published_memory": published[1],
            "exponent": 1.25}


ROWS = [row("transformer", 1024, 0.5, 1, 1, (1, 1)), row("transformer", 4096, 4.0, 1, 1, (1, 1)),
        row("linear", 1024, 0.4, 1.25, 0.5, (1.123, 0.435)), row("linear", 4096, 1.0, 4, 0.25, (5.571, 0.109)),
        row("sparse", 4096, None, None, None)]


class ArenaSpeed(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder, self.file = scratch.name, scratch.name + "/arena.json"
        with open(self.file, "w", encoding="ascii") as f:
            json.dump({"arena": ROWS}, f)

    def script(self, name, *arguments):
        return subprocess.run([sys.executable, "-B", os.path.join(POSTPROC, name), *arguments], capture_output=True, text=True,
                              cwd=self.folder, check=False)

    def test_ours_stand_beside_the_published_multiples(self):
        done = self.script("table_paper.py", "--table", "lra_speed", "--bench", self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ours with 4 sequences a step", done.stdout)
        self.assertIn("| linear | 4,096 | 1 | 4.00 | 5.57 | 128 MiB | 0.25 | 0.11 | N^1.25 |", done.stdout)
        self.assertIn("| sparse | 4,096 | failed | n/a | n/a |", done.stdout)
        for ending in ("csv", "md", "tex"):
            self.assertTrue(os.path.isfile(f"{self.folder}/tables/lra_speed.{ending}"))

    def test_what_is_missing_or_damaged_is_told(self):
        done = self.script("table_paper.py", "--table", "lra_speed")
        self.assertEqual(done.returncode, 2)
        self.assertIn("weft bench inputs/lra/text --arena", done.stderr)
        with open(self.file, "w", encoding="ascii") as f:
            f.write('{"figures": []}')
        for name, more in (("table_paper.py", ["--table", "lra_speed"]), ("plot_arena.py", [])):
            done = self.script(name, *more, "--bench", self.file)
            self.assertEqual(done.returncode, 1)
            self.assertIn("expected what weft bench FOLDER --arena --json FILE writes", done.stderr)

    def test_the_picture_has_published_discs_and_our_rings_where_all_five_tasks_have_run(self):
        known = table_lra.published("published_lra.toml")
        rows, _ = table_lra_speed.read(self.file)
        published, ours = plot_arena.discs(rows, 4096, known, {"linear": 51.0})
        self.assertEqual(published, [("Transformer", 1, 54.39, 1), ("Linear Transformer", 5.571, 50.55, 0.109)])
        self.assertEqual(ours, [("Linear Transformer", 4, 51.0, 0.25)])
        done = self.script("plot_arena.py", "--bench", self.file, "--runs", self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Linear Transformer: 0 of 5 tasks run", done.stdout)
        self.assertGreater(os.path.getsize(self.folder + "/arena.png"), 5000)
        done = self.script("plot_arena.py", "--bench", self.file, "--at", "7")
        self.assertIn("--at: got 7, expected one of 1024, 4096", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
