"""scripts/same_bits.sh: silent where two programs compute the same, and loud where they do not."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, main  # noqa: E402

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "same_bits.sh")


class SameBitsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weft-bits-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def compare(self, new, *options, status):
        done = subprocess.run([SCRIPT, WEFT, new, *options], capture_output=True, text=True, timeout=280,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def other(self, command, text):
        """A program that is weft, but for one command."""
        path = self.folder + "/weft"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nif [ "$1" = {command} ]; then {text}; fi\nexec {WEFT} "$@"\n')
        os.chmod(path, 0o755)
        return path

    def test_a_program_computes_what_it_computes(self):
        done = self.compare(WEFT, "--quick", "--only", "^fp32, fixed|keys of heads, layer 1", status=0)
        self.assertRegex(done.stdout, r"^same_bits.sh: 0 differences; 1 training runs, 1 evaluations with samples, 1 patterns")

    def test_another_seed_is_a_difference_of_losses_weights_logits_and_samples(self):
        new = self.other("train", f'exec {WEFT} "$@" run.seed=4')
        done = self.compare(new, "--quick", "--only", "^fp32, fixed", status=1)
        for what in ("losses", "last checkpoint", "logits", "weft sample"):
            self.assertRegex(done.stdout, rf"(?m)^different: fp32, fixed merged, .*: {what}")
        self.assertRegex(done.stdout.splitlines()[-1], r"^same_bits.sh: [4-9] differences; 1 training runs")

    def test_other_keys_and_a_failing_command_are_differences(self):
        new = self.other("pattern", f'exec {WEFT} "$@" attention.stride=17')
        done = self.compare(new, "--quick", "--only", "keys of heads, layer 0", status=1)
        self.assertIn("different: keys of heads, layer 0, head 0: weft pattern", done.stdout)
        done = self.compare(self.other("pattern", "exit 7"), "--quick", "--only", "keys of dense, layer 0", status=1)
        self.assertIn("ended with status 0 (old) and 7 (new)", done.stdout)

    def test_wrong_arguments_are_told(self):
        for arguments in ((), (WEFT, "--fast"), (self.folder + "/none",), (WEFT, "--only", "no such case")):
            done = subprocess.run([SCRIPT, WEFT, *arguments], capture_output=True, text=True, timeout=280)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("same_bits.sh: got ", done.stderr)


if __name__ == "__main__":
    main()
