"""`weft pattern RUN`: what the queries of a row saw in attention over hash buckets, recomputed from the buckets in NumPy by the
rules of docs/attention.md; that the drawn sets are those of the forward pass itself, peers.reformer checks."""
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import RUN, write_input, write_split  # noqa: E402
from programs import FolderTest, main, run, train_copy  # noqa: E402

COPY = RUN + """task = "copy"
[model]
family = "reformer"
stream = "reversible"
positions = "learned"
layers = 2
width = 32
heads = 2
context = 60
vocabulary = 16
[attention]
pattern = "lsh"
rounds = 2
chunk = 8
[training]
steps = 2
batch = 8
micro_batch = 4
[log]
tensorboard = false
"""


def table(path):
    with open(path, encoding="ascii") as file:
        rows = [[int(x) for x in line.split(",")] for line in file]
    assert [row[0] for row in rows] == list(range(len(rows)))
    return [row[1:] for row in rows]


def seen(buckets, m, causal=True, real=None, other_buckets=False, duplicates=False, cyclic=True, self_seen=False, mean=False):
    """Of each query the keys it sees, and how often they count. buckets: (N, R); real: (N), None: all."""
    N, R = buckets.shape
    real = np.ones(N, bool) if real is None else real
    order = [np.argsort(buckets[:, r], kind="stable") for r in range(R)]
    chunk = [np.empty(N, int) for _ in range(R)]
    for r in range(R):
        chunk[r][order[r]] = np.arange(N) // m
    last = (real.sum() - 1) // m
    keys, times = [], 0
    for i in range(N):
        lists = []
        for r in range(R):
            met = [("own", j) for j in np.flatnonzero(chunk[r] == chunk[r][i])]
            if chunk[r][i] > 0:
                met += [(r, j) for j in np.flatnonzero(chunk[r] == chunk[r][i] - 1)]
            elif cyclic:
                before = (r - 1) % R
                if other_buckets or before == r:
                    met += [(before, j) for j in np.flatnonzero(chunk[before] == last)]
            lists.append([j for _, j in met if real[j] and (j <= i or not causal) and (j != i or self_seen)
                          and (other_buckets or buckets[i, r] == buckets[j, r])])
        if not mean:
            lists = [sum(lists, [])]
        if not duplicates:
            lists = [sorted(set(one)) for one in lists]
        if not self_seen and real[i]:
            lists = [one or [i] for one in lists]
        keys.append(sorted({int(j) for one in lists for j in one}))
        times += sum(len(one) for one in lists)
    return keys, times


class Folder(FolderTest):
    def pattern(self, what, *arguments):
        """What is printed, the keys, the buckets (N, R)."""
        keys, buckets = self.folder + "/keys.csv", self.folder + "/buckets.csv"
        done = run(["pattern", what, *arguments, "--csv", keys, "--buckets", buckets])
        return done.stdout, table(keys), np.array(table(buckets))

    def figure(self, printed, name):
        line = next(line for line in printed.splitlines() if line.strip().startswith(name + "  "))
        return line.strip()[len(name):].strip()

    def compare(self, found, expected, causal=True):
        printed, keys, _ = found
        self.assertEqual(keys, expected[0])
        N, count = len(keys), sum(len(row) for row in keys)
        self.assertEqual(self.figure(printed, "keys"), f"{count:,}")
        self.assertEqual(self.figure(printed, "keys per query"), f"{count / N:.1f}")
        if causal:
            self.assertEqual(self.figure(printed, "share of causal"), f"{100 * count / (N * (N + 1) / 2):.3f} %")
        else:
            self.assertNotIn("share of causal", printed)
        if expected[1] > count:
            self.assertEqual(self.figure(printed, "counted again"), f"{expected[1] - count:,}")
        else:
            self.assertNotIn("counted again", printed)
        alone = sum(row == [i] for i, row in enumerate(keys))
        self.assertEqual(self.figure(printed, "queries with no key but their own"), str(alone))


class Copy(Folder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trained = train_copy(cls.folder, COPY, "16,5,6", 60)

    def test_the_keys_follow_from_the_buckets(self):
        for settings, rules in (
                ([], {}),
                (["attention.rounds=1", "attention.buckets=[2]"], {}),
                (["attention.rounds=3", "attention.chunk=7"], {"m": 7}),  # a last chunk that is short
                (["attention.look_back=straight"], {"cyclic": False}),
                (["attention.self=seen"], {"self_seen": True}),
                (["attention.other_buckets=true"], {"other_buckets": True}),
                (["attention.duplicates=true"], {"duplicates": True}),
                (["attention.join=mean", "attention.rounds=4"], {"mean": True}),
                (["attention.pattern=dense", "attention.shared_qk=true"], {"m": 60, "cyclic": False})):
            with self.subTest(settings=settings):
                found = self.pattern(self.trained, *settings, "--split", "valid", "--row", "4", "--layer", "1", "--head", "1")
                self.compare(found, seen(found[2], **{"m": 8, **rules}))

    def test_rows_layers_and_heads_fall_into_buckets_of_their_own(self):
        valid = ["--split", "valid"]
        one = self.pattern(self.trained, *valid, "--row", "1")[2]
        for other in (valid + ["--row", "2"], valid + ["--row", "1", "--head", "1"], valid + ["--row", "1", "--layer", "1"],
                      ["--split", "train", "--row", "1"], valid + ["--row", "1", "run.seed=5"]):
            self.assertFalse(np.array_equal(one, self.pattern(self.trained, *other)[2]), other)
        checkpoint = self.trained + "/checkpoints/step-00000002.h5"
        for same in ([self.trained], [checkpoint], [checkpoint, "training.micro_batch=2"]):
            np.testing.assert_array_equal(one, self.pattern(same[0], *same[1:], "--split", "valid", "--row", "1")[2])

    def test_drawn_in_letters_and_as_a_picture(self):
        printed, keys, buckets = self.pattern(self.trained, "--png", self.folder + "/keys.png")
        for i, row in enumerate(keys):
            self.assertIn(f"\n  {i:>4} " + "".join("#" if j in row else "." for j in range(i + 1)) + "\n", printed)
        with open(self.folder + "/keys.png", "rb") as file:
            begin = file.read(24)
        self.assertEqual(begin[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", begin[16:]), (60 * 12 + 1, 60 * 12 + 1))
        for r in (0, 1):
            sizes = np.bincount(buckets[:, r])
            self.assertEqual(self.figure(printed, f"buckets of round {r}"),
                             f"{np.count_nonzero(sizes)} of 14, the largest with {sizes.max()} positions")

    def refused(self, *arguments, what=None, status=2):
        return run(["pattern", what or self.trained, *arguments], status=status).stderr

    def test_wrong_input(self):
        self.assertIn("--row: got 5, expected 0 to 4: the valid split", self.refused("--split", "valid", "--row", "5"))
        self.assertIn("--row: got -1, expected 0 to 5", self.refused("--row", "-1"))
        self.assertIn("--layer: got 2, expected 0 to 1", self.refused("--layer", "2"))
        self.assertIn("--head: got 2, expected 0 to 1", self.refused("--head", "2"))
        self.assertIn("--document: got 1, expected 0 ", self.refused("--document", "1"))
        self.assertIn("no split", self.refused("data.path=" + self.folder, status=4))
        self.assertIn("no softmax over a set of keys", self.refused("attention.pattern=linear"))
        self.assertIn("cannot read", self.refused(what=self.trained + "/nothing"))
        self.assertIn("is a folder of runs", self.refused(what=self.folder + "/runs", status=4))
        self.assertIn("weft pattern RUN", self.refused(what=self.folder + "/input.toml"))
        self.assertIn("--row: got " + self.folder + "/input.toml", self.refused("--row", "1", what=self.folder + "/input.toml"))

    def test_a_run_with_sets_that_never_change_says_where_they_are_shown(self):
        run(["train", self.folder + "/input.toml", "run.name=sets", "attention.pattern=dense"])
        error = self.refused(what=self.folder + "/runs/sets")
        where = "weft pattern " + self.folder + "/runs/sets/config.toml"
        self.assertIn(where, error)
        self.assertIn("share of causal", run(where.split()[1:]).stdout)


class Padded(Folder):
    def train(self, name, *overrides):
        write_input(self.folder + "/input.toml", self.folder, 70, 20)
        run(["train", self.folder + "/input.toml", "run.name=" + name, "attention.pattern=lsh", "training.steps=1",
             "schedule.warmup_steps=0", "training.batch=4", "training.micro_batch=4", *overrides])
        return self.folder + "/runs/" + name

    def test_a_classifier_sees_no_padding(self):
        random = np.random.default_rng(1)
        lengths = np.array([9, 70, 30, 1])
        for split in ("train", "valid", "test"):
            write_split(self.folder + "/data", split, 20, random.integers(1, 20, (4, 70)), lengths, np.arange(4) % 3, 3)
        trained = self.train("classify", "attention.rounds=2", "attention.chunk=6")
        for row, length in enumerate(lengths):
            found = self.pattern(trained, "--row", str(row))
            real = np.arange(len(found[1])) <= length  # the CLS vector stands in front
            self.assertEqual(self.figure(found[0], "positions"),
                             f"{len(real)}" + ("" if real.all() else f", {length + 1} real"))
            self.compare(found, seen(found[2], 6, causal=False, real=real), causal=False)
        released = self.train("released", "attention.form=lra")
        found = self.pattern(released, "--row", "2")
        self.assertEqual(len(found[1]), 80)  # the released code pads to a multiple of ten, and sees the padding
        self.compare(found, seen(found[2], 8, causal=False, other_buckets=True, duplicates=True, self_seen=True), causal=False)

    def test_the_two_documents_of_a_pair(self):
        random = np.random.default_rng(2)
        lengths = np.array([[12, 70, 31, 5], [70, 8, 9, 33]])
        for split in ("train", "valid", "test"):
            write_split(self.folder + "/data2", split, 20, [random.integers(1, 20, (4, 70)) for _ in range(2)], list(lengths),
                        np.arange(4) % 2, 2)
        trained = self.train("pairs", "data.task=pairs", "data.path=" + self.folder + "/data2", "attention.chunk=6")
        for document in (0, 1):
            found = self.pattern(trained, "--row", "2", "--document", str(document))
            real = np.arange(len(found[1])) < lengths[document][2]
            self.compare(found, seen(found[2], 6, causal=False, real=real), causal=False)


del Folder

if __name__ == "__main__":
    main()
