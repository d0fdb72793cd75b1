"""scripts/reformer_matrix.sh and slurm/reformer_copy.sh: what they would run, and what they run of a program that only notes."""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path[:0] = [HERE]

# Notes its arguments; trains by leaving metrics.h5, evaluates by leaving the files that it is asked for.
WEFT = """#!/usr/bin/env bash
echo "$*" >> "$NOTES"
[ "$1" = "${FAILS:-}" ] && { echo "no such thing" >&2; exit 3; }
directory='' name='' to='' slots=''
for argument in "$@"; do
  case $argument in run.directory=*) directory=${argument#*=} ;; run.name=*) name=${argument#*=} ;; esac
done
if [ "$1" = train ]; then
  mkdir -p "$directory/$name"
  [ -f "$directory/$name/metrics.h5" ] || touch "$directory/$name/metrics.h5"
fi
while [ $# -gt 0 ]; do
  case $1 in --json) to=$2 ;; --by-position) slots=$2 ;; esac
  shift
done
[ -z "$to" ] || { echo '{"accuracy": 0.5}' > "$to"; echo 'context,bits,count' > "$slots"; }
"""
PYTHON = '#!/usr/bin/env bash\necho "table $*" >> "$NOTES"\n'
FULL = "attention.pattern=dense attention.shared_qk=true"


class MatrixTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-matrix-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.notes = self.folder + "/notes"
        for name, text in (("weft", WEFT), ("python", PYTHON)):
            with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(f.name, os.stat(f.name).st_mode | stat.S_IXUSR)

    def script(self, *arguments, status=0, name="scripts/reformer_matrix.sh", **environment):
        env = {**os.environ, "NOTES": self.notes, "WEFT": self.folder + "/weft", "WEFT_PYTHON": self.folder + "/python",
               "WEFT_RUNS": self.folder + "/runs", "WEFT_TABLES": self.folder + "/tables", **environment}
        env.pop("WEFT_SITE", None)
        done = subprocess.run([name, *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=60, env=env, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def noted(self, begin=""):
        with open(self.notes, encoding="utf-8") as f:
            return [line for line in f.read().splitlines() if line.startswith(begin)]

    def test_four_trainings_and_twenty_evaluations_for_each_seed_and_then_the_table(self):
        self.script("inputs/reformer_two_cores", "2", "training.steps=5")
        trained, evaluated = self.noted("train"), self.noted("eval")
        self.assertEqual((len(trained), len(evaluated)), (8, 40))
        self.assertEqual(trained[1], f"train inputs/reformer_two_cores/lsh4.toml run.directory={self.folder}/runs run.seed=1 "
                                     "run.name=reformer_two_cores_lsh4_seed1 training.steps=5")
        self.assertEqual(len({line.split("--json")[1] for line in evaluated}), 40)
        self.assertEqual(self.noted()[-1], f"table postproc/table_paper.py --table reformer --runs {self.folder}/runs "
                                           f"--out {self.folder}/tables")
        records = os.listdir(self.folder + "/runs/reformer_two_cores_lsh2_seed2/evaluations")
        self.assertEqual(sorted(f for f in records if f.endswith(".json")),
                         ["matrix-full.json"] + [f"matrix-lsh{r}.json" for r in (1, 2, 4, 8)])
        self.assertFalse([f for f in records if "partial" in f])

    def test_full_attention_is_hashed_as_the_others_are_trained(self):
        self.script("inputs/reformer", "1")
        lines = [line for line in self.noted("eval") if "/reformer_full_seed1 " in line]
        self.assertTrue(lines[0].endswith(FULL))
        self.assertTrue(lines[1].endswith("attention.pattern=lsh attention.rounds=8 attention.buckets=[16] attention.chunk=64 "
                                          "attention.score=unit"))
        lines = [line for line in self.noted("eval") if "/reformer_lsh1_seed1 " in line]
        self.assertTrue(lines[4].endswith(" attention.pattern=lsh attention.rounds=1"))

    def test_the_mixture_is_a_fifth_training_and_a_sixth_evaluation_of_the_hashed_ones(self):
        self.script("--mixture", "inputs/reformer_two_cores", "1")
        self.assertEqual((len(self.noted("train")), len(self.noted("eval"))), (5, 5 * 5 + 3))
        raw = [line for line in self.noted("eval") if "full_raw_seed1 " in line]
        self.assertTrue(raw[0].endswith(FULL + " attention.score=raw"))
        self.assertTrue(all(line.endswith("attention.chunk=32 attention.score=unit") for line in raw[1:]))
        mixed = [line for line in self.noted("eval") if "lsh2_seed1 " in line][-1]
        self.assertTrue(mixed.endswith(FULL + " attention.score=raw"))

    def test_what_is_there_is_not_evaluated_again_unless_the_run_has_gone_on(self):
        self.script("inputs/reformer_two_cores", "1")
        self.script("inputs/reformer_two_cores", "1")
        self.assertEqual((len(self.noted("train")), len(self.noted("eval"))), (8, 20))
        metrics = self.folder + "/runs/reformer_two_cores_full_seed1/metrics.h5"
        os.utime(metrics, (2e9, 2e9))
        self.script("inputs/reformer_two_cores", "1")
        self.assertEqual(len(self.noted("eval")), 25)

    def test_one_run_alone_by_its_name(self):
        os.makedirs(self.folder + "/runs/mine_full_raw_x")
        self.script("--evaluate", self.folder + "/runs/mine_full_raw_x", "inputs/reformer")
        self.assertTrue(self.noted("eval")[0].endswith(FULL + " attention.score=raw"))
        self.assertEqual(len(self.noted()), 5)
        self.assertIn("expected a run whose name has", self.script("--evaluate", "runs/mine", "inputs/reformer", status=2).stderr)

    def test_a_program_that_fails_ends_it_and_leaves_no_record(self):
        done = self.script("inputs/reformer_two_cores", "1", status=3, FAILS="eval")
        self.assertIn("no such thing", done.stderr)
        left = os.listdir(self.folder + "/runs/reformer_two_cores_full_seed1/evaluations")
        self.assertEqual([f for f in left if f.endswith(".json")], [])
        self.script("inputs/reformer_two_cores", "1", status=3, FAILS="train")

    def test_other_settings_have_other_names(self):
        self.script("--name", "_lr1e-4", "inputs/reformer_two_cores", "1", "optimizer.learning_rate=1e-4")
        self.assertIn("run.name=reformer_two_cores_full_lr1e-4_seed1 optimizer.learning_rate=1e-4", self.noted("train")[0])

    def test_wrong_arguments_are_refused(self):
        for wrong, told in ((["inputs/nosuch", "1"], "expected a folder"), (["inputs/reformer"], "SEEDS: got ''"),
                            (["inputs/reformer", "x"], "SEEDS: got 'x'"), (["--what"], "got --what, expected"),
                            (["inputs/reformer", "1", "steps"], "got steps, expected section.key=value"),
                            (["inputs/reformer", "1", "run.name=a"], "expected --name")):
            self.assertIn(told, self.script(*wrong, status=2).stderr)
        self.assertFalse(os.path.exists(self.notes))

    def test_list_runs_nothing(self):
        lines = self.script("--list", "inputs/reformer", "3").stdout.splitlines()
        self.assertEqual(len(lines), 3 * (4 + 20) + 1)
        self.assertFalse(os.path.exists(self.notes))

    def test_the_job_script_lists_the_same_rows(self):
        lines = self.script("--seeds", "2", "--list", name="slurm/reformer_copy.sh").stdout.splitlines()
        self.assertEqual([line for line in lines if not line.startswith(" ")][2:4],
                         ["3 inputs/reformer/lsh4.toml seed 1", "4 inputs/reformer/lsh4.toml seed 2"])
        alone = self.script("--list", "inputs/reformer", "2").stdout.splitlines()
        evaluations = [line.strip() for line in lines if line.startswith(" ")]
        self.assertEqual(sorted(evaluations), sorted(line for line in alone if " eval " in line))
        lines = self.script("inputs/reformer_two_cores", "--mixture", "--models", "full_raw", "--name", "_a", "--list",
                            name="slurm/reformer_copy.sh").stdout.splitlines()
        self.assertEqual(lines[0], "1 inputs/reformer_two_cores/full_raw.toml seed 1")
        self.assertIn("runs/reformer_two_cores_full_raw_a_seed1 " + FULL + " attention.score=raw", lines[1])
        self.assertIn("got --what", self.script("--what", name="slurm/reformer_copy.sh", status=2).stderr)

    def test_the_job_script_submits_the_trainings_the_evaluations_and_the_table(self):
        """By an sbatch that notes its arguments and gives numbers."""
        os.makedirs(self.folder + "/bin")
        with open(self.folder + "/bin/sbatch", "w", encoding="utf-8") as f:
            f.write('#!/usr/bin/env bash\necho "$WEFT_ROWS|$WEFT_ROW_SEEDS|${WEFT_ROWS_AFTER:-}|${WEFT_NAME_SUFFIX:-}|$*" >> "$NOTES"\n'
                    'wc -l < "$NOTES"\n')
        os.chmod(f.name, 0o755)
        path = self.folder + "/bin:" + os.environ["PATH"]
        self.script("--models", "full,lsh1", "--seeds", "2", "--name", "_b", "training.steps=9", "--", "--gpus-per-task=1",
                    name="slurm/reformer_copy.sh", PATH=path)
        first, second, third = (line.split("|") for line in self.noted())
        rows = " ".join(f"inputs/reformer/{name}.toml" for name in ("full", "full", "lsh1", "lsh1"))
        self.assertEqual(first, [rows, "1 2 1 2", "", "_b", "--parsable --array=1-4 --gpus-per-task=1 slurm/reformer_copy.sh "
                                                            "training.steps=9"])
        self.assertEqual(second[2:], ["yes", "_b", "--parsable --dependency=afterany:1 --array=1-4 --job-name=weft_reformer_eval "
                                      "--gpus-per-task=1 slurm/reformer_copy.sh training.steps=9"])
        self.assertIn("--dependency=afterany:2 --job-name=weft_reformer_table", third[4])

    def test_a_task_of_the_arrays_trains_or_evaluates_its_row(self):
        os.makedirs(self.folder + "/bin")
        with open(self.folder + "/bin/srun", "w", encoding="utf-8") as f:
            f.write('#!/usr/bin/env bash\nwhile [[ $1 = --* ]]; do shift; done\nexec "$@"\n')
        os.chmod(f.name, 0o755)
        common = dict(name="slurm/reformer_copy.sh", PATH=self.folder + "/bin:" + os.environ["PATH"], SLURM_SUBMIT_DIR=SOURCE,
                      SLURM_ARRAY_TASK_ID="2", SLURM_JOB_ID="7", WEFT_ROW_SEEDS="1 3",
                      WEFT_ROWS="inputs/reformer/full.toml inputs/reformer/lsh4.toml")
        self.script("training.steps=9", **common)
        self.assertEqual(self.noted(), [f"train inputs/reformer/lsh4.toml run.directory={self.folder}/runs training.steps=9 "
                                        "run.seed=3 run.name=reformer_lsh4_seed3"])
        self.script("training.steps=9", WEFT_ROWS_AFTER="yes", WEFT_MIXTURE="--mixture", **common)
        self.assertEqual(len(self.noted("eval")), 6)
        self.assertTrue(all("runs/reformer_lsh4_seed3 " in line for line in self.noted("eval")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
