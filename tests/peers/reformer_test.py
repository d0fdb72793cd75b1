"""The Reformer's family written out in PyTorch (reformer_twin.py) has the program's loss, logits and gradients to 1e-4:
post-norm and reversible streams, learned and axial positions, tied and untied output, chunks, full attention with shared
queries and keys, LSH attention with one bucket, and with many, where the keys are those that `weft pattern` draws; skipped (77)
without PyTorch. The public Reformers have the same twin's numbers: reformer_whole_test.py."""
import importlib.util
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import h5py
import torch

import arena_twin
import one_step
from examples import COPY
from programs import main, run
from reformer_twin import Twin

LIMIT = 1e-4
INPUT = COPY + """layers = 3
width = 32
heads = 2
feedforward = 48
context = 40
vocabulary = 12
[attention]
{1}
""" + one_step.ONE_STEP
FULL = 'pattern = "dense"\nshared_qk = true'
BUCKETS = 'pattern = "lsh"\nbuckets = [4]\nrounds = 2\nchunk = 6\nfixed_hashes = true'
LSH = 'pattern = "lsh"\nbuckets = [1]\nrounds = 1\nchunk = 8'


def error(ours, theirs):
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12))


class Reformer(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        run(["generate", "copy", "--to", self.folder + "/copy", "--length", "40", "--symbols", "11", "--examples", "12,4,6"])

    def drawn(self, config, checkpoint, split, rows):
        """Which keys the queries saw, as the program draws it: of every layer (rows, H, N, N)."""
        layers, H, N = (int(config["model." + k]) for k in ("layers", "heads", "context"))
        sees = torch.zeros(layers, rows, H, N, N, dtype=torch.bool)
        for r in range(layers):
            for b in range(rows):
                for h in range(H):
                    run(["pattern", checkpoint, "--split", split, "--row", str(b), "--layer", str(r), "--head", str(h), "--csv",
                         self.folder + "/keys.csv"])
                    with open(self.folder + "/keys.csv", encoding="ascii") as f:
                        for line in f:
                            i, *keys = (int(x) for x in line.split(","))
                            sees[r, b, h, i, keys] = True
        return sees

    def compare(self, attention, *overrides, spoil=None, drawn=False):
        """The largest relative error of loss, gradients and, where there are any, logits. drawn: over the drawn keys."""
        path, gradients, logits = (self.folder + "/" + n for n in ("input.toml", "gradients.h5", "logits.h5"))
        with open(path, "w", encoding="ascii") as f:
            f.write(INPUT.format(self.folder, attention))
        run(["train", path, "run.fresh=true", *overrides, "--dump-gradients", gradients])
        first = self.folder + "/runs/run/checkpoints/step-00000000.h5"
        config, weights = arena_twin.load(first)
        # An untied output begins at zero, where nothing behind it has a gradient that could be compared.
        twin = Twin(weights, config)
        if spoil:
            spoil(twin)
        tokens = arena_twin.split_of(config, "train")[0]
        if drawn:
            sees = self.drawn(config, first, "train", len(tokens))
            self.assertLess(sees.double().mean(), 0.2)  # full attention: 0.5
            twin.attend = lambda q, v, layer: twin.softmax(q, v, layer, sees[layer])
        twin.loss(tokens).backward()
        worst = 0
        with h5py.File(gradients) as f:
            for name, weight in twin.w.items():
                found = torch.tensor((f["parameters"] if "parameters" in f else f)[name][()]).double()
                self.assertTrue(torch.isfinite(found).all(), name)
                worst = max(worst, error(found, weight.grad) if weight.grad.abs().max() > 0 else float(found.norm()))
        if config["model.loss_chunks"] == "1":
            run(["eval", first, "--split", "test", "--logits", logits])
            with h5py.File(logits) as f:
                ours = torch.tensor(f["logits"][()]).double()
            if drawn:
                of_test = self.drawn(config, first, "test", ours.shape[0])
                twin.attend = lambda q, v, layer: twin.softmax(q, v, layer, of_test[layer])
            with torch.no_grad():
                theirs = twin.logits(arena_twin.split_of(config, "test")[0][:ours.shape[0]])
            if theirs.abs().max() > 0:
                worst = max(worst, error(ours.reshape(theirs.shape), theirs))
        return worst

    def test_the_reproduction_with_full_attention(self):
        self.assertLess(self.compare(FULL, "model.stream=post_norm", "model.positions=learned", "model.tied_embedding=true",
                                     "data.scoring=reproduction"), LIMIT)

    def test_reversible_streams_with_axial_positions_and_chunks(self):
        for attention in (FULL, LSH):
            self.assertLess(self.compare(attention, "model.stream=reversible", "model.positions=axial",
                                         "model.position_shape=[8, 5]", "model.position_widths=[12, 20]",
                                         "model.tied_embedding=true", "model.feedforward_chunks=3", "model.loss_chunks=2"), LIMIT)

    def test_many_buckets_with_the_keys_that_are_drawn(self):
        self.assertLess(self.compare(BUCKETS, "model.stream=reversible", "model.positions=axial", "model.layers=2",
                                     "model.position_shape=[8, 5]", "model.tied_embedding=true", "model.feedforward_chunks=3",
                                     drawn=True), LIMIT)

    def test_post_norm_with_lsh(self):
        self.assertLess(self.compare(LSH, "model.stream=post_norm", "model.positions=learned", "model.tied_embedding=true"), LIMIT)

    def test_an_output_matrix_of_its_own(self):
        self.assertLess(self.compare(LSH, "model.stream=pre_norm", "model.positions=learned"), LIMIT)

    def test_a_wrong_formula_is_noticed(self):
        def other_scale(twin):
            twin.attention = lambda x, block, right=twin.attention: 1.01 * right(x, block)
        self.assertGreater(self.compare(FULL, "model.stream=reversible", "model.positions=learned", "model.tied_embedding=true",
                                        spoil=other_scale), LIMIT)


if __name__ == "__main__":
    main()
