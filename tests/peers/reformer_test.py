"""The Reformer's family written out in PyTorch, in float64 with its own automatic differentiation, has the program's loss,
logits and gradients to 1e-4: post-norm and reversible streams, learned and axial positions, tied and untied output, chunks,
full attention with shared queries and keys and LSH attention with one bucket; skipped (77) without PyTorch."""
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
from examples import COPY
from programs import main, run

LIMIT = 1e-4
INPUT = COPY + """layers = 3
width = 32
heads = 2
feedforward = 48
context = 40
vocabulary = 12
[attention]
{1}
""" + arena_twin.ONE_STEP
FULL = 'pattern = "dense"\nshared_qk = true'
LSH = 'pattern = "lsh"\nbuckets = [1]\nrounds = 1\nchunk = 8'


def visible(config, N):
    """Which keys a query sees, its own apart: all before it, or those of its chunk and of the one before."""
    i, j = torch.arange(N)[:, None], torch.arange(N)[None, :]
    sees = j < i
    if config["attention.pattern"] == "lsh":
        m = int(config["attention.chunk"])
        sees = sees & (i // m - j // m <= 1)
    return sees | ((i == j) & ~sees.any(1, keepdim=True))  # itself as a last resort


class Twin:
    def __init__(self, weights, config):
        self.c, self.w = config, {n: t.requires_grad_() for n, t in weights.items()}
        self.D, self.H, self.N = (int(config["model." + k]) for k in ("width", "heads", "context"))

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(x, (self.D,), self.w[name + ".gain"], self.w[name + ".bias"], 1e-5)

    def attention(self, x, block):
        q, v = (x @ self.w[block + "attention.qv.weight"]).chunk(2, -1)
        q, v = (t.unflatten(-1, (self.H, -1)).transpose(1, 2) for t in (q, v))
        k = q / q.norm(dim=-1, keepdim=True)
        score = (q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5
        weight = score.masked_fill(~visible(self.c, self.N), -torch.inf).softmax(-1)
        return (weight @ v).transpose(1, 2).flatten(-2) @ self.w[block + "attention.out.weight"]

    def feed_forward(self, x, block):
        hidden = torch.nn.functional.gelu(x @ self.w[block + "feedforward.in.weight"] + self.w[block + "feedforward.in.bias"])
        return hidden @ self.w[block + "feedforward.out.weight"] + self.w[block + "feedforward.out.bias"]

    def position(self):
        w, t = self.w, torch.arange(self.N)
        if self.c["model.positions"] == "learned":
            return w["embedding.position.0"]
        columns = w["embedding.position.1"].shape[0]
        return torch.cat([w["embedding.position.0"][t // columns], w["embedding.position.1"][t % columns]], 1)

    def embed(self, tokens):
        slots = self.D ** 0.5 * self.w["embedding.token"][tokens] + self.position()
        if self.c["data.scoring"] == "reproduction":
            return slots
        return torch.cat([self.w["embedding.start"].expand(len(tokens), 1, self.D), slots[:, :-1]], 1)

    def logits(self, tokens):
        x = self.embed(tokens)
        stream = self.c["model.stream"]
        one, two = x, x
        for r in range(int(self.c["model.layers"])):
            b = f"block.{r:02d}."
            if stream == "reversible":
                one = one + self.attention(self.norm(two, b + "norm1"), b)
                two = two + self.feed_forward(self.norm(one, b + "norm2"), b)
            elif stream == "post_norm":
                x = self.norm(x + self.attention(x, b), b + "norm1")
                x = self.norm(x + self.feed_forward(x, b), b + "norm2")
            else:
                x = x + self.attention(self.norm(x, b + "norm1"), b)
                x = x + self.feed_forward(self.norm(x, b + "norm2"), b)
        if stream == "reversible":
            x = (one + two) / 2
        if stream != "post_norm":
            x = self.norm(x, "norm")
        output = self.w["output.weight"] if "output.weight" in self.w else self.w["embedding.token"].t()
        return x @ output + self.w["output.bias"]

    def loss(self, tokens):
        half = self.N // 2
        if self.c["data.scoring"] == "reproduction":
            targets = torch.cat([tokens[:, 1:], torch.zeros(len(tokens), 1, dtype=torch.int64)], 1)
            first = half
        else:
            targets, first = tokens, half + 1
        return torch.nn.functional.cross_entropy(self.logits(tokens)[:, first:].flatten(0, 1), targets[:, first:].flatten())


def error(ours, theirs):
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12))


class Reformer(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        run(["generate", "copy", "--to", self.folder + "/copy", "--length", "40", "--symbols", "11", "--examples", "12,4,6"])

    def compare(self, attention, *overrides, spoil=None):
        """The largest relative error of loss, gradients and, where there are any, logits."""
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
