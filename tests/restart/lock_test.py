"""One process at a time has a run folder; the lock ends with its holder."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main

LONG = ("training.steps=100000", "checkpoint.every_steps=0", "evaluation.every_steps=0")


class LockTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.first = self.start("run", *LONG)
        self.addCleanup(self.first.wait)
        self.addCleanup(self.first.kill)
        self.wait_for(self.first, "step", "1/")

    def test_a_second_run_is_refused_and_the_first_is_not_disturbed(self):
        for more in ((), ("run.fresh=true",)):
            for ranks in (1, 2):
                done = self.train("run", *LONG, *more, ranks=ranks, status=1)
                self.assertIn(f"in use by process {self.first.pid} on {os.uname().nodename}, started 2", done.stderr)
                self.assertEqual(done.stderr.count("weft: error"), 1)
        self.assertEqual(os.listdir(self.folder + "/runs"), ["run"])
        self.train("other")  # another folder is free
        self.first.send_signal(signal.SIGTERM)
        self.finish(self.first, 75)
        self.assertIn("step", self.train("run", "run.fresh=true").stdout)
        self.assertEqual(len([f for f in os.listdir(self.folder + "/runs") if f.startswith("run.before-")]), 1)

    def test_a_killed_run_leaves_no_lock(self):
        self.first.kill()
        self.first.wait()
        self.assertTrue(os.path.exists(self.run_folder("run") + "/lock"))
        self.train("run")

    def test_a_suspended_run_keeps_its_lock(self):
        self.first.send_signal(signal.SIGSTOP)
        self.train("run", status=1)
        self.first.send_signal(signal.SIGCONT)
        self.first.send_signal(signal.SIGTERM)
        self.finish(self.first, 75)
        self.train("run", *LONG, "run.max_minutes=0.01", status=75)

    def test_of_many_at_the_same_moment_one_wins(self):
        self.first.kill()
        self.first.wait()
        for fresh in ("false", "true"):
            runs = [self.start("run", *LONG, f"run.fresh={fresh}", f"run.seed={i}") for i in range(4)]
            deadline = time.monotonic() + 60
            while sum(run.poll() is None for run in runs) > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1)
            left = [run for run in runs if run.poll() is None]
            self.assertEqual(len(left), 1)
            left[0].send_signal(signal.SIGTERM)
            for run in runs:
                text = self.finish(run, 75 if run is left[0] else 1)
                self.assertIn("status 75" if run is left[0] else "in use by", text)
        self.assertEqual(self.processes("run"), [])


if __name__ == "__main__":
    main()
