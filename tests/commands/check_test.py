"""weft check: what it says of time, disk and memory before a run, and what it refuses to try."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run, steps  # noqa: E402

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60}


class CheckTest(ProgramTest):
    def check(self, *overrides, **how):
        return run(["check", self.input, *overrides], **how)

    def row(self, text, name):
        return re.search(rf"^  {name} +(.*)$", text, re.M)[1]

    def test_a_small_models_step_is_run_and_so_is_foretold(self):
        # Three tries: the machine may be busy during one of the two measurements.
        for last in (False, False, True):
            text = self.check("log.tensorboard=false").stdout
            self.assertIn("time, from micro-batches that were run", text)
            value, unit = self.row(text, "a step").split()
            self.train("run", "run.fresh=true", "training.steps=40")
            took = sorted(steps(self.run_folder("run"))["seconds"])[10]
            ratio = float(value) * UNITS[unit] / took
            if 0.5 < ratio < 2 or last:
                self.assertTrue(0.5 < ratio < 2, ratio)
                return

    def test_the_whole_run_and_its_checkpoints(self):
        text = self.check("training.steps=1000", "checkpoint.keep=4").stdout
        self.assertRegex(self.row(text, "the run"), r"for 1,000 steps")
        parameters = int(self.row(text, "parameters").replace(",", ""))
        self.assertEqual(self.row(text, "checkpoints on the disk").split(",")[0], f"5 x {12 * parameters / 1024:.0f} KiB")
        text = self.check("data.path=" + self.folder + "/not_there").stdout
        self.assertNotRegex(text, "the run +")

    def test_ranks_share_the_step(self):
        text = {ranks: self.row(self.check("--ranks", str(ranks), "training.batch=8").stdout, "tokens per second")
                for ranks in (1, 8)}
        number = {ranks: float(t.split()[0]) * {"k": 1e3, "M": 1e6}.get(t.split()[1], 1) for ranks, t in text.items()}
        self.assertGreater(number[8], 3 * number[1])

    def test_what_takes_long_is_estimated(self):
        text = self.check("model.width=4096", "model.heads=16", "training.micro_batch=4", "model.context=1024",
                          "model.position_shape=[32,32]").stdout
        self.assertIn("time, estimated", text)

    def test_what_no_machine_holds_is_said(self):
        text = self.check("model.width=65536", "model.heads=256", "model.layers=200").stdout
        self.assertRegex(text, r"note: a rank takes .* TiB, and this machine has .* free")

    def test_tile_lists_are_bounded(self):
        error = self.check("model.context=16777216", "model.position_shape=[4096,4096]", status=2, timeout=60).stderr
        self.assertIn("16777216 positions", error)
        self.assertIn("67 million is the limit", error)


if __name__ == "__main__":
    main()
