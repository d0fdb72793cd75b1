"""How threads wait for each other: a short spin of weft's own, unless the user's environment says something else."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import programs
from programs import MPIEXEC, WEFT

OWN = "2000"
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def environment(**users):
    """This one as a user has it who set these variables and no others of the kind."""
    return {**{name: value for name, value in os.environ.items() if name not in VARIABLES}, **users}


def of_process(number):
    """Both variables with which a process was started."""
    with open(f"/proc/{number}/environ") as file:
        words = [word.split("=", 1) for word in file.read().split("\0") if "=" in word]
    return {name: value for name, value in words if name in VARIABLES}


def run(command, **users):
    done = subprocess.run(command, env=environment(**users), capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)
    return done


class WaitingTest(programs.ProgramTest):
    def training(self, name, ranks=1, **users):
        """What the processes of a run have while they train, and their names."""
        command = [WEFT, "train", self.input, f"run.name={name}", "training.steps=100000"]
        if ranks > 1:
            command = [MPIEXEC, "-n", str(ranks), *command]
        run = programs.Started(command, environment(OMP_NUM_THREADS="1", **users))
        try:
            self.wait_for(run, "step", "loss")
            numbers = self.processes(name)
            found = [of_process(number) for number in numbers]
            if ranks == 1:
                self.assertEqual(numbers, [run.pid])
            for number in numbers:
                with open(f"/proc/{number}/comm") as file:
                    self.assertEqual(file.read(), "weft\n")
        finally:
            with open(self.run_folder(name) + "/STOP", "w"):  # a signal to mpirun would end the ranks at once
                pass
            text = "".join(run.lines)
        self.assertEqual(run.wait(timeout=120), 75, text)
        self.assertEqual(len(found), ranks)
        return found

    def test_a_run_has_the_short_spin_where_the_user_set_nothing(self):
        self.assertEqual(self.training("own"), [{"GOMP_SPINCOUNT": OWN}])

    def test_every_rank_has_it(self):
        self.assertEqual(self.training("ranks", ranks=2), 2 * [{"GOMP_SPINCOUNT": OWN}])

    def test_what_the_user_set_stays(self):
        self.assertEqual(self.training("spins", GOMP_SPINCOUNT="77"), [{"GOMP_SPINCOUNT": "77"}])
        self.assertEqual(self.training("policy", OMP_WAIT_POLICY="passive"), [{"OMP_WAIT_POLICY": "passive"}])


class StartTest(unittest.TestCase):
    def runtimes_spins(self, **users):
        """What the OpenMP runtime says of itself whenever it is loaded."""
        done = run([WEFT, "--version"], OMP_DISPLAY_ENV="verbose", **users)
        self.assertEqual(done.returncode, 0, done.stderr)
        return re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr), done.stdout

    def test_the_runtime_takes_it_and_the_program_starts_again_once(self):
        spins, version = self.runtimes_spins()
        self.assertEqual(len(spins), 2, spins)
        self.assertGreater(int(spins[0]), int(OWN))
        self.assertEqual(spins[1], OWN)
        self.assertIn(f"a thread spins {OWN} rounds, then sleeps (GOMP_SPINCOUNT)", version)

    def test_with_a_setting_of_the_user_it_does_not_start_again(self):
        spins, version = self.runtimes_spins(GOMP_SPINCOUNT="77")
        self.assertEqual(spins, ["77"])
        self.assertIn("a thread spins 77 rounds", version)
        spins, version = self.runtimes_spins(OMP_WAIT_POLICY="passive")
        self.assertEqual(spins, ["0"])
        self.assertIn("passive (OMP_WAIT_POLICY)", version)

    def test_the_command_line_arrives_as_it_was(self):
        for words in (["train", ""], ["help", "no such\nkey"], ["--version", "extra"], [], ["check", "", ""]):
            with self.subTest(words=words):
                own, users = run([WEFT, *words]), run([WEFT, *words], GOMP_SPINCOUNT="77")
                self.assertEqual((own.returncode, own.stderr), (users.returncode, users.stderr))

    def test_it_starts_again_behind_the_dynamic_loader(self):
        loader = next(word for word in subprocess.run(["ldd", WEFT], capture_output=True, text=True).stdout.split()
                      if os.path.basename(word).startswith("ld-linux"))
        done = run([loader, WEFT, "help", "training.steps"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("training.steps", done.stdout)

    def test_a_closed_standard_output_stays_closed(self):
        done = subprocess.run(f"{WEFT} help >&-; echo status $?", shell=True, env=environment(), capture_output=True,
                              text=True, timeout=120)
        same = subprocess.run(f"{WEFT} help >&-; echo status $?", shell=True, env=environment(GOMP_SPINCOUNT="77"),
                              capture_output=True, text=True, timeout=120)
        self.assertEqual((done.stdout, done.stderr), (same.stdout, same.stderr))


if __name__ == "__main__":
    programs.main()
