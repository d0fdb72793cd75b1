"""weft generate and weft prepare listops | imdb as a user types them: statuses, what is printed, what h5py sees."""
import os
import sys
import tarfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run

SMALL = ["--max-depth", "5", "--max-arguments", "5", "--min-length", "10", "--max-length", "200", "--examples",
         "200,30,40"]


def shard(folder, split="train"):
    with h5py.File(f"{folder}/{split}-00000-of-00001.h5", "r") as file:
        return {name: file[name][()] for name in file}, dict(file.attrs)


class GenerateTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.set = f"{self.folder}/set"

    def test_listops_has_the_contract_of_a_labelled_data_set(self):
        done = run(["generate", "listops", "--to", self.set, *SMALL, "--seed", "5"])
        self.assertIn("vocabulary of 17: <pad> 0 1 2", done.stdout)
        self.assertRegex(done.stdout, r"\(SHA-256 [0-9a-f]{16}\)")
        arrays, attributes = shard(self.set)
        self.assertEqual(arrays["tokens"].dtype, np.uint8)
        self.assertEqual(arrays["tokens"].shape, (200, 200))
        for name, value in {"task": "listops", "vocabulary": 17, "classes": 10, "split": "train", "examples": 200,
                            "format_version": 1}.items():
            self.assertEqual(attributes[name], value)
        self.assertEqual(attributes["symbols"].split()[15], "]")
        lengths = np.count_nonzero(arrays["tokens"], axis=1)
        np.testing.assert_array_equal(lengths, arrays["length"])
        self.assertTrue(np.all((lengths > 10) & (lengths < 200)))
        self.assertTrue(np.all((arrays["label"] >= 0) & (arrays["label"] < 10)))

    def test_the_tsv_files_prepare_to_the_very_same_data(self):
        for kind in ("arena", "2018"):
            made, tsv = f"{self.folder}/{kind}", f"{self.folder}/tsv-{kind}"
            run(["generate", "listops", "--to", made, "--kind", kind, *SMALL, "--tsv", tsv])
            done = run(["prepare", "listops", "--from", tsv, "--to", made, "--length", "200"])
            self.assertIn("the very same data already", done.stdout)
        with open(f"{self.folder}/tsv-arena/basic_train.tsv", newline="") as file:
            self.assertEqual(file.readline(), "Source\tTarget\r\n")
            self.assertRegex(file.readline(), r"^\( .* \)\t[0-9]\r\n$")
        with open(f"{self.folder}/tsv-2018/train_d20s.tsv", newline="") as file:
            self.assertRegex(file.readline(), r"^[0-9]\t.*[^\r]\n$")

    def test_the_kind_of_2018_has_its_own_limits(self):
        run(["generate", "listops", "--kind", "2018", "--to", self.set, "--examples", "2000,10,10"])
        arrays, _ = shard(self.set)
        self.assertEqual(arrays["tokens"].shape[1], 2000)
        self.assertLess(np.median(arrays["length"]), 60)  # published: 16 of the test file's, digits alone left out
        self.assertGreater(arrays["length"].max(), 200)
        done = run(["generate", "listops", "--kind", "2018", "--to", f"{self.folder}/none", "--max-depth", "1",
                    "--examples", "11,1,1"], status=2)
        self.assertIn("no new expression after 10 of 11 in train", done.stderr)

    def test_copy_repeats_its_word_and_says_what_is_scored(self):
        run(["generate", "copy", "--to", self.set, "--length", "32", "--examples", "50,10,10"])
        arrays, attributes = shard(self.set)
        np.testing.assert_array_equal(arrays["tokens"][:, :16], arrays["tokens"][:, 16:])
        self.assertTrue(np.all(arrays["tokens"][:, 0] == 0))
        self.assertTrue(np.all((arrays["tokens"][:, 1:16] >= 1) & (arrays["tokens"][:, 1:16] <= 127)))
        self.assertEqual(attributes["vocabulary"], 128)
        self.assertEqual(attributes["scored_first"], 17)
        self.assertNotIn("classes", attributes)
        valid, _ = shard(self.set, "valid")
        self.assertFalse(np.array_equal(valid["tokens"], arrays["tokens"][:10]))
        done = run(["generate", "copy", "--to", f"{self.folder}/same", "--length", "32", "--examples", "50,10,10",
                    "--same-rows"])
        self.assertIn("REPEAT THE FIRST ROWS OF TRAIN", done.stdout)
        valid, _ = shard(f"{self.folder}/same", "valid")
        np.testing.assert_array_equal(valid["tokens"], arrays["tokens"][:10])

    def test_pairs_are_two_uint16_sequences(self):
        generator = np.random.default_rng(1)
        os.mkdir(f"{self.folder}/texts")
        for i in range(40):
            with open(f"{self.folder}/texts/{i}.txt", "wb") as file:
                file.write(generator.integers(33, 127, 100).astype(np.uint8).tobytes())
        run(["generate", "pairs", "--from", f"{self.folder}/texts", "--to", self.set, "--length", "40"])
        arrays, attributes = shard(self.set)
        self.assertEqual(arrays["tokens2"].dtype, np.uint16)
        self.assertEqual(arrays["tokens2"].shape, (32, 40))
        self.assertEqual((attributes["classes"], attributes["vocabulary"], attributes["task"]), (2, 257, "pairs"))
        self.assertEqual(set(arrays["label"]), {0, 1})
        self.assertTrue(np.all(arrays["length2"] == 40))

    def test_pairs_are_of_the_files_with_the_ending_asked_for(self):
        os.mkdir(f"{self.folder}/texts")
        for i in range(40):
            for ending, byte in (("txt", b"a"), ("md", b"b")):
                with open(f"{self.folder}/texts/{i}.{ending}", "wb") as file:
                    file.write(byte * (90 + i))
        for ending, byte in ((".txt", b"a"), (".md", b"b")):
            to = self.folder + "/pairs" + ending
            run(["generate", "pairs", "--from", f"{self.folder}/texts", "--ending", ending, "--to", to, "--length", "40"])
            for split in ("train", "valid", "test"):
                arrays, _ = shard(to, split)
                self.assertEqual(set(np.unique(arrays["tokens"])) | set(np.unique(arrays["tokens2"])), {byte[0] + 1})
        done = run(["generate", "pairs", "--from", f"{self.folder}/texts", "--ending", ".rst", "--to", self.set], status=4)
        self.assertFalse(os.path.exists(self.set))
        self.assertIn("at least 20 are needed", done.stderr)

    def test_imdb_comes_out_of_its_archive(self):
        with tarfile.open(f"{self.folder}/aclImdb.tar.gz", "w:gz") as archive:
            for split in ("train", "test"):
                for label in ("neg", "pos"):
                    path = f"{self.folder}/review"
                    with open(path, "w") as file:
                        file.write(f"{split} {label}")
                    archive.add(path, f"aclImdb/{split}/{label}/0_1.txt")
        arguments = ["prepare", "imdb", "--from", f"{self.folder}/aclImdb.tar.gz", "--to", self.set, "--length", "64"]
        done = run(arguments, status=4)
        self.assertIn("is not the whole of IMDb", done.stderr)
        self.assertFalse(os.path.exists(self.set))
        done = run([*arguments, "--allow-partial"])
        self.assertIn("THE VALID SPLIT IS THE TEST SPLIT", done.stdout)
        arrays, attributes = shard(self.set)
        texts = {bytes((row[:n] - 1).astype(np.uint8)): label
                 for row, n, label in zip(arrays["tokens"], arrays["length"], arrays["label"])}
        self.assertEqual(texts, {b"train neg": 0, b"train pos": 1})
        self.assertEqual(attributes["classes"], 2)

    def test_wrong_words_are_input_errors_and_leave_nothing(self):
        before = sorted(os.listdir(self.folder))
        for arguments in (["generate"], ["generate", "listop", "--to", self.set], ["generate", "listops"],
                          ["generate", "listops", "--to", self.set, "--examples", "5,5"],
                          ["generate", "listops", "--to", self.set, "--examples", "5,5,0"],
                          ["generate", "listops", "--to", self.set, "--tokens", "bpe"],
                          ["generate", "listops", "--to", self.set, "--min-length", "500", "--max-length", "400"],
                          ["generate", "copy", "--to", self.set, "--length", "33"],
                          ["generate", "copy", "--to", self.folder],
                          ["generate", "pairs", "--to", self.set],
                          ["prepare", "listops", "--from", self.folder + "/text.txt"]):
            with self.subTest(arguments=arguments):
                done = run(arguments, status=2)
                self.assertIn("error", done.stderr)
        done = run(["generate", "pairs", "--from", self.folder + "/text.txt", "--to", self.set], status=4)
        self.assertIn("at least 20 are needed", done.stderr)
        done = run(["prepare", "listops", "--from", self.folder + "/text.txt", "--to", self.set], status=4)
        self.assertIn("expected basic_train.tsv", done.stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), before)


if __name__ == "__main__":
    main()
