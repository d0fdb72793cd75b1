"""Every way to ask a run to stop or to save: files, a time limit, signals at awkward moments."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import WEFT, ProgramTest, main, steps

LONG = ("training.steps=100000", "checkpoint.every_steps=0", "evaluation.every_steps=0", "log.every_steps=1")


class RequestsTest(ProgramTest):
    text_bytes = 40000

    def file(self, name, file):
        path = f"{self.run_folder(name)}/{file}"
        open(path, "w").close()
        return path

    def newest(self, name):
        with open(self.run_folder(name) + "/checkpoints/latest") as file:
            return int(file.read().strip()[5:-3])

    def test_a_file_STOP_stops_all_ranks_once(self):
        process = self.start("stop", *LONG, ranks=2)
        self.wait_for(process, "step", "4/")
        file, asked = self.file("stop", "STOP"), time.monotonic()
        text = self.finish(process, 75)
        self.assertLess(time.monotonic() - asked, 15)
        self.assertIn("file STOP", text)
        self.assertFalse(os.path.exists(file))
        done = self.newest("stop")
        self.assertEqual(len(steps(self.run_folder("stop"))["step"]), done)
        process = self.start("stop", *LONG)  # it does not stop at once
        self.wait_for(process, "step", f"{done + 3}/")
        process.send_signal(signal.SIGTERM)
        self.finish(process, 75)

    def test_a_file_CHECKPOINT_saves_and_goes_on(self):
        process = self.start("save", *LONG)
        self.wait_for(process, "step", "4/")
        file = self.file("save", "CHECKPOINT")
        for _ in range(300):
            if os.path.exists(self.run_folder("save") + "/checkpoints/latest"):
                break
            time.sleep(0.1)
        self.assertFalse(os.path.exists(file))
        saved = self.newest("save")
        self.wait_for(process, "step", f"{saved + 3}/")
        process.send_signal(signal.SIGTERM)
        self.finish(process, 75)
        self.assertGreater(self.newest("save"), saved)

    def test_a_checkpoint_comes_when_its_time_is_up_whatever_every_steps_says(self):
        process = self.start("clock", *LONG, "checkpoint.every_seconds=1")
        latest = self.run_folder("clock") + "/checkpoints/latest"
        for _ in range(300):
            if os.path.exists(latest):
                break
            time.sleep(0.1)
        first = self.newest("clock")
        self.wait_for(process, "step", f"{first + 3}/")
        for _ in range(300):
            if self.newest("clock") > first:
                break
            time.sleep(0.1)
        self.assertGreater(self.newest("clock"), first)  # again and again
        process.kill()  # what is lost is what came behind it
        process.wait()
        self.assertIn("continuing from", self.train("clock", *LONG, "run.max_minutes=0.02", status=75).stdout)

    def test_max_minutes_stops_with_status_75(self):
        begin = time.monotonic()
        done = self.train("limit", *LONG, "run.max_minutes=0.05", ranks=2, status=75)
        self.assertGreater(time.monotonic() - begin, 3)
        self.assertIn("run.max_minutes", done.stdout)
        self.assertEqual(len(steps(self.run_folder("limit"))["step"]), self.newest("limit"))

    def test_a_stop_within_an_evaluation_leaves_it_and_changes_no_bit(self):
        # Windows that slide by one: an evaluation takes far longer than all the training.
        slow = ("evaluation.minimum_context=63", "evaluation.every_steps=3", "evaluation.test_at_end=false",
                "training.steps=4", "log.every_steps=1", "model.width=64")
        self.train("whole", *slow)
        process = self.start("parts", *slow)
        self.wait_for(process, "step", "3/")
        time.sleep(0.05)  # in the evaluation now
        process.send_signal(signal.SIGUSR1)
        text = self.finish(process, 75)
        self.assertNotIn(" valid ", text)  # the evaluation is left
        self.assertIn("stopped after step 3", text)
        self.assertEqual(self.newest("parts"), 3)
        self.assertIn("step 3, epoch", self.train("parts", *slow, ranks=2).stdout)  # done again
        self.assert_same_run("whole", "parts", 4)

    def test_a_signal_before_the_first_step_stops_with_a_checkpoint(self):
        process = self.start("early", *LONG)
        while not self.processes("early"):
            time.sleep(0.001)
        self.wait_for(process, "settings")
        process.send_signal(signal.SIGTERM)
        text = self.finish(process, 75)
        self.assertIn("status 75", text)
        self.assertEqual(self.newest("early"), len(steps(self.run_folder("early"))["step"]))

    def test_a_closed_terminal_stops_with_a_checkpoint_but_not_under_nohup(self):
        process = self.start("hangup", *LONG)
        self.wait_for(process, "step", "4/")
        process.send_signal(signal.SIGHUP)
        self.assertIn("SIGHUP", self.finish(process, 75))
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        try:
            process = self.start("hangup", *LONG)
        finally:
            signal.signal(signal.SIGHUP, before)
        self.wait_for(process, "continuing from")
        process.send_signal(signal.SIGHUP)
        self.wait_for(process, "step", f"{self.newest('hangup') + 20}/")
        process.send_signal(signal.SIGTERM)
        self.assertIn("SIGTERM", self.finish(process, 75))

    def test_a_reader_that_has_gone_ends_nothing(self):
        process = subprocess.Popen([WEFT, "train", self.input, "run.name=unread"], stdout=subprocess.PIPE,
                                   env=dict(os.environ, OMP_NUM_THREADS="1"))
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(timeout=120), 0)
        self.assertEqual(len(steps(self.run_folder("unread"))["step"]), 12)

    def test_more_signals_while_the_checkpoint_is_written_change_no_bit(self):
        more = ("training.steps=150", "model.width=128", "checkpoint.every_steps=20", "evaluation.every_steps=0")
        self.train("whole", *more)
        process = self.start("parts", *more)
        self.wait_for(process, "step", "5/")
        for i in range(200):
            if process.poll() is not None:
                break
            process.send_signal((signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)[i % 4])
            time.sleep(0.002)
        self.finish(process, 75)
        left = [f for f in os.listdir(self.run_folder("parts") + "/checkpoints") if "partial" in f]
        self.assertEqual(left, [])
        self.train("parts", *more)
        self.assert_same_run("whole", "parts", 150)

    def test_a_second_interrupt_ends_at_once_and_the_run_can_go_on(self):
        more = ("training.steps=150", "model.width=128", "checkpoint.every_steps=20", "evaluation.every_steps=0")
        self.train("whole", *more)
        process = self.start("parts", *more)
        self.wait_for(process, "step", "12/")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        time.sleep(0.06)
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(timeout=60), (75, -signal.SIGINT))
        self.train("parts", *more)
        self.assert_same_run("whole", "parts", 150)


if __name__ == "__main__":
    main()
