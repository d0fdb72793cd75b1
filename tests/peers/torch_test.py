"""A PyTorch twin follows 20 training steps from the same weights and batches; skipped (77) without PyTorch."""
import importlib.util
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import h5py

from programs import ProgramTest, main

TWIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_train.py")
EXACT = ("model.dropout=0", "checkpoint.initial=true", "checkpoint.keep=9", "optimizer.learning_rate=1e-3",
         "optimizer.weight_decay=0.1")


class TorchTest(ProgramTest):
    def twin(self, name, *arguments):
        command = [sys.executable, "-B", TWIN, "--checkpoint", self.checkpoint(name, 0),
                   "--batches", f"{self.folder}/{name}.h5", "--metrics", self.run_folder(name) + "/metrics.h5"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True)

    def record(self, name, *overrides):
        """20 steps with everything the twin needs."""
        self.train(name, "training.steps=20", *EXACT, *overrides, "--dump-batches", f"{self.folder}/{name}.h5")

    def assert_agrees(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("agrees", done.stdout)
        self.assertEqual(done.stdout.count("step "), 20 + done.stdout.count("gradient of step"))

    def test_twenty_steps_of_fixed_with_adamw_clipping_and_cosine(self):
        self.record("fixed", "model.heads=4", "optimizer.clip=0.5")
        self.assert_agrees(self.twin("fixed"))

    def test_twenty_steps_of_strided_with_adam_and_halved_widths_and_the_gradient_of_step_eight(self):
        # At a constant rate a run of 7 steps that goes on to 8 is the beginning of a run of 20.
        how = ("attention.pattern='strided'", "attention.combination='interleaved'", "model.half_size=true",
               "optimizer.kind='adam'", "schedule.kind='constant'")
        self.record("strided", *how)
        gradients = f"{self.folder}/gradients.h5"
        self.train("again", *EXACT, *how, "training.steps=7")
        self.train("again", *EXACT, *how, "training.steps=8", "--dump-gradients", gradients)
        done = self.twin("strided", "--gradients", gradients)
        self.assert_agrees(done)
        self.assertIn("gradient of step 8", done.stdout)

    def test_another_learning_rate_is_noticed(self):
        self.record("slow")
        with h5py.File(self.checkpoint("slow", 0), "r+") as f:
            f.attrs["config"] = f.attrs["config"].replace("learning_rate = 0.001", "learning_rate = 0.0012")
            self.assertIn("0.0012", f.attrs["config"])
        done = self.twin("slow")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
