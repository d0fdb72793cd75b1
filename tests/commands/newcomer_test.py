"""What a newcomer types wrong, and where output goes: messages say what was got, what was expected, what to do."""
import bz2
import gzip
import json
import os
import pty
import re
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, ProgramTest, main, run


def on_a_terminal(arguments, **environment):
    """What weft prints where all its output is a terminal."""
    leader, terminal = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "OMPI_COMM_WORLD_SIZE")}
    process = subprocess.Popen([WEFT, *arguments], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
                               env={**env, "TERM": "xterm", "OMP_NUM_THREADS": "1", **environment})
    os.close(terminal)
    text = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:  # the last end of the terminal is closed
            break
        if not block:
            break
        text += block
    os.close(leader)
    process.wait(timeout=60)
    return text.decode(errors="replace")


class Words(unittest.TestCase):
    """Command lines that are refused before anything is read."""

    def refused(self, *arguments):
        done = run(arguments, status=2)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_nothing_asked_for_is_answered_with_what_there_is(self):
        text = self.refused()
        self.assertIn("Subcommands:", text)
        self.assertNotIn("error", text)

    def test_version_is_told_three_ways(self):
        told = {run(words).stdout for words in (["--version"], ["-V"], ["version"])}
        self.assertEqual(len(told), 1)
        self.assertIn("commit", told.pop())

    def test_messages_are_in_the_words_of_the_program(self):
        for words, told in (
                (["bench", "--budget", "0"], "--budget: got 0, expected 0.001 to 1000000"),
                (["sample", "x", "--prompt-example", "1,x"], '--prompt-example: got "1,x", expected an integer'),
                (["sample", "x", "--temperature", "hot"], '--temperature: got "hot", expected a number'),
                (["sample", "x", "--columns", "3"], "--columns: expected --png with it"),
                (["eval"], "got no run, which is needed"),
                (["eval", "x", "--split", "foo"], '--split: got "foo", expected one of train, valid, test'),
                (["eval", "x", "--jsno", "y"], 'got "--jsno", which is no option of this command; did you mean --json?'),
                (["prepare", "text", "--form", "x"], "did you mean --from?"),
                (["prepare", "txt"], "did you mean text?"),
                (["generate", "pairs", "--examples", "1,2"], "--examples: got 2 values, expected 3"),
                (["metrics", "x", "--csv", "--jsonl"], "expected one of them"),
                (["prepare", "text", "--from", "", "--to", "x"], "--from: got no name, expected a file or folder"),
                (["prepare", "text", "a", "--from", "b", "--to", "x"], "got --from and raw, expected one of them"),
                (["prepare", "text", "--to", "x"], "no files to prepare; give them after --from"),
                (["prepare", "text", "a"], "got no --to, which is needed")):
            with self.subTest(words=words):
                self.assertIn(told, self.refused(*words))

    def test_neither_form_of_the_sources_is_called_required(self):
        self.assertEqual(re.findall(r"(?:raw|--from).*REQUIRED", run(["prepare", "text", "--help"]).stdout), [])

    def test_output_that_does_not_arrive_is_no_success(self):
        for words in (["--version"], ["--help"], ["help"], ["version"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([WEFT, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, words)
            self.assertRegex(done.stderr, "could not write all|No space left")

    def test_errors_are_red_on_a_terminal_only_and_never_with_NO_COLOR(self):
        red = "\x1b[1;31mweft: error:\x1b[0m"
        self.assertIn(red, on_a_terminal(["fly"]))
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            text = on_a_terminal(["fly"], **environment)
            self.assertIn("weft: error:", text)
            self.assertNotIn("\x1b", text)
        self.assertNotIn("\x1b", self.refused("fly"))


class Inputs(ProgramTest):
    def check(self, *overrides, **how):
        return run(["check", self.input, *overrides], **how)

    def test_an_open_quote_is_told_and_not_taken_for_a_name(self):
        for value in ('"a', "'a", '"a" b'):
            self.assertIn("quote that does not end", self.check("run.name=" + value, status=2).stderr)
        self.check("run.name=2024-05-27")

    def test_control_characters_neither_end_a_message_nor_reach_the_terminal(self):
        path = self.folder + "/nul.toml"
        with open(path, "w") as file:
            file.write('[run]\nname = "a\\u0000b\\u001b[31mc"\n')
        text = run(["check", path], status=2).stderr
        self.assertIn('run.name: got "a\\x00b\\x1B[31mc", expected a plain folder name', text)

    def test_a_long_nested_list_is_told_in_one_line(self):
        path = self.folder + "/nested.toml"
        with open(path, "w") as file:
            file.write("[attention]\nstride = [" + ",".join(["[1, [2, 3]]"] * 300) + "]\n[training]\nsteps = 1\n")
        lines = run(["check", path], status=2).stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertLess(len(lines[0]), 500)
        self.assertIn("... (a list), expected an integer", lines[0])

    def test_numbers_that_the_program_cannot_hold_are_refused(self):
        text = self.check("training.steps=9223372036854775807", "optimizer.learning_rate=1e-46",
                          "optimizer.epsilon=1e60", status=2).stderr
        self.assertIn("training.steps: got 9223372036854775807, expected an integer in [0, 4294967295]", text)
        self.assertIn("optimizer.learning_rate: got 1e-46, expected a number from 1.2e-38", text)
        self.assertIn("optimizer.epsilon: got 1e+60", text)
        self.check("training.steps=4294967295", "optimizer.learning_rate=1e-30")

    def test_a_file_is_no_data_set(self):
        self.assertIn("which is a file, expected the folder of a data set",
                      self.check(f"data.path={self.folder}/text.txt", status=2).stderr)
        self.assertIn("not there yet", self.check("data.path=elsewhere").stdout)

    def test_more_threads_than_processors_are_noted(self):
        many = 2 * len(os.sched_getaffinity(0))
        self.assertIn(f"note: {many} threads share", self.check(threads=many).stdout)
        self.assertNotIn("threads share", self.check(threads=1).stdout)


class Raw(ProgramTest):
    def prepare(self, path, **how):
        return run(["prepare", "text", path, "--to", self.folder + "/out"], **how)

    def test_bytes_behind_a_gzip_file_are_named_as_such(self):
        path = self.folder + "/a.gz"
        with open(self.folder + "/text.txt", "rb") as text, open(path, "wb") as out:
            out.write(gzip.compress(text.read()) + b"garbage")
        self.assertIn("behind the end of the gzip file", self.prepare(path, status=4).stderr)
        with open(path, "wb") as out:
            out.write(b"\x1f\x8b" + b"garbage" * 9)
        self.assertIn("is damaged", self.prepare(path, status=4).stderr)

    def test_zeros_are_called_an_empty_archive(self):
        with open(self.folder + "/z.bz2", "wb") as out:
            out.write(bz2.compress(bytes(20000)))
        self.assertIn("nothing but zeros", self.prepare(self.folder + "/z.bz2", status=4).stderr)

    def test_a_packed_file_within_an_archive_is_noted(self):
        with open(self.folder + "/text.txt", "rb") as text, open(self.folder + "/a.gz", "wb") as out:
            out.write(gzip.compress(text.read()))
        with tarfile.open(self.folder + "/a.tar", "w") as tar:
            tar.add(self.folder + "/a.gz", "inner.gz")
            tar.add(self.folder + "/text.txt", "inner.txt")
        notes = re.findall("note: (.*) is compressed once more", self.prepare(self.folder + "/a.tar").stdout)
        self.assertEqual(notes, [self.folder + "/a.tar: inner.gz"])
        run(["prepare", "text", self.folder + "/a.gz", "--to", self.folder + "/plain"])


class Outputs(ProgramTest):
    """Of one short run."""

    def setUp(self):
        super().setUp()
        self.train("run", "training.steps=1", "schedule.warmup_steps=0")
        self.run = self.run_folder("run")

    def test_a_split_that_was_cut_short_is_told(self):
        self.assertIn("the first 2 of 5 windows only (evaluation.max_windows)",
                      run(["eval", self.run, "evaluation.max_windows=2"]).stdout)
        for most in (0, 1000):
            self.assertNotIn("only", run(["eval", self.run, f"evaluation.max_windows={most}"]).stdout)

    def test_a_result_on_the_standard_output_is_nothing_else(self):
        done = run(["eval", self.run, "--json", "-"])
        self.assertGreater(json.loads(done.stdout)["tokens"], 0)
        self.assertIn("bits per token", done.stderr)
        rows = run(["pattern", self.input, "--csv", "-"]).stdout.splitlines()
        self.assertEqual((len(rows), rows[0]), (64, "0,0"))

    def test_the_standard_output_by_name_keeps_what_stands_there(self):
        path = self.folder + "/out"
        with open(path, "w") as out:
            subprocess.run(["sh", "-c", 'echo earlier; "$@"', "-", WEFT, "eval", self.run, "--json", "/dev/stdout"],
                           stdout=out, check=True, timeout=60)
        with open(path) as file:
            text = file.read()
        self.assertTrue(text.startswith("earlier\n"))
        self.assertIn("bits", json.loads(text[text.index("{"):]))

    def test_a_misspelt_folder_is_told_before_the_work_and_not_made(self):
        for words in (["eval", self.run, "--json"], ["eval", self.run, "--logits"], ["train", self.input, "--dump-losses"],
                      ["sample", self.run, "--bytes"], ["pattern", self.input, "--png"], ["bench", "--json"]):
            text = run([*words, self.folder + "/nowhere/x"], status=2).stderr
            self.assertIn(f"but there is no folder {self.folder}/nowhere", text)
            self.assertFalse(os.path.exists(self.folder + "/nowhere"))
        self.assertIn("which is a folder", run(["eval", self.run, "--json", self.folder], status=2).stderr)
        self.assertIn("got -, expected a file", run(["eval", self.run, "--logits", "-"], status=2).stderr)

    def test_what_is_no_checkpoint_is_named_for_what_it_is(self):
        for command in ("inspect", "eval"):
            self.assertIn("holds what a run measured, expected a checkpoint",
                          run([command, self.run + "/metrics.h5"], status=4).stderr)
        self.assertIn(f"is a folder of runs, expected one of them: {self.run}", run(["eval", self.folder + "/runs"], status=4).stderr)

    def test_data_that_is_not_there_from_here_is_told_with_the_folder(self):
        done = run(["eval", self.run, "data.path=data/none"], status=4)
        self.assertIn(f"there is no data set data/none in {os.getcwd()}", done.stderr)
        self.assertIn("is a file, expected the folder", run(["eval", self.run, f"data.path={self.input}"], status=4).stderr)

    def test_provenance_lists_settings_and_later_only_changes(self):
        self.train("run", "training.steps=3", "optimizer.clip=0.5", "schedule.warmup_steps=0")
        self.train("run", "training.steps=3", "optimizer.clip=0.5", "schedule.warmup_steps=0")
        with open(self.run + "/provenance.json") as file:
            starts = json.load(file)["starts"]
        self.assertIn("training.steps = 1", starts[0]["config"])
        self.assertEqual([start["config"] is None for start in starts], [False, True, True])
        self.assertIsNone(starts[0]["changes"])
        self.assertEqual(sorted(starts[1]["changes"]), ["optimizer.clip = 0.5, was 1.0", "training.steps = 3, was 1"])
        self.assertIsNone(starts[2]["changes"])


if __name__ == "__main__":
    main()
