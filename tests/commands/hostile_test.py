"""What a hostile or hurried user does: each ends soon, with a status and a message that say what happened."""
import os
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, ProgramTest, main, run


class HostileTest(ProgramTest):
    text_bytes = 20000

    def diverged(self):
        """A run whose weights are as large as fp32 holds: its logits are no numbers."""
        self.train("wild", "optimizer.learning_rate=3e38", "optimizer.clip=0", "training.steps=1", "schedule.warmup_steps=0",
                   "schedule.kind=constant", "evaluation.every_steps=0", "evaluation.test_at_end=false", status=None)
        return self.run_folder("wild")

    def test_an_evaluation_that_is_no_number_ends_with_3_and_records_nothing(self):
        folder = self.diverged()
        done = run(["eval", folder, "--json", self.folder + "/out.json"], status=3)
        self.assertIn("no result: nothing was recorded", done.stderr)
        self.assertFalse(os.path.exists(self.folder + "/out.json"))
        self.assertEqual(os.listdir(folder + "/evaluations") if os.path.isdir(folder + "/evaluations") else [], [])

    def test_a_prompt_without_an_end_is_read_no_further_than_the_context(self):
        self.train("run", "training.steps=1", "schedule.warmup_steps=0")
        begin = time.monotonic()
        done = run(["sample", self.run_folder("run"), "--prompt-file", "/dev/zero"], status=2)
        self.assertIn("/dev/zero of more than 64 bytes, expected at most model.context = 64", done.stderr)
        self.assertLess(time.monotonic() - begin, 30)

    def test_a_data_set_cannot_name_files_by_its_digest(self):
        self.train("run", "training.steps=1", "schedule.warmup_steps=0")
        other = self.folder + "/other"
        os.mkdir(other)
        for name in sorted(os.listdir(self.folder + "/data")):
            with h5py.File(f"{self.folder}/data/{name}") as old, h5py.File(f"{other}/{name}", "w") as new:
                new["tokens"] = old["tokens"][()]
                for key in ("task", "vocabulary", "split", "shard", "shards", "examples", "format_version"):
                    new.attrs[key] = old.attrs[key]
                new.attrs["source_sha256"] = "/../../a/b/c"
        run(["eval", self.run_folder("run"), "data.path=" + other])
        self.assertEqual(os.listdir(self.run_folder("run") + "/evaluations"), ["test-m0-dataunknown.json"])

    def test_pipes_where_files_are_expected_are_refused(self):
        self.train("run", "training.steps=1", "schedule.warmup_steps=0")
        for folder, name in (("shards", "test-00000-of-00001.h5"), ("pictures", "z.png")):
            os.mkdir(f"{self.folder}/{folder}")
            os.mkfifo(f"{self.folder}/{folder}/{name}")
        done = run(["eval", self.run_folder("run"), f"data.path={self.folder}/shards"], status=4, timeout=30)
        self.assertIn("is no file but a folder, a pipe or a device", done.stderr)
        done = run(["prepare", "images", "--from", self.folder + "/pictures", "--to", self.folder + "/out"], status=None, timeout=30)
        self.assertIn(done.returncode, (2, 4))

    def test_a_run_does_not_go_on_with_another_seed_batch_or_data_set_unless_told(self):
        self.train("run", "training.steps=5")
        done = self.train("run", "training.steps=8", "run.seed=9", "training.batch=8", status=2)
        for told in ("run.seed = 9, was 1", "training.batch = 8, was 4", "run.changes=true", "run.fresh=true"):
            self.assertIn(told, done.stderr)
        other = self.folder + "/other"
        with open(self.folder + "/text", "wb") as file:
            file.write(np.random.default_rng(3).integers(97, 123, 20000).astype(np.uint8).tobytes())
        run(["prepare", "text", "--from", self.folder + "/text", "--to", other])
        self.assertIn("another data set in " + other, self.train("run", "data.path=" + other, "training.steps=8", status=2).stderr)
        self.assertIn("changed since the last start: run.seed = 9, was 1",
                      self.train("run", "training.steps=8", "run.seed=9", "run.changes=true").stdout)

    def test_inspect_names_the_keys_in_which_two_inputs_differ(self):
        self.train("one", "training.steps=5")
        self.train("two", "training.steps=5", "optimizer.clip=0.5")
        paths = [f"{self.run_folder(n)}/checkpoints/step-00000005.h5" for n in ("one", "two")]
        self.assertIn("optimizer.clip = 0.5, was 1.0", run(["inspect", *paths], status=None).stdout)

    def test_a_folder_with_a_line_break_is_refused(self):
        self.assertIn("control character", run(["check", self.input, "run.directory=a\nb"], status=2).stderr)

    def test_a_signal_is_acknowledged_at_once_and_one_that_comes_twice_is_one_decision(self):
        process = self.start("stop", "training.steps=100000", "checkpoint.every_steps=0", "evaluation.every_steps=0")
        text = self.wait_for(process, "to stop with a checkpoint", "STOP, or Ctrl-C") or ""
        self.wait_for(process, "step", "3/")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # what mpirun passes on beside the terminal's own
        text += self.finish(process, 75)
        self.assertEqual(len(re.findall("SIGINT: finishing this step, then a checkpoint; Ctrl-C once more ends now", text)), 1, text)

    def test_the_documented_scripts_can_be_run(self):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "postproc")
        for name in sorted(os.listdir(root)):
            if name.endswith(".py"):
                with open(f"{root}/{name}", encoding="utf-8") as file:
                    runs = "__main__" in file.read()
                self.assertEqual(os.access(f"{root}/{name}", os.X_OK), runs, name)


if __name__ == "__main__":
    main()
