"""The key sets of Sparse, Longformer and BigBird against others.

Hugging Face's Longformer and BigBird in float64: what they compute, forward and backward, is softmax attention over the keys
that `weft pattern` lists, in the double-precision reference. And the released forms of the Long Range Arena against masks that
NumPy and its own generator make of their description.
"""
import importlib.util
import os
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import packages  # noqa: E402
from programs import main, run  # noqa: E402
from reference import call  # noqa: E402

INPUT = """
[data]
path = "none"
task = "{task}"
[model]
family = "arena"
layers = 3
width = 8
heads = {heads}
context = {context}
vocabulary = 16
classes = 2
positions = "none"
pooling = "{pooling}"
[attention]
pattern = "{pattern}"
[training]
steps = 1
"""


class Patterns:
    """Key lists as the program prints them."""

    def __init__(self, test):
        scratch = tempfile.TemporaryDirectory()
        test.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def keys(self, pattern, context, *overrides, task="classify", pooling="mean", heads=2, layer=0, head=0):
        path, out = self.folder + "/input.toml", self.folder + "/keys.csv"
        with open(path, "w", encoding="ascii") as f:
            f.write(INPUT.format(task=task, heads=heads, context=context, pooling=pooling, pattern=pattern))
        run(["pattern", path, *overrides, "--layer", str(layer), "--head", str(head), "--csv", out])
        with open(out, encoding="ascii") as f:
            return [[int(x) for x in line.split(",")[1:]] for line in f]

    def mask(self, *arguments, **named):
        lists = self.keys(*arguments, **named)
        mask = np.zeros((len(lists), len(lists)), bool)
        for i, keys in enumerate(lists):
            mask[i, keys] = True
        return mask


def attend(keys, q, k, v, dout):
    """out, dq, dk, dv over these key lists: (B, N, H, E) arrays."""
    B, N, H, E = q.shape
    sizes, begin = np.array([B, N, H, E, E]), np.concatenate([[0], np.cumsum([len(row) for row in keys])])
    flat = np.array([j for row in keys for j in row], dtype=np.int32)
    q, k, v, dout = (np.ascontiguousarray(x) for x in (q, k, v, dout))
    out, lse, gradients = np.empty_like(q), np.empty((B, H, N)), [np.empty_like(q) for _ in range(3)]
    call("weft_attention_forward", sizes, begin, flat, out, lse, q, k, v)
    call("weft_attention_backward", sizes, begin, flat, *gradients, dout, q, k, v)
    return out, *gradients


def torch_and_transformers():
    if importlib.util.find_spec("torch") is None:
        packages.skip("PyTorch is not installed (Debian: python3-torch)")
    packages.need(*packages.TRANSFORMERS)
    os.environ["USE_TF"] = os.environ["USE_FLAX"] = "0"
    import torch
    import transformers
    torch.manual_seed(3)
    return torch, transformers


class Peer(unittest.TestCase):
    def setUp(self):
        self.patterns = Patterns(self)
        self.torch, self.transformers = torch_and_transformers()

    def project(self, layer, x, B, N, H):
        """(B, N, H, E) of a linear layer's outputs, without torch's own graph."""
        return (x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()).reshape(B, N, H, -1)

    def compare(self, module, names, x, dout, out, theirs, gradients, real, limit):
        """Output, the gradient of x, and of each projection's weight and bias."""
        (theirs * self.torch.tensor(dout.reshape(theirs.shape))).sum().backward()
        np.testing.assert_allclose(out.reshape(theirs.shape)[real], theirs.detach().numpy()[real], rtol=0, atol=limit)
        dx = np.zeros_like(x.detach().numpy())
        for name, gradient in zip(names, gradients):
            layer, rows = getattr(module, name), gradient.reshape(-1, dx.shape[-1])
            dx += (rows @ layer.weight.detach().numpy()).reshape(dx.shape)
            self.assertGreater(np.abs(rows).max(), 0, name)
            # The biases of keys move all scores of a row alike: their gradients are zero.
            for ours, parameter in ((rows.T @ x.detach().numpy().reshape(rows.shape), layer.weight), (rows.sum(0), layer.bias)):
                np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=0, atol=limit * max(1, np.abs(ours).max()),
                                           err_msg=name)
        np.testing.assert_allclose(dx, x.grad.numpy(), rtol=0, atol=limit * max(1, np.abs(dx).max()))


class LongformerPeer(Peer):
    """Its softmax is fp32: 2e-7."""
    B, N, H, E, W, G = 2, 96, 2, 4, 16, 1

    def test_window_and_a_global_first_token(self):
        torch, B, N, H, D = self.torch, self.B, self.N, self.H, self.H * self.E
        config = self.transformers.LongformerConfig(hidden_size=D, num_attention_heads=H, attention_window=[self.W],
                                                    attention_probs_dropout_prob=0.0, num_hidden_layers=1)
        from transformers.models.longformer.modeling_longformer import LongformerSelfAttention
        module = LongformerSelfAttention(config, 0).double()
        x = torch.randn(B, N, D, dtype=torch.float64, requires_grad=True)
        lengths = [N, 70]  # the second row is padded
        padded = torch.arange(N)[None, :] >= torch.tensor(lengths)[:, None]
        world = (torch.arange(N) < self.G)[None, :].expand(B, N)
        mask = torch.zeros(B, N, dtype=torch.float64).masked_fill(padded, -10000.0).masked_fill(world, 10000.0)
        theirs = module(x, attention_mask=mask, is_index_masked=padded, is_index_global_attn=world, is_global_attn=True)[0]
        real = ~padded.numpy()
        dout = np.random.default_rng(1).normal(size=(B, N, H, self.E)) * real[:, :, None, None]
        keys = self.patterns.keys("longformer", N, f"attention.window={self.W}", f"attention.global={self.G}")
        self.assertEqual(keys[0], list(range(N)))
        self.assertEqual(keys[50], [0] + list(range(42, 59)))
        names = ["query", "key", "value", "query_global", "key_global", "value_global"]
        q = [self.project(getattr(module, n), x.detach().numpy(), B, N, H) for n in names]
        out, gradients = np.zeros((B, N, H, self.E)), [np.zeros_like(one) for one in q]
        for b, length in enumerate(lengths):
            seen = [[j for j in row if j < length] for row in keys]
            local = [[] if i < self.G else row for i, row in enumerate(seen)]
            everywhere = [row if i < self.G else [] for i, row in enumerate(seen)]
            for first, lists in ((0, local), (3, everywhere)):
                one, *three = attend(lists, *(a[b:b + 1] for a in q[first:first + 3]), dout[b:b + 1])
                out[b] += one[0]
                for n, gradient in enumerate(three):
                    gradients[first + n][b] = gradient[0]
        self.compare(module, names, x, dout, out, theirs, gradients, real, 1e-6)


class BigBirdPeer(Peer):
    H, E = 2, 4

    def module(self, seed):
        config = self.transformers.BigBirdConfig(hidden_size=self.H * self.E, num_attention_heads=self.H, block_size=64,
                                                 num_random_blocks=3, max_position_embeddings=4096, use_bias=True,
                                                 attention_probs_dropout_prob=0.0)
        from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention
        return BigBirdBlockSparseAttention(config, seed=seed).double().train()  # evaluation would draw block 0 only

    def agrees(self, N, seed, keys_of_head):
        """No padding: the last rows would not be compared."""
        torch, H = self.torch, self.H
        from transformers.models.big_bird.modeling_big_bird import BigBirdModel
        module = self.module(seed)
        x = torch.randn(1, N, H * self.E, dtype=torch.float64, requires_grad=True)
        blocked, band, rows, columns = BigBirdModel.create_masks_for_block_sparse_attn(torch.ones(1, N, dtype=torch.float64), 64)
        theirs = module(x, band_mask=band, from_mask=rows, to_mask=columns, from_blocked_mask=blocked,
                        to_blocked_mask=blocked)[0]
        dout = np.random.default_rng(1).normal(size=(1, N, H, self.E))
        names = ["query", "key", "value"]
        q = [self.project(getattr(module, n), x.detach().numpy(), 1, N, H) for n in names]
        out, gradients = np.empty_like(dout), [np.empty_like(dout) for _ in names]
        for h in range(H):
            part = [a[:, :, h:h + 1] for a in (*q, dout)]
            for to, one in zip((out, *gradients), attend(keys_of_head(h), *part)):
                to[:, :, h:h + 1] = one
        self.compare(module, names, x, dout, out, theirs, gradients, np.ones((1, N), bool), 1e-12)

    def test_the_plan_for_other_lengths(self):
        for N, seed in ((768, 0), (1280, 2)):
            self.agrees(N, seed, lambda h: self.patterns.keys("bigbird", N, "attention.stride=64", heads=self.H, layer=seed,
                                                              head=h))

    def test_the_table_for_1024(self):
        # It is cut from one for 4,096: its rows may draw block 15, the last, which then counts twice, and the two rows before
        # the last draw as those between. Ours is that of the arena's code; so the keys are built from the module's here.
        N, seed = 1024, 1
        np.random.seed(seed)
        tables = [self.module(seed)._bigbird_block_rand_mask(4096, 4096, 64, 64, 3, last_idx=1024)[:14] for _ in range(self.H)]

        def keys(h):
            rows = []
            for block in range(16):
                near = {0, block - 1, block, block + 1, 15}
                seen = list(range(16)) if block in (0, 15) else sorted(near) + list(tables[h][block - 1])
                rows += [[64 * b + s for b in seen for s in range(64)]] * 64
            return rows
        self.agrees(N, seed, keys)

    def test_the_table_for_4096_up_to_where_the_arena_draws_otherwise(self):
        np.random.seed(0)
        table = self.module(0)._bigbird_block_rand_mask(4096, 4096, 64, 64, 3, last_idx=1024)
        keys = self.patterns.keys("bigbird", 4096, "attention.stride=64", heads=self.H)
        for block in range(1, 61):
            want = {0, block - 1, block, block + 1, 63} | set(table[block - 1])
            self.assertEqual({j // 64 for j in keys[64 * block]}, want, block)


class ReleasedForms(unittest.TestCase):
    """attention.form = "lra" with the arena's own sizes."""

    def setUp(self):
        self.patterns = Patterns(self)

    def test_sparse(self):
        def predicate(length):
            q, k = np.arange(length)[:, None], np.arange(length)[None, :]
            return (k <= q) & ((q // 50 == k // 50) | (k % 50 == 0) | (k % 50 >= 40))

        def in_front(mask):
            full = np.ones((len(mask) + 1, len(mask) + 1), bool)
            full[1:, 1:] = mask
            return full
        keys = ("attention.form=lra", "attention.stride=50", "attention.summary=10")
        for want, context, task, pooling in ((in_front(predicate(1000)), 1000, "classify", "cls"),
                                             (in_front(predicate(1023)), 1024, "pairs", "cls"),
                                             (predicate(1024), 1024, "classify", "mean_all")):
            got = self.patterns.mask("sparse", context, *keys, task=task, pooling=pooling)
            np.testing.assert_array_equal(got, want, f"{task} {pooling}")

    def test_longformer(self):
        offset = np.arange(1001)[None, :] - np.arange(1001)[:, None]
        got = self.patterns.mask("longformer", 1000, "attention.form=lra", "attention.window=512", pooling="cls")
        np.testing.assert_array_equal(got, (offset >= -255) & (offset <= 256))

    def test_big_bird(self):
        for context, pooling, heads in ((1000, "cls", 4), (2000, "cls", 8), (1024, "cls", 1), (1024, "mean_all", 2)):
            slots = context + (pooling == "cls")
            blocks, layer = slots // 64 + 1, 1
            last, middle = min(64 * blocks, 1024) // 64 - 1, range(1, blocks - 1)
            random = np.random.RandomState(layer)
            for head in range(heads):
                sees = np.zeros((blocks, blocks), bool)
                sees[[0, -1]] = sees[:, [0, -1]] = True
                for q in middle:
                    candidates = {1: [k for k in middle if 3 <= k <= last], 2: [k for k in middle if 4 <= k <= last],
                                  blocks - 3: list(range(1, last - 3)), blocks - 2: list(range(1, last - 2))}.get(
                                      q, [k for k in middle if k <= last and not q - 2 < k < q + 2])
                    sees[q, q - 1:q + 2] = True
                    sees[q, random.permutation(candidates)[:3]] = True
                if head in (0, heads - 1):
                    got = self.patterns.mask("bigbird", context, "attention.form=lra", "attention.stride=64", pooling=pooling,
                                             heads=heads, layer=layer, head=head)
                    np.testing.assert_array_equal(got, sees.repeat(64, 0).repeat(64, 1)[:slots, :slots], f"{context} {head}")


if __name__ == "__main__":
    main()
