"""weft sample as a user meets it: the same samples on any number of ranks, given parts kept, mistakes told."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import h5py
import numpy as np
from matplotlib import image as pictures

from programs import WEFT, ProgramTest, main, run

HEIGHT, WIDTH = 6, 5


class TextTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.train("run")
        self.run_path = self.run_folder("run")

    def sample(self, *options, name="out", **how):
        path = f"{self.folder}/{name}.bytes"
        done = run(["sample", self.run_path, *options, "--bytes", path], **how)
        with open(path, "rb") as file:
            return file.read(), done

    def test_samples_do_not_depend_on_ranks_groups_or_threads(self):
        options = ("--samples", "5", "--seed", "3", "--prompt", "the cat ")
        one, first = self.sample(*options)
        self.assertEqual(len(one), 5 * 64)
        self.assertEqual(len({one[n * 64:(n + 1) * 64] for n in range(5)}), 5)
        for ranks in (2, 3):
            many, done = self.sample(*options, ranks=ranks)
            self.assertEqual(one, many)
            self.assertEqual(first.stdout, done.stdout)
        self.assertEqual(one, self.sample(*options, "--at-once", "2")[0])
        self.assertEqual(one, self.sample(*options, threads=2)[0])
        self.assertNotEqual(one, self.sample(*options[:2], "--seed", "4", *options[4:])[0])
        self.assertEqual(one[:64], self.sample("--seed", "3", "--prompt", "the cat ")[0])

    def test_the_prompt_is_kept_and_one_sample_is_just_its_bytes(self):
        prompt = bytes([0, 200, 10, 255]) + b"warp and weft"
        with open(self.folder + "/prompt", "wb") as file:
            file.write(prompt)
        data, _ = self.sample("--prompt-file", self.folder + "/prompt", "--length", "20", "--samples", "3")
        for n in range(3):
            self.assertEqual(data[n * 37:(n + 1) * 37][:17], prompt)
        greedy, _ = self.sample("--prompt", "the ", "--temperature", "0", "--length", "30")
        free, _ = self.sample("--seed", "5")
        for options, bytes_ in ((("--prompt", "the ", "--temperature", "0", "--length", "30"), greedy), (("--seed", "5"), free)):
            self.assertEqual(subprocess.run([WEFT, "sample", self.run_path, *options], capture_output=True, timeout=60).stdout, bytes_)
        self.assertEqual(greedy, self.sample("--prompt", "the ", "--top-k", "1", "--length", "30", "--seed", "9")[0])

    def test_figures_and_separators(self):
        path = self.folder + "/figures.json"
        _, done = self.sample("--samples", "2", "--time", "--json", path)
        self.assertIn("tokens/s", done.stderr)
        self.assertEqual(done.stdout.count("======== sample"), 2)
        with open(path) as file:
            figures = json.load(file)
        self.assertEqual((figures["samples"], figures["length"], figures["given"]), (2, 64, 0))
        self.assertGreater(figures["tokens_per_second"], 0)
        # Blocks of 16, 4 summary columns of every earlier block: 8.5 + 4 (0 + 1 + 2 + 3) / 4.
        self.assertAlmostEqual(figures["keys_per_token_and_head"], 8.5 + 6)

    def test_bf16_and_fp16_sample(self):
        for precision in ("bf16", "fp16"):
            self.train(precision, f"run.precision={precision}")
            self.run_path = self.run_folder(precision)
            self.assertEqual(self.sample("--samples", "3")[0], self.sample("--samples", "3", ranks=2)[0])

    def test_mega_keeps_averages_over_its_chunks(self):
        self.train("mega", "model.family='mega'", "model.heads=1", "attention.pattern='chunk'",
                   "attention.stride=16", "attention.summary=32")
        self.run_path = self.run_folder("mega")
        one, _ = self.sample("--samples", "3", "--prompt", "the cat ")
        self.assertEqual(len(one), 3 * 64)
        self.assertEqual(one, self.sample("--samples", "3", "--prompt", "the cat ", "--at-once", "1", ranks=2)[0])

    def test_mistakes_are_told_with_status_2(self):
        with open(self.folder + "/long", "w") as file:
            file.write("x" * 64)
        for options, part in ((("--temperature", "-1"), "--temperature"), (("--top-p", "0"), "(0, 1]"), (("--top-p", "1.5"), "(0, 1]"),
                              (("--top-k", "300"), "model.vocabulary"), (("--samples", "0"), "--samples"),
                              (("--length", "65"), "model.context"), (("--length", "0"), "--length"), (("--seed", "-1"), "--seed"),
                              (("--prompt-file", self.folder + "/long"), "at most 63"), (("--prompt-file", "/nowhere"), "/nowhere"),
                              (("--prompt", "a", "--prompt-file", "b"), "one of them"), (("--png", "a.png"), "--image"),
                              (("--image", "8", "--png", "a.png"), "HEIGHTxWIDTH"), (("--image", "9x9", "--png", "a.png"), "243 bytes"),
                              (("--length", "-1"), "--length"), (("--columns", "2"), "--png"), (("--scale", "2"), "--png"),
                              (("--split", "test"), "--prompt-example"), (("--prompt-rows", "2"), "--image"), (("--at-once", "0"), "--at-once"),
                              (("--temprature", "1"), "did you mean --temperature"), (("model.layers=3",), "another model")):
            done = run(["sample", self.run_path, *options], status=2)
            self.assertIn(part, done.stderr, options)
            self.assertEqual(done.stdout, "", options)
            self.assertEqual(done.stderr.count("weft: error"), 1)
        run(["sample", self.folder + "/nothing"], status=2)
        os.makedirs(self.folder + "/empty")
        run(["sample", self.folder + "/empty"], status=4)
        shard = f"{self.folder}/data/train-00000-of-00001.h5"
        for command in ("sample", "inspect"):
            self.assertIn("a shard of a data set", run([command, shard], status=4).stderr)


class PictureTest(ProgramTest):
    def setUp(self):
        super().setUp()
        os.makedirs(self.folder + "/pictures")
        generator = np.random.default_rng(4)
        self.rows = {}
        for split in ("train", "valid", "test"):
            tokens = generator.integers(0, 256, (8, HEIGHT * WIDTH * 3), dtype=np.uint8)
            self.rows[split] = tokens.reshape(8, HEIGHT, WIDTH, 3)
            with h5py.File(f"{self.folder}/pictures/{split}-00000-of-00001.h5", "w") as file:
                file["tokens"] = tokens
                file["length"] = np.full(8, tokens.shape[1], np.int32)
                file["label"] = np.zeros(8, np.int32)
                for name, value in (("task", "pictures"), ("split", split), ("source_sha256", "0" * 64)):
                    file.attrs[name] = value
                for name, value in (("vocabulary", 256), ("shard", 0), ("shards", 1), ("examples", 8), ("format_version", 1)):
                    file.attrs[name] = np.int64(value)
        self.train("run", f"data.path={self.folder}/pictures", f"model.context={HEIGHT * WIDTH * 3}",
                   f"model.position_shape=[{HEIGHT},{WIDTH},3]", "attention.pattern=strided", "attention.stride=15")
        self.run_path = self.run_folder("run")

    def sample(self, *options, **how):
        png, path = self.folder + "/grid.png", self.folder + "/out.bytes"
        run(["sample", self.run_path, "--png", png, "--bytes", path, *options], **how)
        with open(path, "rb") as file:
            return np.frombuffer(file.read(), np.uint8).reshape(-1, HEIGHT, WIDTH, 3), (pictures.imread(png) * 255 + 0.5).astype(np.uint8)

    def cell(self, grid, row, column, given, scale=1, line=1):
        """The picture of a cell of the grid, without the line that marks the given rows; and that line."""
        margin, line = 2, line if given else 0
        top = margin + row * (HEIGHT * scale + line + margin)
        left = margin + column * (WIDTH * scale + margin)
        cell = grid[top:top + HEIGHT * scale + line, left:left + WIDTH * scale, :3]
        cut = given * scale
        return np.concatenate([cell[:cut], cell[cut + line:]])[::scale, ::scale], cell[cut:cut + line]

    def test_completions_keep_the_given_rows_and_mark_them(self):
        made, grid = self.sample("--prompt-rows", "4", "--prompt-example", "2,5", "--samples", "3", "--scale", "1")
        self.assertEqual(made.shape[0], 6)
        for n in range(6):
            np.testing.assert_array_equal(made[n, :4], self.rows["test"][(2, 5)[n // 3], :4])
            self.assertFalse(np.array_equal(made[n, 4:], self.rows["test"][(2, 5)[n // 3], 4:]))
            shown, line = self.cell(grid, n // 3, n % 3, 4)
            np.testing.assert_array_equal(shown, made[n])
            self.assertTrue(np.all(line == (230, 30, 30)))
        self.assertFalse(np.array_equal(made[0, 4:], made[1, 4:]))

    def test_ranks_change_nothing(self):
        options = ("--prompt-rows", "2", "--prompt-example", "1", "--samples", "5", "--split", "valid")
        one, grid = self.sample(*options)
        for ranks in (2, 3):
            many, same = self.sample(*options, ranks=ranks)
            np.testing.assert_array_equal(one, many)
            np.testing.assert_array_equal(grid, same)

    def test_rows_of_a_png_and_pictures_from_nothing(self):
        free, grid = self.sample("--samples", "4", "--scale", "3")
        for n in range(4):
            np.testing.assert_array_equal(self.cell(grid, n // 2, n % 2, 0, scale=3)[0], free[n])
        pictures.imsave(self.folder + "/given.png", self.rows["train"][0])
        made, _ = self.sample("--prompt-png", self.folder + "/given.png", "--prompt-rows", "3")
        np.testing.assert_array_equal(made[0, :3], self.rows["train"][0, :3])

    def test_mistakes_are_told_with_status_2(self):
        png = ("--png", self.folder + "/no.png")
        wide = self.folder + "/wide.png"
        pictures.imsave(wide, np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
        for options, part in (((), "--png"), ((*png, "--prompt", "x"), "--prompt-rows"), ((*png, "--length", "5"), "--length"),
                              ((*png, "--prompt-rows", "6", "--prompt-example", "0"), "0 to 5"), ((*png, "--prompt-rows", "1"), "--prompt-example"),
                              ((*png, "--prompt-example", "0"), "--prompt-rows"), ((*png, "--prompt-rows", "1", "--prompt-example", "8"), "0 to 7"),
                              ((*png, "--prompt-rows", "1", "--prompt-png", wide), "width of 5"), ((*png, "--image", "7x5"), "model.context")):
            done = run(["sample", self.run_path, *options], status=2)
            self.assertIn(part, done.stderr, options)
        self.assertFalse(os.path.exists(self.folder + "/no.png"))


if __name__ == "__main__":
    main()
