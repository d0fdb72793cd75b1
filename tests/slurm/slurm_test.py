"""Under a real Slurm: preempted and timed out = undisturbed, bit for bit; no job goes round for ever; arrays of seeds."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(__file__), "..")]
import cluster as slurm
from cluster import Cluster, wait_for
from programs import WEFT, ProgramTest, main, run, steps

SOURCE = os.environ["WEFT_SOURCE"]
STEPS = 300

# The paper's model made small: what a person would give on the command line to try the job script.
SMALL = ("model.layers=2 model.width=32 model.heads=2 model.context=128 model.dropout=0.1 model.position_shape=[] "
         "attention.stride=16 attention.summary=4 run.precision=fp32 schedule.warmup_steps=3 training.epochs=0 "
         "training.batch=8 checkpoint.every_steps=0 log.every_steps=1").split()


class SlurmTest(ProgramTest):
    text_bytes = 60000

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__)
        print(f"cluster of {len(cls.cluster.nodes)} node(s)"
              + (f", not two: {cls.cluster.one_node_because}" if cls.cluster.one_node_because else ""), flush=True)

    def tearDown(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            print(self.cluster.logs(), flush=True)
            for path in glob.glob(self.folder + "/*.out"):
                print(f"== {path} ==\n{self.text(path)[-4000:]}", flush=True)

    def submit(self, *arguments, script="enwik8_fixed", options=()):
        """The number of the job; its output is in <folder>/<number>.out."""
        return self.cluster.submit(
            "--partition=low", f"--nodes={len(self.cluster.nodes)}", f"--output={self.folder}/%j.out", *options,
            f"slurm/{script}.sh", f"data.path={self.folder}/data", *SMALL, *arguments,
            cwd=SOURCE, WEFT=WEFT, WEFT_RUNS=self.folder + "/runs", WEFT_SITE=SOURCE + "/slurm/site.sh")

    @staticmethod
    def text(path):
        try:
            with open(path, errors="replace") as file:
                return file.read()
        except OSError:  # not there yet, or a process that has ended
            return ""

    def output(self, job):
        return self.text(f"{self.folder}/{job}.out")

    def starts(self, job):
        """The part of the job's output that belongs to each start."""
        return self.output(job).split(" per epoch; run folder ")[1:]

    def wait_step(self, job, start, lines=1):
        """Until the given start (from 0) has printed the lines of so many steps."""
        def stepped():
            self.assertNotIn(self.cluster.job(job)["JobState"], ("FAILED", "COMPLETED"))
            return len(self.starts(job)) > start and \
                len(re.findall(r"^ *step +\d+/", self.starts(job)[start], re.M)) >= lines
        wait_for(f"a step of start {start}", stepped, 90, every=0.05)

    def ranks(self, program=WEFT):
        """Process numbers of the ranks of every job of this cluster."""
        found = []
        for pid in self.cluster.left_over():
            try:
                if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(program):
                    found.append(pid)
            except OSError:
                pass
        return found

    def hold_until(self, how, seconds):
        """Stops the ranks where they are (a test is not to burn processor time) until Slurm's signal is there."""
        ranks = self.ranks()
        self.assertEqual(len(ranks), 2)
        for pid in ranks:
            os.kill(pid, signal.SIGSTOP)
        wait_for("stopped ranks", lambda: all("(stopped)" in self.text(f"/proc/{pid}/status") for pid in ranks), 10, 0.01)

        def arrived():
            for pid in ranks:
                status = self.text(f"/proc/{pid}/status")
                pending = sum(int(x, 16) for x in re.findall(r"^S[hi][dg]Pnd:\s*(\w+)", status, re.M))
                if pending >> (how - 1) & 1 or "(stopped)" not in status:
                    return True
            return False
        try:
            wait_for(f"{how!r} from Slurm", arrived, seconds)
        finally:
            for pid in ranks:
                with contextlib.suppress(ProcessLookupError):  # Slurm has let it go on, and it was quick
                    os.kill(pid, signal.SIGCONT)

    def wait_restart(self, job, count, seconds=60):
        wait_for(f"restart {count} of job {job}",
                 lambda: self.cluster.job(job)["Restarts"] == str(count), seconds)

    def test_preempted_and_timed_out_is_bit_equal_to_undisturbed(self):
        run(["train", SOURCE + "/inputs/enwik8/fixed.toml", f"data.path={self.folder}/data",
             f"run.directory={self.folder}/runs", *SMALL, "run.name=whole", f"training.steps={STEPS}"])
        # Slurm may send the signal half a minute early: not before the preemption, then.
        job = self.submit("run.name=parts", f"training.steps={STEPS}", options=["--time=1", "--signal=USR1@8"])
        self.wait_step(job, 0, 40)
        urgent = self.cluster.submit("--partition=high", f"--nodes={len(self.cluster.nodes)}", "--exclusive",
                                     "--output=/dev/null", "--wrap=sleep 1")
        self.hold_until(signal.SIGTERM, 40)
        self.wait_restart(job, 1)
        self.cluster.wait_state(urgent, "COMPLETED")

        self.wait_step(job, 1, 40)
        self.hold_until(signal.SIGUSR1, 100)
        self.wait_restart(job, 2)
        end = self.cluster.wait_state(job, "COMPLETED", "FAILED", "TIMEOUT", seconds=90)
        self.assertEqual((end["JobState"], end["ExitCode"], end["Restarts"]), ("COMPLETED", "0:0", "2"))

        text = self.output(job)
        self.assertIn("SIGTERM: stopped after step", text)
        self.assertIn("SIGUSR1: stopped after step", text)
        self.assertEqual(text.count("requeueing job " + job), 2)
        self.assert_same_run("whole", "parts", STEPS)
        with open(self.run_folder("parts") + "/provenance.json") as file:
            records = json.load(file)["starts"]
        self.assertEqual([int(r["slurm"].get("SLURM_RESTART_COUNT", 0)) for r in records], [0, 1, 2])
        self.assertEqual({r["slurm"]["SLURM_JOB_ID"] for r in records}, {job})
        self.assertEqual({len(set(r["hosts"])) for r in records}, {len(self.cluster.nodes)})
        resumed = [r["resumed_from_step"] or 0 for r in records]
        self.assertEqual(resumed, sorted(set(resumed)), "every start has made steps")
        print(f"stopped by Slurm at steps {resumed[1:]} of {STEPS}, bit-equal", flush=True)

    def bring_back(self, node):
        """Resumes a node that was set down. It may have answered and be back in service already: then Slurm refuses."""
        def in_service():
            self.cluster.call("scontrol", "update", "nodename=" + node, "state=resume", check=False)
            return not re.search(r"State=\S*(DOWN|DRAIN|NOT_RESPONDING)", self.cluster.call("scontrol", "show", "node", node))
        wait_for(node + " to be in service", in_service, 30)

    def test_a_job_without_progress_is_not_requeued_for_ever(self):
        job = self.submit("run.name=idle", "training.steps=1000000", "run.max_idle_restarts=1",
                          "evaluation.max_windows=1")
        for count in (1, 2):  # a node is lost and the ranks with it: no signal, no checkpoint
            self.wait_step(job, count - 1)
            for pid in self.ranks(shutil.which("srun")):
                os.kill(pid, signal.SIGSTOP)  # it cannot tell the job script
            for pid in self.ranks():
                with contextlib.suppress(ProcessLookupError):  # the other rank's end may have ended it
                    os.kill(pid, signal.SIGKILL)
            self.cluster.call("scontrol", "update", "nodename=" + self.cluster.nodes[0], "state=down", "reason=test")
            wait_for("the ranks' end", lambda: not self.ranks(), 30)
            self.bring_back(self.cluster.nodes[0])
            self.wait_restart(job, count)
        end = self.cluster.wait_state(job, "FAILED", "COMPLETED", seconds=60)
        self.assertEqual((end["JobState"], end["ExitCode"], end["Restarts"]), ("FAILED", "1:0", "2"))
        self.assertIn(f"job {job} was restarted 2 times in a row at step 0", self.output(job))
        self.assertIn("run.max_idle_restarts = 1", self.output(job))
        self.assertEqual(len(self.starts(job)), 2)

    def test_an_array_trains_one_run_for_each_seed(self):
        array = self.submit("training.steps=5", options=["--array=1-2"])
        losses = []
        for seed in (1, 2):
            end = self.cluster.wait_state(f"{array}_{seed}", "COMPLETED", "FAILED", seconds=90)
            self.assertEqual(end["JobState"], "COMPLETED")
            folder = self.run_folder(f"enwik8_fixed_seed{seed}")
            losses.append(list(steps(folder)["loss"]))
            with open(folder + "/provenance.json") as file:
                start = json.load(file)["starts"][0]
            self.assertEqual((start["seed"], start["slurm"]["SLURM_ARRAY_TASK_ID"]), (seed, str(seed)))
        self.assertEqual([len(column) for column in losses], [5, 5])
        self.assertNotEqual(*losses)

    def test_rows_of_the_arena_are_an_array_with_the_table_behind_it(self):
        data = self.folder + "/listops"
        run(["generate", "listops", "--to", data, "--examples", "40,8,8", "--max-depth", "3", "--max-arguments", "3",
             "--min-length", "5", "--max-length", "30"])
        small = (f"data.path={data} model.layers=1 model.width=16 model.heads=2 model.feedforward=16 model.context=30 "
                 "training.steps=3 training.batch=8 training.micro_batch=8 evaluation.every_steps=3").split()
        done = subprocess.run(
            ["slurm/lra.sh", "--tasks", "listops", "--models", "transformer", "--seeds", "2", *small, "--", "--partition=low",
             f"--output={self.folder}/%x-%A_%a.out"],
            cwd=SOURCE, capture_output=True, text=True, timeout=60,
            env={**self.cluster.environment, "WEFT": WEFT, "WEFT_RUNS": self.folder + "/runs",
                 "WEFT_TABLES": self.folder + "/tables"})
        self.assertEqual(done.returncode, 0, done.stderr)
        array, table = re.search(r"2 runs as the array (\d+)\n.* as job (\d+):", done.stdout).groups()
        for seed in (1, 2):
            end = self.cluster.wait_state(f"{array}_{seed}", "COMPLETED", "FAILED", seconds=90)
            self.assertEqual(end["JobState"], "COMPLETED")
            with open(self.run_folder(f"lra_listops_transformer_seed{seed}") + "/provenance.json") as file:
                self.assertEqual(json.load(file)["starts"][0]["seed"], seed)
        self.assertEqual(self.cluster.wait_state(table, "COMPLETED", "FAILED", seconds=90)["JobState"], "COMPLETED")
        self.assertRegex(self.text(self.folder + "/tables/lra.md"), r"other run: lra_listops_transformer.* \| 2 \|")

    def test_the_matrix_of_the_copy_task_is_trained_and_evaluated_and_the_table_made(self):
        data = self.folder + "/copy"
        run(["generate", "copy", "--to", data, "--length", "64", "--examples", "40,8,8"])
        small = (f"data.path={data} model.width=16 model.heads=2 model.feedforward=16 training.steps=3 training.batch=8 "
                 "training.micro_batch=8 evaluation.every_steps=3").split()
        done = subprocess.run(
            ["slurm/reformer_copy.sh", "inputs/reformer_two_cores", "--models", "full,lsh1", "--name", "_tiny", *small, "--",
             "--partition=low", f"--output={self.folder}/%x-%A_%a.out"],
            cwd=SOURCE, capture_output=True, text=True, timeout=60,
            env={**self.cluster.environment, "WEFT": WEFT, "WEFT_RUNS": self.folder + "/runs",
                 "WEFT_TABLES": self.folder + "/tables"})
        self.assertEqual(done.returncode, 0, done.stderr)
        table = re.search(r"2 runs as the array \d+\n.* as the array \d+\n.* as job (\d+):", done.stdout)[1]
        self.assertEqual(self.cluster.wait_state(table, "COMPLETED", "FAILED", seconds=200)["JobState"], "COMPLETED")
        for name in ("full", "lsh1"):
            records = glob.glob(self.run_folder(f"reformer_two_cores_{name}_tiny_seed1") + "/evaluations/matrix-*.json")
            self.assertEqual(len(records), 5)
        text = self.text(self.folder + "/tables/reformer.md")
        for name in ("full", "LSH-1"):
            line = re.search(rf"other run: reformer_two_cores_{name.replace('-', '').lower()}_tiny \({name}\) .*32 slots.*", text)[0]
            self.assertNotIn("not run", line)

    def test_the_rows_of_the_arena_are_told_without_a_cluster_and_wrong_ones_refused(self):
        def script(*arguments):
            return subprocess.run(["slurm/lra.sh", *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=60)
        listed = script("--list", "--tasks", "text", "--models", "local,transformer", "--seeds", "2").stdout.splitlines()
        self.assertEqual(listed[1:3], ["2 inputs/lra/text/local.toml seed 2", "3 inputs/lra/text/transformer.toml seed 1"])
        for wrong, told in ((["--tasks", "nosuch"], "no input file"), (["--seeds", "x"], "got 'x', expected a number"),
                            (["--what"], "got --what, expected --tasks")):
            done = script(*wrong)
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)

    def test_the_rows_of_the_listops_study_are_told_and_their_data_generated(self):
        def script(*arguments, **environment):
            return subprocess.run(["slurm/listops_study.sh", *arguments], cwd=SOURCE, capture_output=True, text=True,
                                  timeout=60, env={**os.environ, **environment})
        self.assertEqual(script("--list", "--models", "A,H_as_published", "--seeds", "2").stdout.splitlines()[1:3],
                         ["2 inputs/listops_study/A.toml seed 2", "3 inputs/listops_study/H_as_published.toml seed 1"])
        self.assertEqual(len(script("--depth", "--list").stdout.splitlines()), 4)
        listed = script("--data", "--list").stdout.splitlines()
        self.assertEqual(len(set(listed)), 13)
        self.assertTrue(all(re.match(r"weft generate listops .*--to data/listops_(study|depth)/\w+$", x) for x in listed))
        done = script("--data", WEFT="echo")  # the program of the site file gets the same
        self.assertEqual([x for x in done.stdout.splitlines() if not x.startswith("weft ")], [x[5:] for x in listed])
        failed = script("--data", WEFT="false")
        self.assertEqual((failed.returncode, len(failed.stdout.splitlines())), (1, 1))

    def test_every_job_script_is_one_that_Slurm_would_take(self):
        scripts = [path for path in sorted(glob.glob(SOURCE + "/slurm/*.sh")) if self.text(path).startswith("#!")]
        self.assertGreaterEqual(len(scripts), 4)
        for path in scripts:
            with self.subTest(os.path.basename(path)):
                self.assertLessEqual(len(self.text(path).splitlines()), 40)
                done = subprocess.run(["sbatch", "--test-only", "--partition=wide", path], cwd=SOURCE, text=True,
                                      env=self.cluster.environment, capture_output=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("to start at", done.stderr)

    @unittest.skipUnless(shutil.which("shellcheck"), "there is no shellcheck")
    def test_shellcheck_finds_nothing(self):
        done = subprocess.run(["shellcheck", "-x", *sorted(glob.glob("slurm/*.sh", root_dir=SOURCE))], cwd=SOURCE,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    reason = slurm.missing()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    main()
