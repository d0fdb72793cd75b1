"""scripts/busy_neighbour.py: it measures both loads in turns, and leaves no neighbour behind."""
import importlib.util
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, ProgramTest, main

SCRIPT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "busy_neighbour.py"))
spec = importlib.util.spec_from_file_location("busy_neighbour", SCRIPT)
busy_neighbour = importlib.util.module_from_spec(spec)
spec.loader.exec_module(busy_neighbour)


class NeighbourTest(ProgramTest):
    def test_both_loads_are_measured_in_turns(self):
        out = self.folder + "/out.json"
        done = subprocess.run([SCRIPT, self.input, "--rounds", "1", "--weft", WEFT, "--json", out], capture_output=True, text=True,
                              timeout=250, env=dict(os.environ, OMP_NUM_THREADS="1"), check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\| training step, ms \| \S+ \| \S+ \| \d+\.\d\d \|")
        self.assertRegex(done.stdout, r"\| sampling a byte, us \| \S+ \| \S+ \| \d+\.\d\d \|")
        with open(out, encoding="utf-8") as file:
            found = json.load(file)
        self.assertEqual(found["processors"], len(os.sched_getaffinity(0)))
        for what in ("step", "sampling"):
            self.assertEqual([len(found[what][load]) for load in ("idle", "busy")], [1, 1])

    def test_the_median_of_the_rounds_counts(self):
        text = busy_neighbour.table({"step": {"idle": [0.1, 0.2, 9], "busy": [0.3, 0.4, 9]},
                                     "sampling": {"idle": [1e-4] * 3, "busy": [1e-4] * 3}})
        self.assertIn("| training step, ms | 200 | 400 | 2.00 |", text)
        self.assertIn("| sampling a byte, us | 100 | 100 | 1.00 |", text)

    def test_neighbours_are_niced_and_end(self):
        with busy_neighbour.neighbours(2, 19) as started:
            self.assertEqual([process.poll() for process in started], [None, None])
            self.assertEqual([os.getpriority(os.PRIO_PROCESS, process.pid) for process in started], [19, 19])
        self.assertNotIn(None, [process.poll() for process in started])
        with self.assertRaises(KeyError), busy_neighbour.neighbours(1) as started:
            raise KeyError
        self.assertIsNotNone(started[0].poll())

    def test_a_bench_that_fails_is_told(self):
        done = subprocess.run([SCRIPT, self.folder + "/none.toml", "--weft", WEFT], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.toml", done.stderr)


if __name__ == "__main__":
    main()
