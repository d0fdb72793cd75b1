"""The commands of README.md, run as they are written: on small data, with small models behind the same names."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, main

SOURCE = os.environ.get("WEFT_SOURCE", os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")))

# Stands where the README says build/cpu/weft: the program, with what makes its work small behind the words of the README.
SMALL = """#!/bin/sh
words=
case $1 in
  train | check) words="training.steps=2 training.epochs=0 training.batch=4 training.micro_batch=1 schedule.warmup_steps=1" ;;
  eval) words="evaluation.minimum_context=64" ;;
esac
case $1 in
  train | check) words="$words model.layers=1 model.width=32 model.heads=4 model.context=512 model.position_shape=[]
    attention.stride=16 attention.summary=4 attention.combination=merged run.precision=fp32" ;;
esac
[ "$1 $2" = "prepare enwik8" ] && words=--allow-partial
exec {weft} "$@" $words
"""
# Blocks that install, build or want a cluster: the first command of each.
ELSEWHERE = ("scripts/quickstart.sh", "source slurm/site.sh")
SKIPPED = ("scripts/setup.sh",)


def blocks():
    """The lines of each fenced block of the README."""
    with open(SOURCE + "/README.md", encoding="utf-8") as file:
        return [block.strip().split("\n") for block in re.findall(r"(?ms)^```\n(.*?)^```", file.read())]


class ReadmeTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("inputs", "postproc", "scripts", "slurm", "docs"):
            os.symlink(f"{SOURCE}/{name}", f"{self.folder}/{name}")
        os.makedirs(self.folder + "/build/cpu")
        with open(self.folder + "/build/cpu/weft", "w") as out:
            out.write(SMALL.replace("{weft}", WEFT))
        os.chmod(self.folder + "/build/cpu/weft", 0o755)
        words = np.random.default_rng(5).choice(["the ", "cat ", "sat ", "on ", "a ", "mat. ", "warp ", "weft "], 40000)
        text = "".join(words)
        with open(self.folder + "/mine.txt", "w") as out:
            out.write(text)
        with zipfile.ZipFile(self.folder + "/enwik8.zip", "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("enwik8", text)

    def run_block(self, lines):
        lines = [line for line in lines if not line.startswith(SKIPPED)]
        env = dict(os.environ, OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
        for line in lines:
            done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, errors="replace", timeout=200)
            self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}\n{done.stderr}")

    def left(self, *paths):
        for path in paths:
            self.assertTrue(os.path.exists(f"{self.folder}/{path}"), path)

    def test_every_block_is_run_or_known_to_be_run_elsewhere(self):
        first = [lines[0] for lines in blocks()]
        for start in ELSEWHERE:
            self.assertEqual(len([line for line in first if line.startswith(start)]), 1, start)
        self.assertEqual(len(first), len(ELSEWHERE) + 2)

    def test_text_of_ones_own(self):
        (block,) = [lines for lines in blocks() if "prepare text" in lines[0]]
        self.assertEqual(len(block), 3)
        self.run_block(block)
        self.left("data/mine/train-00000-of-00001.h5", "runs/mine/metrics.h5")

    def test_a_row_of_a_table(self):
        (block,) = [lines for lines in blocks() if lines[0].startswith("scripts/setup.sh")]
        self.run_block(block)
        self.left("runs/enwik8_fixed_seed1/checkpoints/latest", "context.csv", "tables/sparse2.md")
        with open(self.folder + "/tables/sparse2.md", encoding="utf-8") as file:
            self.assertIn("0.99", file.read())

    def test_every_command_has_its_row(self):
        with open(SOURCE + "/README.md", encoding="utf-8") as file:
            rows = set(re.findall(r"^\| `weft (\w+)", file.read(), re.M))
        told = subprocess.run([WEFT, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertEqual(rows, set(re.findall(r"^  ([a-z]\w*) ", told, re.M)) - {"version"})

    def test_every_family_has_its_row(self):
        with open(SOURCE + "/README.md", encoding="utf-8") as file:
            rows = set(re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|$", file.read(), re.M))
        told = subprocess.run([WEFT, "help", "model.family"], capture_output=True, text=True, timeout=60, check=True).stdout
        families = re.search(r"expected  one of (.*)", told)[1].split(", ")
        self.assertLessEqual(set(families), rows)


if __name__ == "__main__":
    main()
