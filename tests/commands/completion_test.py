"""weft completion bash and weft help --man: both follow the tables of commands and keys."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, main, run

COMPLETE = """
. "$1"
compopt() { :; }  # bash allows it within a completion only
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_weft
((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}"
exit 0
"""


class CompletionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="weft-test-")
        cls.script = cls.folder + "/weft.bash"
        with open(cls.script, "w") as out:
            out.write(run(["completion", "bash"]).stdout)
        for name in ("runs/one", "data/enwik8", "in puts"):
            os.makedirs(f"{cls.folder}/{name}")
        for name in ("a.toml", "b.txt", "c.h5", "in puts/d.toml"):
            open(f"{cls.folder}/{name}", "w").close()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def offered(self, *words):
        """What stands behind the cursor in the last word, as bash splits words: = is one of its own."""
        done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "bash", self.script, "weft", *words], cwd=self.folder,
                              capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def test_commands_and_their_kinds(self):
        self.assertEqual(self.offered("tr"), ["train"])
        self.assertEqual(set(self.offered("")), set(re.findall(r"^  ([a-z]\w*) ", run(["--help"]).stdout, re.M)))
        self.assertEqual(set(self.offered("generate", "")), {"listops", "pathfinder", "copy", "pairs"})
        self.assertEqual(self.offered("prepare", "im"), ["images", "imdb", "image"])
        self.assertEqual(self.offered("completion", ""), ["bash"])

    def test_every_option_of_every_command(self):
        texts = {"": run(["--help"]).stdout}
        for command in re.findall(r"^  ([a-z]\w*) ", texts[""], re.M):
            texts[command] = run([command, "--help"]).stdout
            if "Subcommands:" in texts[command]:
                for kind in re.findall(r"^  ([a-z]\w*) ", texts[command].split("Subcommands:")[1], re.M):
                    texts[command + " " + kind] = run([command, kind, "--help"]).stdout
        self.assertGreater(len(texts), 20)
        for path, text in texts.items():
            with self.subTest(command=path):
                expected = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.M))
                self.assertEqual(set(self.offered(*path.split(), "--")), expected)

    def test_values_of_options(self):
        self.assertEqual(self.offered("eval", "runs/one", "--split", ""), ["train", "valid", "test"])
        self.assertEqual(self.offered("eval", "--split", "=", "va"), ["valid"])
        self.assertEqual(self.offered("eval", "runs/one", "--json", "b"), ["b.txt"])
        self.assertEqual(self.offered("prepare", "text", "--to", "d"), ["data"])
        self.assertEqual(self.offered("prepare", "text", "--from", "b"), ["b.txt"])
        self.assertEqual(self.offered("prepare", "text", "--shards", ""), [])
        self.assertEqual(self.offered("eval", "--best", "runs/o"), ["runs/one"])  # a flag takes no value

    def test_arguments(self):
        self.assertEqual(set(self.offered("train", "")), {"runs", "data", "in puts", "a.toml"})
        self.assertEqual(self.offered("check", "in puts/"), ["in puts/d.toml"])
        self.assertEqual(self.offered("eval", ""), ["runs/one"])
        self.assertEqual(self.offered("inspect", "c"), ["c.h5"])
        self.assertEqual(self.offered("prepare", "text", "b"), ["b.txt"])

    def test_keys_and_their_words(self):
        self.assertEqual(self.offered("train", "a.toml", "model.fam"), ["model.family="])
        self.assertEqual(self.offered("train", "a.toml", "run.seed", "=", "1", "model.fam"), ["model.family="])
        self.assertIn("sparse_transformer", self.offered("train", "a.toml", "model.family", "="))
        self.assertEqual(self.offered("train", "a.toml", "run.precision", "=", "f"), ["fp32", "fp16"])
        self.assertEqual(self.offered("train", "a.toml", "run.fresh", "=", ""), ["true", "false"])
        self.assertEqual(self.offered("train", "a.toml", "data.path", "=", "da"), ["data"])
        self.assertEqual(self.offered("train", "a.toml", "model.layers", "=", ""), [])
        self.assertEqual(self.offered("help", "model.init_f"), ["model.init_from"])

    def test_all_keys(self):
        listed = re.findall(r"^\[(\w+)\]|^  (\w+) = ", run(["help"]).stdout, re.M)
        expected, section = [], ""
        for heading, key in listed:
            section = heading or section
            if key:
                expected.append(f"{section}.{key}=")
        self.assertGreater(len(expected), 80)
        self.assertEqual(self.offered("train", "a.toml", ""), expected)


class ManPageTest(unittest.TestCase):
    def setUp(self):
        self.page = run(["help", "--man"]).stdout

    def test_every_command_and_key_is_there(self):
        for command in re.findall(r"^  ([a-z]\w*) ", run(["--help"]).stdout, re.M):
            self.assertIn(f'.SS "weft {command}', self.page)
        self.assertIn('.SS "weft prepare text"', self.page)
        for key in ("model.family", "attention.pattern", "training.steps"):
            self.assertRegex(self.page, rf"(?m)^\.TP\n\\fB{key}\\fR$")
        for part in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES"):
            self.assertIn(f".SH {part}\n", self.page)

    def test_no_text_is_an_order_to_roff(self):
        for line in self.page.splitlines():
            if line.startswith((".", "'")):
                self.assertRegex(line, r'^\.(\\"|TH|SH|SS|TP|PP|nh$|ad l$)')
        self.assertIn("\\-\\-help", self.page)

    def test_groff_has_nothing_to_warn_of(self):
        if shutil.which("groff") is None:
            self.skipTest("no groff here")
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-"], input=self.page, capture_output=True, text=True,
                              timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        self.assertIn("train and evaluate long-sequence models", done.stdout)

    def test_it_is_one_page_and_not_two(self):
        self.assertIn("expected one of them", run(["help", "--man", "--markdown"], status=2).stderr)


if __name__ == "__main__":
    main()
