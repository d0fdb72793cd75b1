"""Training in fp16: the loss falls as in fp32, what does not fit is left out and lowers the scale, restarts and ranks
change no bit, the scale among them."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import h5py
import numpy as np

from programs import ProgramTest, main, run, steps

LONG = ("training.steps=60", "schedule.kind=constant", "checkpoint.every_steps=1000", "evaluation.every_steps=1000",
        "model.dropout=0")
FP16 = ("run.precision=fp16", "schedule.kind=constant")


class Fp16Test(ProgramTest):
    def scale(self, name, step):
        with h5py.File(self.checkpoint(name, step)) as file:
            return float(file.attrs["loss_scale"]), int(file.attrs["loss_scale_good_steps"]), int(file.attrs["skipped"])

    def test_the_loss_falls_as_in_fp32_and_the_norm_is_that_of_the_gradient(self):
        self.train("single", *LONG)
        done = self.train("half", *LONG, "run.precision=fp16", "optimizer.loss_scale=1024")
        single, half = (steps(self.run_folder(name)) for name in ("single", "half"))
        np.testing.assert_allclose(half["gradient_norm"][0], single["gradient_norm"][0], rtol=2e-3)
        last = [np.mean(run["loss"][-10:]) for run in (single, half)]
        self.assertLess(last[1], 0.7 * half["loss"][0])
        self.assertAlmostEqual(last[0], last[1], delta=0.02 * last[0])
        self.assertEqual(self.scale("half", 60), (1024, 60, 0))
        self.assertIn("scale 1024", done.stdout)
        with h5py.File(self.checkpoint("single", 60)) as file:
            self.assertNotIn("loss_scale", file.attrs)

    def test_an_overflow_halves_the_scale_until_gradients_fit_and_the_run_goes_on(self):
        done = self.train("huge", *LONG, "run.precision=fp16", "optimizer.loss_scale=16777216", "training.batch=1")
        scale, good, skipped = self.scale("huge", 60)
        rows = steps(self.run_folder("huge"))
        fits = np.isfinite(rows["gradient_norm"])
        self.assertGreater(skipped, 0)
        self.assertEqual((scale, skipped), (16777216 / 2**skipped, np.count_nonzero(~fits)))
        self.assertEqual(good, 60 - np.max(rows["step"][~fits]))
        self.assertEqual(len(re.findall(r"step \d+ is skipped: its gradient does not fit into fp16", done.stdout)), skipped)
        self.assertIn(f"  {skipped} skipped", done.stdout)
        self.assertTrue(np.all(np.isfinite(rows["loss"])))
        self.assertLess(np.mean(rows["loss"][-10:]), 0.9 * rows["loss"][0])

    def test_more_than_ten_overflows_in_a_row_are_no_bad_numbers_while_the_scale_can_fall(self):
        # Weights that make the gradients some 2^10 times larger; nothing else is wrong with them.
        done = self.train("steep", *FP16, "optimizer.loss_scale=16777216", "model.embedding_scale=1e-5",
                          "model.position_scale=1e-5", "training.batch=1", "training.steps=40")
        self.assertGreater(self.scale("steep", 40)[2], 10, done.stdout)
        self.assertTrue(np.isfinite(steps(self.run_folder("steep"))["gradient_norm"][-1]))

    def test_bad_numbers_are_status_3_and_do_not_lower_the_scale(self):
        done = self.train("bad", *FP16, "optimizer.learning_rate=1e30", "optimizer.clip=0", "schedule.warmup_steps=0",
                          "optimizer.loss_scale=1024", "training.steps=100", "checkpoint.every_steps=1", status=3)
        self.assertIn("10 steps in a row", done.stderr)
        self.assertIn('run.precision = "fp32"', done.stderr)
        self.assertNotIn("which falls to", done.stdout)

    def test_a_restart_changes_no_bit_nor_the_scale(self):
        growing = (*FP16, "optimizer.loss_scale=16777216", "optimizer.loss_scale_growth_steps=4", "training.batch=1",
                   "training.steps=24")
        self.train("whole", *growing)
        for last in (5, 11, 18):
            self.train("parts", *growing, f"training.steps={last}")
        self.train("parts", *growing)
        self.assert_same_run("whole", "parts", 24)
        self.assertEqual(self.scale("whole", 24), self.scale("parts", 24))
        with open(self.run_folder("whole") + "/run.log") as file:
            log = file.read()
        self.assertIn("which falls to", log)
        self.assertIn("the loss scale rises to", log)

    def test_ranks_change_no_bit_nor_the_scale(self):
        growing = (*FP16, "optimizer.loss_scale=16777216", "optimizer.loss_scale_growth_steps=3",
                   "training.batch=2")
        self.train("one", *growing)
        self.train("two", *growing, ranks=2)
        self.train("shared", *growing, "parallel.shard_optimizer=true", ranks=2)
        self.assertGreater(self.scale("one", 12)[2], 0)
        for name in ("two", "shared"):
            self.assert_same_run("one", name, 12)
            self.assertEqual(self.scale("one", 12), self.scale(name, 12))

    def test_a_run_may_change_its_precision_and_then_begins_with_the_keys_scale(self):
        self.train("run", "schedule.kind=constant", "training.steps=6")
        self.train("run", *FP16, "optimizer.loss_scale=512")
        self.assertEqual(self.scale("run", 12), (512, 6, 0))
        self.train("run", "run.precision=bf16", "schedule.kind=constant", "training.steps=14")
        with h5py.File(self.checkpoint("run", 14)) as file:
            self.assertNotIn("loss_scale", file.attrs)

    def test_eval_and_check_take_it(self):
        self.train("run", *FP16)
        text = run(["eval", self.run_folder("run")]).stdout
        with h5py.File(self.run_folder("run") + "/metrics.h5") as file:
            self.assertIn(f"{float(file['final/test_bits'][()]):.4f}", text)
        self.assertIn("memory", run(["check", self.input, "run.precision=fp16"]).stdout)


if __name__ == "__main__":
    main()
