"""The page of NumPy recomputes the logits of trained checkpoints, from docs/checkpoint.md alone."""
import os
import subprocess
import sys

import h5py

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import ProgramTest, main, run

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "numpy_forward.py")


class NumpyTest(ProgramTest):
    def compare(self, name, *overrides):
        self.train(name, "optimizer.learning_rate=2e-2", *overrides)  # large steps: logits far from zero
        logits = f"{self.folder}/{name}.h5"
        run(["eval", self.checkpoint(name, 12), "--logits", logits, "training.micro_batch=2"])
        return self.page(name)

    def page(self, name):
        command = [sys.executable, "-B", PAGE, self.checkpoint(name, 12), f"{self.folder}/{name}.h5"]
        return subprocess.run(command, capture_output=True, text=True)

    def assert_agrees(self, name, *overrides):
        done = self.compare(name, *overrides)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_fixed_with_a_summary_of_its_own_for_every_head(self):
        self.assert_agrees("fixed", "model.heads=4")

    def test_fixed_sets_shared_out_by_head_with_rows_that_see_nothing(self):
        self.assert_agrees("heads", "attention.combination='heads'", "attention.shared_summary=true",
                           "model.context=72")

    def test_strided_interleaved_with_halved_widths_and_a_ragged_last_block(self):
        self.assert_agrees("strided", "attention.pattern='strided'", "attention.combination='interleaved'",
                           "model.half_size=true", "model.context=61")

    def test_strided_in_a_ratio_with_three_coordinates(self):
        self.assert_agrees("ratio", "attention.pattern='strided'", "model.layers=3", "model.position_shape=[4,4,4]",
                           "attention.combination=['strided','local','merged']")

    def test_dense_and_local(self):
        self.assert_agrees("dense", "attention.pattern='dense'")
        self.assert_agrees("local", "attention.pattern='local'")

    def test_a_changed_weight_is_noticed(self):
        self.assertEqual(self.compare("good").returncode, 0)
        with h5py.File(self.checkpoint("good", 12), "r+") as f:
            f["parameters/block.01.attention.out.bias"][3] += 0.05
        done = self.page("good")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("DIFFERS", done.stdout)


if __name__ == "__main__":
    main()
