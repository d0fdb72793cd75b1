"""weft check --causality: honest patterns are found honest, and the known leak is found and counted."""
import csv
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run

LEAK = ("attention.pattern=block_bidirectional", "attention.allow_leak=true", "attention.stride=8")


class CausalityTest(ProgramTest):
    def check(self, *arguments, **how):
        return run(["check", self.input, "--causality", *arguments], **how)

    def table(self):
        """The rows of the table of patterns: pattern, its set, whether a causal task lets it see later keys."""
        text = run(["help", "--markdown", "attention.pattern"]).stdout
        rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
        return [(pattern, name, "a leak" in causal or causal == "not defined") for pattern, name, causal, *_ in rows]

    def test_every_pattern_is_found_to_be_what_the_table_says(self):
        sets = {}
        for pattern, name, leak in self.table():
            sets.setdefault(pattern, []).append((name, leak))
        self.assertGreaterEqual(len(sets), 5)
        for pattern, rows in sets.items():
            several = len(rows) > 1
            for combination in ("merged", "interleaved", "heads") if several else ("merged",):
                how = (f"attention.pattern={pattern}",)
                if several:
                    how += (f"attention.combination={combination}",)
                if pattern == "lsh":  # its buckets say which earlier keys are met; see below
                    how += ("attention.buckets=[1]", "attention.chunk=16")
                if any(leak for _, leak in rows):
                    self.assertIn("LEAK", self.check(*how, "attention.allow_leak=true", status=1).stdout, pattern)
                else:
                    self.assertIn("no leak: none of 64 targets", self.check(*how).stdout, f"{pattern} {combination}")

    def test_with_hash_buckets_later_bytes_move_what_is_met(self):
        done = self.check("attention.pattern=lsh", "attention.chunk=8", status=1)
        self.assertIn("with lsh no slot reads a later byte", done.stdout)

    def test_the_leak_of_the_reproduction_is_found_and_counted(self):
        table, picture = self.folder + "/targets.csv", self.folder + "/seen.png"
        done = self.check(*LEAK, "model.context=254", "--csv", table, "--png", picture, status=1)
        self.assertIn("LEAK: 222 of 254 targets", done.stdout)
        with open(table) as file:
            rows = list(csv.DictReader(file))
        # A target is seen by its slot unless it lies in the last place of a block (or of the window).
        honest = [int(row["position"]) for row in rows if row["leaks"] == "0"]
        self.assertEqual(honest, [*range(7, 254, 8), 253])
        with open(picture, "rb") as file:
            self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")

    def test_the_leaking_pattern_is_refused_without_consent(self):
        done = self.train("leak", "attention.pattern=block_bidirectional", status=2)
        self.assertIn("attention.allow_leak", done.stderr)

    def test_a_long_window_is_refused_with_advice(self):
        done = self.check("model.context=4096", status=2)
        self.assertIn("model.context=256", done.stderr)


if __name__ == "__main__":
    main()
