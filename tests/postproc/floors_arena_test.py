"""Floors of accuracies: against plain loops, and the known figures of the arena's tasks."""
import collections
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import unittest

import h5py
import numpy as np

from scripts import POSTPROC, FolderTest
import floors
import floors_arena as arena
import floors_grams as grams
import floors_listops as listops
from runs import RunError

SYMBOLS = "<pad> 0 1 2 3 4 5 6 7 8 9 [MIN [MAX [MED [SM ] <unk>"
SHARED = os.environ.get("WEFT_SHARED_DATA", os.path.join(POSTPROC, "..", "..", "shared", "data"))


def draw(dice, depth, deepest, most, out):
    """The arena's rule: a list with probability 1/4 above the deepest level, of 2 to `most` arguments."""
    if depth >= deepest or dice.random() > 0.25:
        out.append(str(dice.randint(0, 9)))
        return int(out[-1])
    at = len(out)
    out.append("")
    values = [draw(dice, depth + 1, deepest, most, out) for _ in range(dice.randint(2, most))]
    operator = dice.choice(("MIN", "MAX", "MED", "SM"))
    out[at] = "[" + operator
    out.append("]")
    return {"MIN": min, "MAX": max, "MED": lambda v: int(np.median(v)), "SM": lambda v: sum(v) % 10}[operator](values)


def expressions(rows, deepest, most, shortest, longest, seed):
    """Texts of `shortest` to `longest` symbols, and their values."""
    dice, found = random.Random(seed), []
    while len(found) < rows:
        words = []
        value = draw(dice, 1, deepest, most, words)
        if shortest <= len(words) <= longest:
            found.append((words, value))
    return found


def write_split(folder, split, texts, labels, seconds=None, kind=np.uint8, **attributes):
    """One shard as docs/files.md describes it; texts: lists of tokens."""
    os.makedirs(folder, exist_ok=True)
    with h5py.File(f"{folder}/{split}-00000-of-00001.h5", "w") as f:
        for name, rows in (("", texts), ("2", seconds)):
            if rows is None:
                continue
            tokens = np.zeros((len(rows), max(map(len, rows))), kind)
            for i, row in enumerate(rows):
                tokens[i, :len(row)] = row
            f["tokens" + name], f["length" + name] = tokens, np.array([len(row) for row in rows], np.int32)
        f["label"] = np.array(labels, np.int32)
        f.attrs.update({"split": split, "source_sha256": "ab", **attributes})


class DataTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.folder, "data")


class ListOpsTest(DataTest):
    def generate(self, *rule, symbols=SYMBOLS, form=lambda words: words, rows=1500):
        number = {word: i for i, word in enumerate(symbols.split())}
        for seed, split in enumerate(("train", "test")):
            found = expressions(rows, *rule, seed + 1)
            write_split(self.data, split, [[number[w] for w in form(words)] for words, _ in found],
                        [v for _, v in found], task="listops", classes=10, symbols=symbols)
        return arena.accuracies(self.data)["accuracies"]

    def assert_near(self, found, per_cent, within=4.5):  # three standard deviations of 1,500 rows or more
        for name, value in per_cent.items():
            self.assertLess(abs(100 * found[name] - value), within, f"{name}: {100 * found[name]:.1f}, not {value}")

    def test_the_known_figures_of_small_trees_come_out(self):
        found = self.generate(3, 5, 5, 29)
        self.assert_near(found, {"constant": 11.1, "root_operator": 23.7, "levels1": 59.8})
        self.assertEqual((found["levels2"], found["levels3"]), (1, 1))
        found = self.generate(5, 5, 11, 199)
        self.assert_near(found, {"constant": 11.2, "root_operator": 23.7, "levels1": 42.0, "levels2": 68.2, "levels3": 85.3})
        self.assertEqual(found["levels4"], 1)

    def test_without_brackets_only_the_root_is_known(self):
        symbols = "<pad> 0 1 2 3 4 5 6 7 8 9 MIN MAX MED SM <unk>"
        found = self.generate(5, 5, 11, 199, symbols=symbols, form=lambda w: [x.strip("[") for x in w if x != "]"])
        self.assertEqual(list(found), ["constant", "root_operator"])
        self.assert_near(found, {"root_operator": 23.7})

    def test_parentheses_change_nothing(self):
        plain = self.generate(4, 5, 11, 59, rows=300)
        nested = self.generate(4, 5, 11, 59, rows=300, symbols=SYMBOLS.replace("<unk>", "( ) <unk>"),
                               form=lambda words: ["("] * 3 + words + [")"])
        self.assertEqual(plain, nested)

    def test_levels_of_an_expression(self):
        def values(text):
            return listops.level_values(text.split())

        self.assertEqual(values("[MAX 4 [MIN 7 9 ] 0 ]"), [4, 7, 7, 7])
        self.assertEqual(values("[MED 1 2 [SM 8 [MAX 9 3 ] ] ]"), [1, 2, 2, 2])
        self.assertEqual(values("[SM [SM 5 5 [MIN [MAX 1 2 ] ] ] ]"), [None, 0, 0, 2])
        self.assertEqual(values("7"), [7] * 4)
        self.assertEqual(values("[MAX 4 [MIN 7 9"), [4, 7, 7, 7])  # cut off
        self.assertEqual(values(""), [None] * 4)

    def test_shards_that_do_not_say_what_tokens_mean_are_refused(self):
        write_split(self.data, "train", [[1, 2]], [0], task="listops", classes=10)
        write_split(self.data, "test", [[1, 2]], [0], task="listops", classes=10)
        with self.assertRaisesRegex(RunError, "symbols"):
            arena.accuracies(self.data)


class Rows:
    def __init__(self, texts, labels, seconds=None):
        for name, rows in (("", texts), ("2", seconds)):
            if rows is not None:
                tokens = np.zeros((len(rows), max(map(len, rows))), np.uint16)
                for i, row in enumerate(rows):
                    tokens[i, :len(row)] = row
                setattr(self, "tokens" + name, tokens)
                setattr(self, "length" + name, np.array([len(row) for row in rows]))
        self.label, self.classes = np.array(labels), 2


def texts(seed, rows):
    dice = random.Random(seed)
    labels = [dice.randrange(2) for _ in range(rows)]
    return [[dice.choice((1, 1, 2, 3, 4, 5 + label)) for _ in range(dice.randrange(1, 12))] for label in labels], labels


def counted(row, n):
    return collections.Counter(tuple(row[i:i + n]) for i in range(len(row) - n + 1))


def plain_bayes(train, labels, test, n, counting):
    prior, seen = collections.Counter(labels), [collections.Counter(), collections.Counter()]
    for row, label in zip(train, labels):
        for gram, often in counted(row, n).items():
            seen[label][gram] += often if counting else 1
    known = set(seen[0]) | set(seen[1])
    out = []
    for row in test:
        scores = [math.log(prior[c]) + sum((often if counting else 1) * math.log(
            (seen[c][gram] + 1) / (sum(seen[c].values()) + len(known))) for gram, often in counted(row, n).items()
            if gram in known) for c in (0, 1)]
        out.append(int(scores[1] > scores[0]))
    return out


class GramsTest(unittest.TestCase):
    def setUp(self):
        self.addCleanup(setattr, grams, "BLOCK", grams.BLOCK)

    def test_naive_bayes_equals_plain_loops_whatever_the_size_of_blocks(self):
        (train, labels), (test, wanted) = texts(1, 80), texts(2, 60)
        for n, counting in ((1, True), (1, False), (2, False), (5, False)):
            right = np.mean(np.array(plain_bayes(train, labels, test, n, counting)) == wanted)
            for grams.BLOCK in (20, 1 << 20):
                self.assertAlmostEqual(grams.bayes(Rows(train, labels), Rows(test, wanted), n, counting), right)

    def test_grams_never_reach_into_the_padding(self):
        found = list(grams.gram_blocks(np.array([[1, 2, 1, 2, 0, 0], [3, 0, 0, 0, 0, 0]], np.uint16), np.array([4, 1]), 2, 4))
        self.assertEqual([(int(r), int(g), int(o)) for _, row, gram, often in found
                          for r, g, o in zip(row, gram, often)], [(0, 0b0110, 2), (0, 0b1001, 1)])

    def test_cosines_equal_plain_loops(self):
        (one, labels), (two, _) = texts(3, 30), texts(4, 30)
        rows = Rows(one, labels, two)
        documents = collections.Counter(gram for row in one[:20] + two[:20] for gram in counted(row, 2))
        keys = sorted(documents)
        table = np.array([a * 8 + b for a, b in keys], np.uint64)
        idf = np.array([math.log(40 / documents[k]) for k in keys])
        weight = dict(zip(keys, idf))
        for grams.BLOCK in (40, 1 << 20):
            got = grams.cosines(rows, 2, 8, table, idf)
            for i, (a, b) in enumerate(zip(one, two)):
                x, y = ({k: o * weight[k] for k, o in counted(r, 2).items() if k in weight} for r in (a, b))
                size = math.sqrt(sum(v * v for v in x.values()) * sum(v * v for v in y.values()))
                self.assertAlmostEqual(got[i], sum(v * y.get(k, 0) for k, v in x.items()) / max(size, 1e-30), places=12)

    def test_the_threshold_is_the_best_there_is(self):
        score, label = np.array([0.1, 0.5, 0.5, 0.9, 0.3]), np.array([0, 1, 0, 1, 0])
        best = max(np.mean((score > t) == label) for t in (-1, 0.2, 0.4, 0.7, 1))
        self.assertEqual(np.mean((score > grams.threshold(score, label)) == label), best)
        self.assertEqual(grams.threshold(np.array([1.0, 2.0]), np.array([1, 1])), -np.inf)


class PicturesTest(DataTest):
    def test_ridge_is_least_squares_with_rows_that_pull_to_zero(self):
        generator = np.random.default_rng(1)
        x, y, t = generator.random((50, 4)), generator.integers(0, 3, 50), generator.random((20, 4))
        c = x - x.mean(0)
        penalty = 2 * (c**2).sum() / 4
        a = np.concatenate([c, np.sqrt(penalty) * np.eye(4)])
        b = np.concatenate([np.eye(3)[y] - np.eye(3)[y].mean(0), np.zeros((4, 3))])
        wanted = ((t - x.mean(0)) @ np.linalg.lstsq(a, b, rcond=None)[0]).argmax(1)
        np.testing.assert_array_equal(arena.ridge(x, y, t, 3), wanted)

    def test_what_is_bright_and_where_is_found(self):
        generator = np.random.default_rng(2)
        for split in ("train", "test"):
            label = generator.integers(0, 2, 300)
            pictures = generator.integers(0, 200, (300, 16))
            pictures[:, 3] += 40 * label
            write_split(self.data, split, list(pictures), label, task="image", classes=2)
        found = arena.accuracies(self.data)["accuracies"]
        self.assertEqual(list(found), ["constant", "histogram", "nearest_mean", "ridge"])
        self.assertGreater(found["ridge"], found["constant"])
        self.assertGreater(found["nearest_mean"], 0.55)

    def test_pathfinder_floors_see_how_many_pixels_are_lit(self):
        generator = np.random.default_rng(4)
        for split in ("train", "test"):
            label = generator.integers(0, 2, 200)
            pictures = generator.integers(1, 256, (200, 16))
            for picture, one in zip(pictures, label):  # label 1: fewer lit pixels, in nine of ten pictures
                picture[: generator.integers(6, 9) if one == (generator.random() < 0.9) else 4] = 0
            write_split(self.data, split, list(pictures), label, task="pathfinder", classes=2)
        found = arena.accuracies(self.data)["accuracies"]
        self.assertEqual(list(found), ["constant", "lit", "histogram"])
        self.assertTrue(0.8 < found["lit"] < 0.97, found)

    def test_pathfinder_floors_are_a_coin_where_pixels_do_not_depend_on_the_label(self):
        generator = np.random.default_rng(5)
        for split in ("train", "test"):
            write_split(self.data, split, list(generator.integers(0, 2, (2000, 16)) * 90), generator.integers(0, 2, 2000),
                        task="pathfinder", classes=2)
        found = arena.accuracies(self.data)["accuracies"]
        self.assertTrue(0.45 < found["lit"] < 0.55, found)


class ProgramTest(DataTest):
    def script(self, *arguments, status=0):
        done = subprocess.run([sys.executable, "-B", os.path.join(POSTPROC, "floors.py"), *arguments],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def make(self):
        for seed, split in enumerate(("train", "test")):
            one, labels = texts(seed, 40)
            write_split(self.data, split, one, labels, task="imdb", classes=2, kind=np.uint16)

    def test_a_table_and_the_same_as_json(self):
        self.make()
        out = self.script(self.data, "--rows", "30", "--json", self.folder + "/f.json").stdout
        with open(self.folder + "/f.json", encoding="utf-8") as file:
            found = json.load(file)
        self.assertEqual((found["rows"], found["train_rows"], found["task"]), (30, 40, "text"))
        self.assertEqual(list(found["accuracies"]), ["constant", "grams1", "grams2", "grams3", "grams5"])
        self.assertIn(f"| 2-grams | {100 * found['accuracies']['grams2']:.1f} |", out)

    def test_data_sets_without_classes_get_bits(self):
        for split in ("train", "test"):
            write_split(self.data, split, [[1, 2, 3, 1, 2, 3] * 4] * 20, [4] * 20, task="cifar10")
        out = self.script(self.data, "--json", self.folder + "/f.json").stdout
        self.assertIn("uniform    8.0000 bits per token", out)
        with open(self.folder + "/f.json", encoding="utf-8") as file:
            self.assertLess(json.load(file)["order5"], 1)

    def test_what_is_wrong_is_told(self):
        self.assertIn("no split test", self.script(self.data, status=1).stderr)
        self.make()
        write_split(self.data, "train", [[1, 2]], [-1], task="imdb", classes=2)
        self.assertIn("without a class", self.script(self.data, status=1).stderr)

    def test_results_outlive_the_data_set(self):
        self.make()
        path = os.path.join(self.folder, "floors.json")
        found = floors.Floors(path).accuracies(self.data)
        shutil.rmtree(self.data)
        self.assertEqual(floors.Floors(path).accuracies(self.data, digest="ab"), found)
        self.assertIsNone(floors.Floors(path).accuracies(self.data, digest="other"))


class RealDataTest(DataTest):
    """The known figures of the official files, where they are at hand."""

    def members(self, name, wanted):
        """Names and contents of the archive's files that match, sorted by name."""
        path = os.path.join(SHARED, name)
        if not os.path.isfile(path):
            self.skipTest(f"no {name} in WEFT_SHARED_DATA or ../shared/data")
        with tarfile.open(path, "r|gz") as tar:
            return dict(sorted((m.name, tar.extractfile(m).read()) for m in tar if re.search(wanted, m.name)))

    def test_letters_of_imdb_reviews(self):
        files, splits = self.members("aclImdb-labelled-50000.tar.gz", r"/(neg|pos)/.*txt$"), []
        self.assertEqual(len(files), 50000)
        for split in ("/train/", "/test/"):
            mine = [(text.strip()[:256], "/pos/" in name) for name, text in files.items() if split in name]
            splits.append(Rows([np.frombuffer(t, np.uint8) + np.uint16(1) for t, _ in mine], [int(y) for _, y in mine]))
        for n, wanted in ((1, 57.5), (2, 65.3)):
            self.assertAlmostEqual(100 * grams.bayes(*splits, n, n == 1), wanted, delta=0.15)

    def test_grey_pictures_of_cifar10(self):
        splits = []
        for _, text in sorted(self.members("cifar-10-binary.jpeg-subset.tar.gz", "(data_batch_1|test_batch).bin$").items()):
            raw = np.frombuffer(text, np.uint8).reshape(-1, 3073)
            colour = raw[:, 1:].reshape(-1, 3, 1024) / np.float32(255)
            rows = Rows([[0]], raw[:, 0])
            rows.tokens = np.floor(np.tensordot(colour, (0.2989, 0.5870, 0.1140), (1, 0)) * 255.5).astype(np.uint8)
            rows.classes = 10
            splits.append(rows)
        found = arena.image(*splits)
        for name, wanted, within in (("histogram", 21.0, 0.6), ("nearest_mean", 25.2, 0.3), ("ridge", 30.2, 0.3)):
            self.assertAlmostEqual(100 * found[name], wanted, delta=within)


if __name__ == "__main__":
    unittest.main(verbosity=2)
