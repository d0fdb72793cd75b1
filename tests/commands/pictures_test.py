"""Promise: weft prepare image | pathfinder | aan and weft generate pathfinder do what a user types, as h5py sees it."""
import hashlib
import os
import shutil
import sys
import tempfile
import unittest

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import programs


def real_subset():
    for folder in (os.environ.get("WEFT_SHARED_DATA", ""), os.environ.get("WEFT_SOURCE", ".") + "/../shared/data"):
        path = folder + "/cifar-10-binary.jpeg-subset.tar.gz"
        if os.path.exists(path):
            return path
    return None


class PicturesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def split(self, name, split):
        with h5py.File(f"{self.folder}/{name}/{split}-00000-of-00001.h5") as file:
            return {key: file[key][:] for key in file}, dict(file.attrs)

    def test_generated_pictures_read_back_to_the_same_bits(self):
        made = ["generate", "pathfinder", "--size", "16", "--examples", "16,2,2", "--seed", "3"]
        out = programs.run([*made, "--to", f"{self.folder}/set", "--png", f"{self.folder}/raw"]).stdout
        self.assertIn("20 drawn pictures of 16 x 16 pixels", out)
        data, attributes = self.split("set", "train")
        self.assertEqual(data["tokens"].shape, (16, 256))
        self.assertEqual(data["tokens"].dtype, np.uint8)
        self.assertEqual((attributes["task"], attributes["classes"], attributes["vocabulary"]), ("pathfinder", 2, 256))
        self.assertEqual(set(data["label"]), {0, 1})
        again = programs.run(["prepare", "pathfinder", f"{self.folder}/raw", "--to", f"{self.folder}/set", "--size", "16",
                              "--difficulty", "curv_contour_length_5"]).stdout
        self.assertIn("the very same data already", again)
        self.assertIn("label check", again)
        # Another run, on any number of threads, changes nothing; another seed does.
        programs.run([*made, "--to", f"{self.folder}/set"], threads=3)
        refused = programs.run([*made[:-1], "4", "--to", f"{self.folder}/set"], status=2)
        self.assertIn("another data set", refused.stderr)

    def test_wrong_requests_write_nothing(self):
        for words, status, part in (
                (["generate", "pathfinder", "--size", "20"], 2, "--size 20"),
                (["generate", "pathfinder", "--size", "16", "--contour", "50"], 2, "a smaller --contour"),
                (["generate", "pathfinder", "--examples", "1,2"], 2, "--examples"),
                (["prepare", "pathfinder", self.folder], 4, "holds no files of pathfinder32"),
                (["prepare", "pathfinder", self.folder + "/none"], 4, "there is no file"),
                (["prepare", "aan", self.folder], 4, "AAN is not in this archive or folder"),
                (["prepare", "image", self.folder], 4, "holds no batch of CIFAR-10"),
                (["prepare", "image", self.folder, "--size", "31"], 2, "--size 31")):
            done = programs.run([*words, "--to", f"{self.folder}/set"], status=status)
            self.assertIn(part, done.stderr)
            self.assertEqual(os.listdir(self.folder), [])

    def test_grey_pictures_are_the_formula_in_numpy(self):
        raw = self.folder + "/cifar-10-batches-bin"
        os.mkdir(raw)
        records = np.random.default_rng(1).integers(0, 256, (30, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        records.tofile(raw + "/data_batch_1.bin")
        records[:4].tofile(raw + "/test_batch.bin")
        programs.run(["prepare", "image", self.folder, "--to", f"{self.folder}/set", "--allow-partial"])
        data, attributes = self.split("set", "test")
        planes = records[:4, 1:].reshape(4, 3, 1024).astype(np.float32) / np.float32(255)
        red, green, blue = planes[:, 0], planes[:, 1], planes[:, 2]
        grey = np.float32(0.2989) * red + np.float32(0.5870) * green + np.float32(0.1140) * blue
        np.testing.assert_array_equal(data["tokens"], (grey * np.float32(255.5)).astype(np.uint8))
        np.testing.assert_array_equal(data["label"], records[:4, 0])
        self.assertEqual(attributes["classes"], 10)
        every = np.concatenate([records, records[:4]])
        turned = np.concatenate([every[:, :1], every[:, 1:].reshape(34, 3, 1024).transpose(0, 2, 1).reshape(34, 3072)], 1)
        self.assertEqual(attributes["source_sha256"], hashlib.sha256(turned.tobytes()).hexdigest())

    def test_the_real_subset(self):
        path = real_subset()
        if path is None:
            self.skipTest("no cifar-10-binary.jpeg-subset.tar.gz in WEFT_SHARED_DATA or ../shared/data")
        out = programs.run(["prepare", "image", path, "--to", f"{self.folder}/set", "--allow-partial", "--size", "16"]).stdout
        self.assertIn("9000 images", out)
        train, _ = self.split("set", "train")
        test, _ = self.split("set", "test")
        # Nearest class mean: well above chance, as on photographs.
        means = np.stack([train["tokens"][train["label"] == c].mean(0) for c in range(10)])
        guess = ((test["tokens"][:, None].astype(float) - means) ** 2).sum(2).argmin(1)
        self.assertGreater((guess == test["label"]).mean(), 0.2)


if __name__ == "__main__":
    programs.main()
