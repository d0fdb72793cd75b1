"""Which checkpoints a run keeps, what they and provenance.json say, and what weft inspect finds in them."""
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import h5py

from programs import ProgramTest, main, run

CONSTANT = ("schedule.kind='constant'", "schedule.warmup_steps=0")


class CheckpointTest(ProgramTest):
    def kept(self, name):
        files = os.listdir(self.run_folder(name) + "/checkpoints")
        self.assertFalse([f for f in files if "partial" in f])
        return sorted(int(f[5:-3]) for f in files if f.startswith("step-"))

    def starts(self, name):
        with open(self.run_folder(name) + "/provenance.json") as file:
            return json.load(file)["starts"]

    def test_two_stay_and_those_of_keep_every_for_ever(self):
        self.train("run", "checkpoint.every_steps=2", "checkpoint.keep=1", "checkpoint.keep_every=6")
        self.assertEqual(self.kept("run"), [6, 10, 12])
        with open(self.run_folder("run") + "/checkpoints/latest") as file:
            self.assertEqual(file.read(), "step-00000012.h5\n")

    def test_saving_behind_the_steps_changes_no_bit_and_tells_its_cost(self):
        done = self.train("behind", "checkpoint.every_steps=1", "checkpoint.keep=20")
        self.assertEqual(self.kept("behind"), list(range(1, 13)))
        told = re.search(r"checkpoints: (\d+) written, .* each; the steps waited .* for them, ([\d.]+) % of", done.stdout)
        self.assertEqual(told[1], "12")
        self.train("waiting", "checkpoint.every_steps=1", "checkpoint.keep=20", "checkpoint.behind=false", ranks=2)
        for step in range(1, 13):
            self.assert_inspect_equal(self.checkpoint("behind", step), self.checkpoint("waiting", step))
        self.assert_same_run("behind", "waiting", 12)

    def test_best_is_a_whole_checkpoint_of_its_own(self):
        self.train("run", "evaluation.every_steps=3", "checkpoint.every_steps=6")
        best = self.run_folder("run") + "/checkpoints/best.h5"
        with h5py.File(best) as file, h5py.File(self.run_folder("run") + "/metrics.h5") as metrics:
            losses = list(metrics["epochs/valid_loss"])
            self.assertEqual(file.attrs["step"], metrics["epochs/step"][losses.index(min(losses))])
            self.assertEqual(file.attrs["best_valid_loss"], min(losses))
        run(["inspect", best])

    def assert_inspect_equal(self, one, other):
        self.assertIn("equal: all", run(["inspect", one, other]).stdout)

    def test_inspect_lists_verifies_and_compares(self):
        self.train("one")
        self.train("two", ranks=2)
        self.train("other", "run.seed=2")
        text = run(["inspect", self.run_folder("one")]).stdout
        self.assertNotIn("parameters/embedding.token", text)
        self.assertIn("all ", text)
        text = run(["inspect", self.run_folder("one"), "--all"]).stdout
        for part in ("world_size", "data_sha256", "libraries", "parameters/embedding.token", "good", "all "):
            self.assertIn(part, text)
        self.assertIn("[model]", run(["inspect", self.run_folder("one"), "--config"]).stdout)
        self.assertIn("note: attribute world_size: 1 and 2",
                      run(["inspect", self.run_folder("one"), self.run_folder("two")]).stdout)
        text = run(["inspect", self.run_folder("one"), self.run_folder("other")], status=1).stdout
        self.assertRegex(text, r"different: parameters/block.00.attention.out.weight: \d+ of \d+ elements, by [\d.e-]+ at most")
        pair = [self.checkpoint("one", 10), self.checkpoint("one", 12)]
        text = run(["inspect", *pair], status=1).stdout
        self.assertIn("different: attribute step: 10 and 12", text)
        self.assertEqual(text.count(" elements, by "), 10)
        more = int(re.search(r"and (\d+) more arrays", text)[1])
        self.assertEqual(run(["inspect", *pair, "--all"], status=1).stdout.count(" elements, by "), 10 + more)
        path = self.checkpoint("one", 12)
        with h5py.File(path) as file:
            offset = file["optimizer/v/output.weight"].id.get_offset()
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))
        done = run(["inspect", path], status=4)
        self.assertRegex(done.stdout, r"optimizer/v/output.weight .* DAMAGED")
        self.assertIn("1 of ", done.stderr)
        self.assertIn("step-00000010.h5", run(["inspect", self.run_folder("one")]).stdout)
        run(["inspect", self.folder + "/nothing"], status=2)

    def test_provenance_says_why_every_start_happened(self):
        self.train("run", "training.steps=5", *CONSTANT, environment={"SLURM_RESTART_COUNT": "2"})
        process = self.start("run", "training.steps=400", *CONSTANT, "checkpoint.every_steps=0")
        self.wait_for(process, "step ", " 8/")
        process.send_signal(signal.SIGKILL)
        self.finish(process, -signal.SIGKILL)
        self.train("run", "training.steps=12", *CONSTANT, "log.every_steps=2", ranks=2)
        starts = self.starts("run")
        self.assertEqual(starts[0]["why"], "new")
        self.assertEqual(starts[0]["slurm"]["SLURM_RESTART_COUNT"], "2")
        self.assertEqual((starts[0]["ended"]["status"], starts[0]["ended"]["step"]), (0, 5))
        self.assertEqual(starts[1]["why"], "after finished at step 5 (status 0)")
        self.assertIsNone(starts[1]["ended"])
        self.assertIn("left no end", starts[2]["why"])
        self.assertEqual(starts[2]["ended"]["why"], "finished")
        self.assertEqual(len(starts[2]["devices"]), 2)
        self.assertIn("training.steps = 5", starts[0]["config"])
        self.assertEqual([start["config"] for start in starts[1:]], [None, None])
        self.assertIn("training.steps = 400, was 5", starts[1]["changes"])
        self.assertEqual(sorted(starts[2]["changes"]),
                         ["checkpoint.every_steps = 5, was 0", "log.every_steps = 2, was 1", "training.steps = 12, was 400"])
        with h5py.File(self.run_folder("run") + "/checkpoints/best.h5") as file:
            for name in ("version", "git_commit", "build_options", "libraries", "hosts", "devices", "data_sha256", "seed"):
                self.assertTrue(str(file.attrs[name]), name)
        with h5py.File(self.checkpoint("run", 12)) as file:
            self.assertIn("left no end", file.attrs["start_reason"])
            self.assertEqual(len(file.attrs["hosts"].split()), 2)


if __name__ == "__main__":
    main()
