"""A classifier of padded sequences, with dropout in rows and attention weights: the same bits on any number of ranks and
through a stop."""
import os
import shutil
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from examples import write_input, write_split  # noqa: E402
from programs import ProgramTest, main, run  # noqa: E402

LENGTH, SYMBOLS, CLASSES = 150, 20, 3  # two tiles of 64 and a part: micro-batches have two lengths
DROPOUT = ("model.dropout=0.2", "attention.dropout=0.1", "model.layers=2", "training.steps=12", "training.batch=6",
           "training.micro_batch=1", "checkpoint.every_steps=5", "evaluation.every_steps=6", "log.every_steps=1")
# Every other model: its pattern, the keys of both forms, those of the paper's form alone. 10 divides the rows' length.
MODELS = (("local", ("attention.stride=16",), ()),
          ("sparse", ("attention.stride=16", "attention.summary=4"), ()),
          ("longformer", ("attention.window=16",), ("attention.global=2",)),
          ("bigbird", ("attention.stride=8", "attention.random=1"), ("attention.dropout=0.1",)),
          ("linformer", ("attention.projected=16", "attention.dropout=0.1"), ("attention.sharing='headwise'",)),
          ("synthesizer", ("attention.dot_product=true", "attention.dropout=0.1"), ("attention.mixture=true",)),
          ("lsh", (), ("attention.chunk=16", "attention.dropout=0.1")),
          ("sinkhorn", ("attention.stride=10", "attention.dropout=0.1"), ()),
          ("linear", (), ()),
          ("performer", (), ("attention.redraw_steps=2",)))


class ArenaRanksTest(ProgramTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        random = np.random.default_rng(4)
        for split, n in (("train", 50), ("valid", 11)):
            tokens = [random.integers(1, SYMBOLS, (n, LENGTH)) for _ in range(2)]
            lengths = [random.integers(1, LENGTH + 1, n) for _ in range(2)]
            for rows, length in zip(tokens, lengths):
                rows[np.arange(LENGTH) >= length[:, None]] = 0
            labels = random.integers(0, CLASSES, n)
            write_split(self.folder + "/pairs", split, SYMBOLS, tokens, lengths, labels, CLASSES)
            write_split(self.folder + "/data", split, SYMBOLS, tokens[0], lengths[0], labels, CLASSES)
        self.input = self.folder + "/input.toml"
        write_input(self.input, self.folder, LENGTH, SYMBOLS)

    def compare(self, *overrides):
        whole = (*DROPOUT, *overrides)
        self.train("whole", *whole)
        for ranks in (2, 3):
            self.train(f"ranks{ranks}", *whole, ranks=ranks)
            self.assert_same_run("whole", f"ranks{ranks}", 12)
        # A constant rate does not know the run's length: a shorter run is a run that was stopped there.
        self.train("parts", *whole, "training.steps=7", "schedule.warmup_steps=5", ranks=3)
        self.train("parts", *whole, "schedule.warmup_steps=5", ranks=2)
        self.train("whole5", *whole, "schedule.warmup_steps=5")
        self.assert_same_run("whole5", "parts", 12)
        texts = [run(["eval", self.run_folder("whole"), "--split", "valid"], ranks=r).stdout for r in (1, 2)]
        self.assertEqual(texts[0], texts[1])

    def test_the_transformer_with_its_cls_vector(self):
        self.compare("attention.form='lra'", "optimizer.decay='all'")

    def test_local_attention_on_pairs(self):
        self.compare("data.task='pairs'", f"data.path='{self.folder}/pairs'", "attention.pattern='local'",
                     "attention.stride=32", "model.pooling='mean'")

    def recurrent(self, family, pooling, *keys):
        """No attention, so that none of its keys are read: as `compare` does, on two threads, two ranks and through a stop."""
        how = (f"model.family='{family}'", "model.heads=8", "model.feedforward=0", "model.positions='grid'",
               "attention.pattern='fixed'", f"model.pooling='{pooling}'", "model.layers=4", "model.dropout=0.2", *keys,
               "training.batch=6", "training.micro_batch=3", "checkpoint.every_steps=3", "evaluation.every_steps=6",
               "schedule.warmup_steps=2")
        self.train("whole", *how, "training.steps=6", threads=2)
        self.train("parts", *how, "training.steps=3", ranks=2)
        self.train("parts", *how, "training.steps=6")
        self.assert_same_run("whole", "parts", 6)

    def test_the_bidirectional_lstm(self):
        self.recurrent("bilstm", "attention", "model.layer_dropout=0.1")
        told = [run(["eval", self.run_folder(n), "--split", "valid"], ranks=r).stdout.split("accuracy")[-1]
                for n, r in (("whole", 1), ("parts", 2))]
        self.assertEqual(*told)

    def test_linear_recurrent_units(self):
        self.recurrent("lru", "mean", "model.state_width=20")

    def test_diagonal_state_space_models(self):
        self.recurrent("s4d", "mean", "model.state_width=9", "optimizer.state_rate=0.5")

    def test_the_running_statistics_of_batch_norms(self):
        """Three micro-batches of padded rows in a step, so that their mean is one of ranks that have one or two each."""
        for stream in ("pre_norm", "post_norm"):
            with self.subTest(stream):
                how = ("model.family='mega'", "model.heads=1", "model.positions='grid'", "model.pooling='mean'",
                       "model.norm='batch'", f"model.stream='{stream}'", "model.dropout=0.1", "model.layers=2",
                       "attention.function='laplace'", "training.batch=6", "training.micro_batch=2",
                       "checkpoint.every_steps=3", "evaluation.every_steps=6", "schedule.warmup_steps=2")
                whole, parts = f"whole_{stream}", f"parts_{stream}"
                self.train(whole, *how, "training.steps=6", threads=2)
                self.train(parts, *how, "training.steps=3", ranks=2)
                self.train(parts, *how, "training.steps=6", "parallel.shard_optimizer=true", ranks=3)
                self.assert_same_run(whole, parts, 6)
                with h5py.File(self.checkpoint(whole, 3)) as early, h5py.File(self.checkpoint(whole, 6)) as late:
                    for norm in ("block.00.norm1", "block.01.norm2"):
                        means, variances = ([file[f"parameters/{norm}.{of}"][...] for file in (early, late)]
                                            for of in ("mean", "variance"))
                        self.assertTrue((means[0] != 0).all() and (means[0] != means[1]).all(), norm)
                        self.assertTrue((variances[0] != 1).all() and (variances[0] != variances[1]).all(), norm)
                        self.assertTrue((variances[1] > 0.9 ** 6).all(), "a step takes a tenth of the new one")
                    self.assertFalse(late["optimizer/m/block.00.norm1.mean"][...].any())
                # What training found at its end is what the weights of the checkpoint give.
                with h5py.File(self.run_folder(whole) + "/metrics.h5") as metrics:
                    loss, accuracy = (metrics[f"epochs/valid_{of}"][-1] for of in ("loss", "accuracy"))
                for name, ranks in ((whole, 1), (parts, 2)):
                    told = run(["eval", self.run_folder(name), "--split", "valid"], ranks=ranks).stdout
                    self.assertIn(f"accuracy {100 * accuracy:.2f} %, {loss:.4f} nats per example", told)

    def test_every_model_of_the_arena_in_both_forms(self):
        common = ("training.batch=3", "training.micro_batch=1", "checkpoint.every_steps=3", "evaluation.every_steps=6",
                  "schedule.warmup_steps=2", "model.layers=2", "model.dropout=0.1", "model.pooling='mean_all'")
        for pattern, keys, of_paper in MODELS:
            for form in ("paper", "lra"):
                with self.subTest(f"{pattern} {form}"):
                    name, parts = f"{pattern}_{form}", f"{pattern}_{form}_parts"
                    how = (*common, f"attention.pattern='{pattern}'", f"attention.form='{form}'", *keys,
                           *(of_paper if form == "paper" else ()))
                    self.train(name, *how, "training.steps=6")
                    self.train(parts, *how, "training.steps=3", ranks=2)
                    self.train(parts, *how, "training.steps=6", ranks=3)
                    self.assert_same_run(name, parts, 6)
                    told = [run(["eval", self.run_folder(n), "--split", "valid"], ranks=r).stdout.split("accuracy")[-1]
                            for n, r in ((name, 1), (parts, 2))]
                    self.assertEqual(*told)

    def test_the_dropout_is_there(self):
        self.train("whole", *DROPOUT)
        for name, key in (("rows", "model.dropout=0"), ("weights", "attention.dropout=0")):
            self.train(name, *DROPOUT, key)
            with self.assertRaises(AssertionError):
                self.assert_same_run("whole", name, 12)


if __name__ == "__main__":
    main()
