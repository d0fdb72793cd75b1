"""The naive floors: against plain loops, as probabilities, and kept between calls."""
import collections
import json
import math
import os
import shutil
import unittest

import numpy as np

from scripts import FolderTest
import floors
from made_runs import make_data

WORDS = ["the ", "weaver ", "threads ", "a ", "warp ", "and ", "throws ", "weft ", "shuttle ", "cloth. "]


def text(n, seed=0):
    chosen = np.random.default_rng(seed).choice(WORDS, n)
    return np.frombuffer("".join(chosen).encode()[:n], np.uint8)


def bytes_of(generator, n, below):
    return generator.integers(0, below, n).astype(np.uint8)


def plain_bits(train, test, width, order):
    """The same model in plain loops over dictionaries."""
    def contexts(tokens, i):
        start = 0 if width is None else i // width * width
        before = ([0] * order + list(tokens[start:i]))[-order:] if order else []
        return [tuple(before[order - k:]) for k in range(order + 1)]

    seen = collections.defaultdict(collections.Counter)
    for i, symbol in enumerate(train):
        for context in contexts(train, i):
            seen[context][symbol] += 1
    total = 0.0
    for i, symbol in enumerate(test):
        p = 1 / 256
        for context in contexts(test, i):
            if context in seen:
                n, different = sum(seen[context].values()), len(seen[context])
                p = (seen[context][symbol] + different * p) / (n + different)
        total -= math.log2(p)
    return total / len(test)


class ModelTest(unittest.TestCase):
    def test_equals_the_model_in_plain_loops_for_streams_and_examples_whatever_the_size_of_blocks(self):
        generator = np.random.default_rng(5)
        train, test = bytes_of(generator, 600, 6), bytes_of(generator, 240, 7)
        self.addCleanup(setattr, floors, "BLOCK", floors.BLOCK)
        for width in (None, 24):
            for floors.BLOCK in (48, 1 << 20):
                bits = floors.context_bits(train, test, width)
                self.assertAlmostEqual(bits[5], plain_bits(train, test, width, 5), places=10)
                self.assertAlmostEqual(bits[0], plain_bits(train, test, width, 0), places=10)

    def test_order_zero_is_the_cross_entropy_under_the_smoothed_training_distribution(self):
        train, test = text(5000), text(3000, 1)
        counts = np.bincount(train, minlength=256)
        different = np.count_nonzero(counts)
        p = (counts + different / 256) / (counts.sum() + different)
        self.assertAlmostEqual(floors.context_bits(train, test)[0], float(-np.log2(p[test]).mean()), places=12)

    def test_is_a_probability_distribution_after_known_and_unknown_contexts(self):
        train = text(4000)
        for context in (b"", b"th", b"the w", b"weft ", b"\x00\xff\x01zz", b"a longer context of weft "):
            p = floors.distribution(train, np.frombuffer(context, np.uint8))
            self.assertAlmostEqual(p.sum(), 1, places=12)
            self.assertGreater(p.min(), 0)
        p = floors.distribution(train, np.frombuffer(b"threa", np.uint8))
        self.assertEqual(chr(p.argmax()), "d")

    def test_five_bytes_of_context_beat_none_on_text(self):
        bits = floors.context_bits(text(20000), text(5000, 1))
        self.assertEqual(len(bits), 6)
        self.assertLess(bits[5], bits[0] - 2)

    def test_the_bits_are_those_of_the_distribution_given_the_bytes_before(self):
        train, test = text(4000), text(40, 1)
        p = [floors.distribution(train, test[:i])[test[i]] for i in range(len(test))]
        self.assertAlmostEqual(floors.context_bits(train, test)[5], float(-np.log2(p).mean()), places=12)

    def test_neighbours_know_smooth_images_and_not_noise(self):
        generator = np.random.default_rng(2)
        steps = generator.integers(-2, 3, (40, 16, 3))
        smooth = (128 + np.cumsum(steps, 1)).astype(np.uint8).reshape(-1)
        self.assertLess(floors.neighbour_bits(smooth, smooth, 48), 3.5)
        noise = bytes_of(generator, len(smooth), 256)
        self.assertGreater(floors.neighbour_bits(noise, bytes_of(generator, len(smooth), 256), 48), 7.5)


class FloorsTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.folder, "floors.json")

    def test_are_kept_by_digest_and_outlive_the_data_set(self):
        make_data(self.folder, [text(9000).tobytes()], "train", source_sha256="aa", task="text")
        make_data(self.folder, [text(2000, 1).tobytes(), text(1000, 2).tobytes()], source_sha256="aa", task="text")
        data = os.path.join(self.folder, "data")
        found = floors.Floors(self.path).of(data)
        self.assertEqual(found["bytes"], 3000)
        self.assertLess(found["order5"], found["marginal"])
        self.assertLess(found["marginal"], 8)
        self.assertNotIn("neighbour", found)
        part = floors.Floors(self.path).of(data, limit=512)
        self.assertEqual((part["bytes"], part["of_bytes"]), (512, 3000))
        measure, floors.measure = floors.measure, None  # nothing is measured again
        self.addCleanup(setattr, floors, "measure", measure)
        self.assertEqual(floors.Floors(self.path).of(data), found)
        shutil.rmtree(data)
        self.assertEqual(floors.Floors(self.path).of(data, digest="aa"), found)
        self.assertEqual(floors.Floors(self.path).of(data, limit=512, digest="aa"), part)
        self.assertIsNone(floors.Floors(self.path).of(data, digest="bb"))

    def test_of_images_are_on_whole_images_and_know_the_left_neighbour(self):
        images = np.random.default_rng(1).integers(0, 256, (6, 48), dtype=np.uint8)
        for split in ("train", "test"):
            make_data(self.folder, [images], split, source_sha256="cc", task="images")
        found = floors.Floors(self.path, most=100).of(os.path.join(self.folder, "data"))
        self.assertEqual(found["bytes"], 96)
        self.assertIn("neighbour", found)
        with open(self.path, encoding="utf-8") as f:
            self.assertEqual(list(json.load(f)), ["cc/test/all"])

    def test_a_data_set_without_training_split_has_none(self):
        make_data(self.folder, [b"only a test split"])
        self.assertIsNone(floors.Floors(self.path).of(os.path.join(self.folder, "data")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
