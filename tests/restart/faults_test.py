"""Ranks that die, throw or hang end the job, name themselves and leave no process; failing disks leave good files."""
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, steps

HOST = socket.gethostname()


class FaultsTest(ProgramTest):
    def fault(self, fault, *overrides, ranks=2, environment=None, any_status=False):
        """A run that this fault ends: its text, after the job is found to be gone as a whole."""
        begin = time.monotonic()
        done = self.train("hurt", "training.steps=20", f"debug.fault={fault}", *overrides, ranks=ranks, status=None,
                          environment=environment)
        self.seconds = time.monotonic() - begin
        text = done.stdout + done.stderr
        if not any_status:  # a launcher that looks away has a status of its own
            self.assertNotIn(done.returncode, (0, 75), text)
        for _ in range(50):
            if not self.processes("hurt"):
                break
            time.sleep(0.1)
        self.assertEqual(self.processes("hurt"), [], text)
        return done.returncode, text

    def goes_on(self, ranks=2):
        """The run that was hurt ends as one that was not."""
        self.train("whole", "training.steps=20")
        done = self.train("hurt", "training.steps=20", ranks=ranks)
        self.assertIn("continuing from", done.stdout)
        self.assert_same_run("whole", "hurt", 20)
        self.assertFalse(os.path.exists(self.run_folder("hurt") + "/heartbeat/rank-00000"))

    def test_a_killed_rank_ends_the_job_and_is_named(self):
        status, text = self.fault("kill:rank=1:step=7")
        self.assertIn("rank 1", text)
        self.assertIn("signal 9", text)  # the launcher's words, unless the other rank was faster
        self.goes_on()

    def test_a_killed_rank_is_named_with_its_step_where_the_launcher_looks_away(self):
        status, text = self.fault("kill:rank=1:step=7", environment={"OMPI_MCA_orte_enable_recovery": "1"}, any_status=True)
        self.assertRegex(text, rf"rank 1 \({HOST}, process \d+\) has died; rank 0, which tells it, is in step 7")
        self.goes_on()

    def test_a_rank_that_throws_ends_the_job_with_rank_host_and_step(self):
        status, text = self.fault("throw:rank=1:step=7")
        self.assertEqual(status, 1)
        self.assertIn(f"error on rank 1 ({HOST}): in step 7: debug.fault", text)
        self.goes_on()

    def hangs(self, kind, words):
        status, text = self.fault(f"{kind}:rank=1:step=7", "parallel.timeout=3")
        self.assertRegex(text, words)
        self.assertLess(self.seconds, 30)
        self.goes_on()

    def test_a_sleeping_rank_ends_the_job(self):
        self.hangs("hang", rf"no rank has made progress for 3 s.*rank 1 \({HOST}, process \d+\) is behind: it hangs in "
                           r"step 7, training; told by rank 0")

    def test_a_rank_in_an_endless_loop_ends_the_job(self):
        self.hangs("spin", rf"rank 1 \({HOST}, process \d+\) is behind: it hangs in step 7")

    def test_a_stopped_process_ends_the_job(self):
        self.hangs("stop", rf"rank 1 \({HOST}, process \d+\) gives no sign of life.*step \d+, .*told by rank 0")

    def test_rank_0_may_hang_too(self):
        status, text = self.fault("hang:rank=0:step=7", "parallel.timeout=3")
        self.assertRegex(text, rf"rank 0 \({HOST}, process \d+\) is behind.*step 7.*told by rank 1")

    def test_one_rank_alone_ends_when_it_hangs(self):
        status, text = self.fault("hang:step=7", "parallel.timeout=2", ranks=1)
        self.assertEqual(status, 1)
        self.assertRegex(text, r"rank 0 .* hangs in step 7, training")
        self.goes_on(ranks=1)

    def test_steps_that_take_longer_than_the_timeout_are_no_hang_while_there_is_progress(self):
        # 80 micro-batches, none of which takes as long as the timeout: half of a step, as this machine is now.
        more = ("training.steps=2", "training.batch=80", "model.width=512", "model.layers=4", "schedule.warmup_steps=0")
        self.train("slow", *more)
        seconds = max(steps(self.run_folder("slow"))["seconds"])
        self.train("again", *more, f"parallel.timeout={seconds / 2}")
        self.assertGreater(max(steps(self.run_folder("again"))["seconds"]), 0)

    def test_a_number_that_is_not_finite_is_skipped_and_named(self):
        done = self.train("hurt", "training.steps=20", "debug.fault=nan:rank=1:step=7", ranks=2)
        self.assertRegex(done.stdout, r"step 7 is skipped: .*gradient of \S+")
        self.assertEqual(len(re.findall("is skipped", done.stdout)), 1)

    def full(self, fault, words):
        status, text = self.fault(fault, "model.width=64", "evaluation.every_steps=20", "checkpoint.behind=false",
                                  ranks=1)
        self.assertEqual(status, 1)
        self.assertIn("checkpoint of step 10 could not be written", text)
        self.assertIn(words, text)
        folder = self.run_folder("hurt") + "/checkpoints"
        self.assertEqual(sorted(f for f in os.listdir(folder) if f.startswith("step")), ["step-00000005.h5"])
        for name in ("whole", "hurt"):
            self.train(name, "training.steps=20", "model.width=64", "evaluation.every_steps=20")
        self.assert_same_run("whole", "hurt", 20)

    def test_a_file_that_cannot_be_written_stops_the_run_and_keeps_the_older_checkpoints(self):
        self.full("write_error:step=7", "File too large")

    def test_a_full_disk_stops_the_run_and_keeps_the_older_checkpoints(self):
        self.full("enospc:step=7", "No space left on device")

    def test_wrong_text_is_an_input_error(self):
        done = self.train("wrong", "debug.fault=die:step=7", status=2)
        self.assertIn("kill:rank=1:step=7", done.stderr)
        self.assertFalse(os.path.exists(self.run_folder("wrong")))


if __name__ == "__main__":
    main()
