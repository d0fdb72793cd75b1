"""Interrupted = uninterrupted, bit for bit."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, steps


class StopTest(ProgramTest):
    steps = 200  # far more than pass before a signal is there, however fast the machine

    def stop_at(self, name, ranks, step, how):
        """Starts the run and signals one rank as soon as the step's line is printed."""
        process = self.start(name, f"training.steps={self.steps}", ranks=ranks)
        self.wait_for(process, "step ", f" {step}/")
        if ranks == 1:
            process.send_signal(how)
        else:  # one rank alone; the others must follow
            os.kill(self.processes(name)[-1], how)
        self.assertIn("status 75", self.finish(process, 75))
        return len(steps(self.run_folder(name))["step"])

    def test_stops_at_several_steps_and_on_changing_ranks_change_no_bit(self):
        self.train("whole", f"training.steps={self.steps}")
        taken = [self.stop_at("parts", 1, 3, signal.SIGTERM)]
        taken.append(self.stop_at("parts", 2, taken[-1] + 4, signal.SIGUSR1))
        taken.append(self.stop_at("parts", 4, taken[-1] + 3, signal.SIGINT))
        self.assertEqual(taken, sorted(set(taken)))
        self.assertLess(taken[-1], self.steps)
        self.train("parts", f"training.steps={self.steps}", ranks=2)
        self.assert_same_run("whole", "parts", self.steps)

    def test_ends_around_an_epoch_edge_and_twice_in_a_row_change_no_bit(self):
        # A constant rate does not know the run's length: a shorter run is a run that was stopped at that very step.
        constant = ("schedule.kind='constant'", "schedule.warmup_steps=0")
        edge = self.steps_per_epoch()
        self.train("whole", f"training.steps={2 * edge + 1}", *constant)
        for steps_so_far in (edge - 1, edge, edge + 1, 2 * edge, 2 * edge + 1):
            self.train("parts", f"training.steps={steps_so_far}", *constant)
        self.assert_same_run("whole", "parts", 2 * edge + 1)

    def steps_per_epoch(self):
        text = self.train("count", "training.steps=1", "schedule.warmup_steps=0").stdout
        return int(text.split(" per epoch")[0].split()[-1])

    def test_a_finished_run_is_not_repeated(self):
        self.train("whole")
        before = steps(self.run_folder("whole"))
        done = self.train("whole")
        self.assertIn("step 12", done.stdout)
        self.assertEqual(list(before["seconds"]), list(steps(self.run_folder("whole"))["seconds"]))

    def test_fresh_moves_the_old_run_aside(self):
        self.train("again")
        self.train("again", "run.fresh=true", "training.steps=2", "schedule.warmup_steps=0")
        kept = [f for f in os.listdir(self.folder + "/runs") if f.startswith("again.before-")]
        self.assertEqual(len(kept), 1)
        self.assertTrue(os.path.exists(f"{self.folder}/runs/{kept[0]}/checkpoints/step-00000012.h5"))
        self.assertEqual(len(steps(self.run_folder("again"))["step"]), 2)

    def test_another_model_is_refused_with_the_differences(self):
        self.train("model")
        done = self.train("model", "model.width=64", status=2)
        self.assertIn("model.width", done.stderr)
        self.assertIn("run.fresh=true", done.stderr)

    def test_a_damaged_newest_checkpoint_falls_back_and_none_good_is_status_4(self):
        self.train("whole")
        self.train("hurt")
        for step in (12,):
            self.damage(self.checkpoint("hurt", step))
        done = self.train("hurt")
        self.assertIn("step-00000012", done.stdout)
        self.assert_same_run("whole", "hurt", 12)
        for file in os.listdir(self.run_folder("hurt") + "/checkpoints"):
            if file.startswith("step-"):
                self.damage(self.run_folder("hurt") + "/checkpoints/" + file)
        done = self.train("hurt", status=4)
        self.assertIn("run.fresh=true", done.stderr)

    @staticmethod
    def damage(path):
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            block = file.read(64)
            file.seek(-len(block), 1)
            file.write(bytes(b ^ 0xFF for b in block))


if __name__ == "__main__":
    main()
