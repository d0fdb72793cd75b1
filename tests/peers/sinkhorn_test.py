"""Sinkhorn and Local attention against sinkhorn-transformer and local-attention, and their released forms against a PyTorch
transcription of what they are said to be: the double references, and the program as a whole."""
import importlib.util
import os
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import h5py
import numpy
import torch

import packages
from arena_twin import config_of, split_of
from examples import write_input, write_split
from programs import main, run
from reference import call
import sinkhorn_twin as twin

packages.need("einops==0.6.1", "axial-positional-embedding==0.2.1", "product-key-memory==0.1.10", "local-attention==1.11.2",
              "sinkhorn-transformer==0.11.4")
# local-attention asks for it in a class that is not used here; the rest of it needs a newer PyTorch.
sys.modules["hyper_connections"] = types.SimpleNamespace(get_init_and_expand_reduce_stream_functions=None)


def random(*shape, seed=1):
    return numpy.random.default_rng(seed).normal(size=shape)


def words(bits):
    """(S, N) truth values as the program's key bits."""
    S, N = bits.shape
    out = numpy.zeros((S, -(-N // 32)), numpy.uint32)
    for s, i in zip(*numpy.nonzero(bits)):
        out[s, i // 32] |= numpy.uint32(1 << (i % 32))
    return out


def block_keys(N, lists):
    begin = numpy.cumsum([0] + [len(keys) for keys in lists])
    assert len(lists) == N
    return begin, numpy.concatenate([numpy.asarray(keys, numpy.int32) for keys in lists] + [numpy.zeros(0, numpy.int32)])


class Peers(unittest.TestCase):
    def test_the_normalisation_is_the_ports(self):
        from sinkhorn_transformer.sinkhorn_transformer import sinkhorn_sorting_operator
        for n, iterations, tau in ((1, 3, 1.0), (7, 1, 1.0), (20, 8, 0.75)):
            logits = random(n, n) * 2
            x = torch.tensor(logits, requires_grad=True)
            theirs = sinkhorn_sorting_operator(x[None] / tau, iterations)[0]
            slope = random(n, n, seed=2)
            theirs.backward(torch.tensor(slope))
            ours, dlogits = numpy.empty((n, n)), numpy.empty((n, n))
            call("weft_sinkhorn_forward", ours, logits, n, iterations, tau)
            call("weft_sinkhorn_backward", dlogits, slope, logits, n, iterations, tau)
            numpy.testing.assert_allclose(ours, theirs.detach(), atol=1e-12)
            numpy.testing.assert_allclose(dlogits, x.grad, atol=1e-12)

    def test_attention_in_blocks_is_that_of_local_attention(self):
        from local_attention import LocalAttention
        B, N, H, E, block = 2, 24, 3, 5, 8
        q, k, v, dout = random(4, B, N, H, E)
        x = [torch.tensor(t.transpose(0, 2, 1, 3).copy(), requires_grad=True) for t in (q, k, v)]
        layer = LocalAttention(window_size=block, causal=False, look_backward=0, look_forward=0, use_rotary_pos_emb=False)
        theirs = layer(*x)
        theirs.backward(torch.tensor(dout.transpose(0, 2, 1, 3).copy()))
        sizes = numpy.array([B, N, H, E, E])
        begin, keys = block_keys(N, [range(i // block * block, (i // block + 1) * block) for i in range(N)])
        out, lse = numpy.empty_like(v), numpy.empty((B, H, N))
        call("weft_attention_forward", sizes, begin, keys, out, lse, q, k, v)
        numpy.testing.assert_allclose(out, theirs.detach().transpose(1, 2), atol=1e-12)
        slopes = [numpy.empty_like(q) for _ in range(3)]
        call("weft_attention_backward", sizes, begin, keys, *slopes, dout, q, k, v)
        for ours, t in zip(slopes, x):
            numpy.testing.assert_allclose(ours, t.grad.transpose(1, 2), atol=1e-12)

    def test_attention_to_own_and_sorted_blocks_is_the_ports(self):
        """Its sort net without noise. Values are the keys here: the port mixes keys where it means values."""
        from sinkhorn_transformer import sinkhorn_transformer as port
        B, N, H, E, block = 2, 24, 2, 4, 6
        q, k = random(2, B, N, H, E)
        gumbel, port.sample_gumbel = port.sample_gumbel, lambda shape, *_: torch.zeros(shape)
        self.addCleanup(setattr, port, "sample_gumbel", gumbel)
        heads = lambda t: torch.tensor(t.transpose(0, 2, 1, 3).copy())
        layer = port.SinkhornAttention(block, H * E, E, H, N, non_permutative=False)
        theirs = layer(heads(q), heads(k), heads(k)).detach().transpose(1, 2)
        P = layer.sort_net(heads(q).reshape(B * H, N, E), heads(k).reshape(B * H, N, E)).detach().numpy()
        sorted_k = numpy.empty((B, N, H, E))
        call("weft_mix_blocks_forward", numpy.array([B, N, block, H, E]), sorted_k, k, numpy.ascontiguousarray(P))
        both, queries = numpy.concatenate([k, sorted_k], 1), numpy.concatenate([q, 0 * q], 1)
        own = lambda i: range(i // block * block, (i // block + 1) * block)
        begin, keys = block_keys(2 * N, [[*own(i), *(N + j for j in own(i))] for i in range(N)] + [[]] * N)
        out, lse = numpy.empty_like(both), numpy.empty((B, H, 2 * N))
        call("weft_attention_forward", numpy.array([B, 2 * N, H, E, E]), begin, keys, out, lse, queries, both, both)
        numpy.testing.assert_allclose(out[:, :N], theirs, atol=1e-12)


class Released(unittest.TestCase):
    def compare(self, sinkhorn, N, block, real):
        S, H, E, Ev = len(real) if real is not None else 2, 2, 3, 4
        q, k = random(2, S, N, H, E)
        v, dout = random(2, S, N, H, Ev, seed=2)
        x = [torch.tensor(t, requires_grad=True) for t in (q, k, v)]
        seen = torch.tensor(real) if real is not None else torch.ones(S, N, dtype=torch.bool)
        theirs = (twin.released_sinkhorn if sinkhorn else twin.released_local)(*x, seen, block)
        theirs.backward(torch.tensor(dout))
        sizes, bits = numpy.array([S, N, H, E, Ev, block]), None if real is None else words(real)
        out = numpy.empty_like(v)
        call("weft_released_forward", sizes, int(sinkhorn), out, q, k, v, bits)
        numpy.testing.assert_allclose(out, theirs.detach(), atol=1e-12)
        slopes = [numpy.empty_like(t) for t in (q, k, v)]
        call("weft_released_backward", sizes, int(sinkhorn), *slopes, dout, q, k, v, bits)
        for ours, t in zip(slopes, x):
            numpy.testing.assert_allclose(ours, t.grad, atol=1e-12)

    def masks(self, N):
        """All real, the front, black pixels, nothing."""
        lengths = numpy.arange(N) < 2 * N // 3
        return numpy.array([numpy.ones(N, bool), lengths, numpy.random.default_rng(3).random(N) < 0.4, numpy.zeros(N, bool)])

    def test_local(self):
        for N, block in ((12, 4), (13, 4), (50, 7), (5, 5), (3, 8)):
            self.compare(False, N, block, None)
            self.compare(False, N, block, self.masks(N))

    def test_sinkhorn(self):
        for N, block in ((12, 4), (48, 6), (5, 5), (40, 8)):
            self.compare(True, N, block, None)
            self.compare(True, N, block, self.masks(N))


class Programs(unittest.TestCase):
    """Logits and gradients of the whole encoder, fp32 against float64."""
    LENGTH, SYMBOLS, CLASSES = 40, 9, 3

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        draw = numpy.random.default_rng(4)
        for split, n in (("train", 12), ("test", 6)):
            tokens = draw.integers(0, self.SYMBOLS, (n, self.LENGTH))  # token 0 inside rows, too
            lengths = draw.integers(5, self.LENGTH + 1, n)
            lengths[0] = self.LENGTH
            tokens[numpy.arange(self.LENGTH) >= lengths[:, None]] = 0
            write_split(self.folder + "/data", split, self.SYMBOLS, tokens, lengths, draw.integers(0, self.CLASSES, n), self.CLASSES)

    def compare(self, *overrides):
        path, gradients, logits = (self.folder + "/" + name for name in ("input.toml", "gradients.h5", "logits.h5"))
        write_input(path, self.folder, self.LENGTH, self.SYMBOLS)
        run(["train", path, "run.fresh=true", "training.steps=1", "training.batch=12", "training.micro_batch=6",
             "schedule.warmup_steps=0", "model.layers=2", "checkpoint.initial=true", "checkpoint.keep=9", *overrides,
             "--dump-gradients", gradients])
        first = self.folder + "/runs/run/checkpoints/step-00000000.h5"
        run(["eval", first, "--split", "test", "--logits", logits])
        with h5py.File(first) as f:
            config, weights = config_of(f), {}
            f["parameters"].visititems(lambda n, d: weights.__setitem__(n, torch.tensor(d[()]).double())
                                       if isinstance(d, h5py.Dataset) else None)
        model = twin.SinkhornTwin(weights, config)
        tokens, real, labels = split_of(config, "train")
        torch.nn.functional.cross_entropy(model(tokens, real), labels).backward()
        with h5py.File(gradients) as f:
            group = f["parameters"] if "parameters" in f else f
            for name, weight in model.w.items():
                ours, theirs = torch.tensor(group[name][()]).double(), weight.grad
                if theirs is None:  # nothing reads it
                    self.assertEqual(float(ours.abs().max()), 0, name)
                    continue
                self.assertLess(float((ours - theirs).norm()), 1e-4 * float(theirs.norm()) + 1e-7, name)
        with h5py.File(logits) as f:
            ours = torch.tensor(f["logits"][()]).double()
        tokens, real, _ = split_of(config, "test")
        theirs = model(tokens[:len(ours)], real[:len(ours)]).detach()
        self.assertLess(float((ours - theirs).norm()), 1e-4 * float(theirs.norm()))

    def test_local_as_released(self):
        for pooling in ("cls", "mean", "mean_all"):
            self.compare("attention.pattern='local'", "attention.form='lra'", "attention.stride=8", f"model.pooling='{pooling}'")

    def test_sinkhorn_as_released(self):
        self.compare("attention.pattern='sinkhorn'", "attention.form='lra'", "attention.stride=8", "model.pooling='mean_all'")

    def test_sinkhorn(self):
        plain = ("attention.pattern='sinkhorn'", "attention.noise=false", "attention.temperature=4")
        self.compare(*plain, "attention.stride=8", "model.pooling='cls'")
        self.compare(*plain, "attention.stride=7", "model.pooling='mean'", "attention.sort_net='linear'")
        self.compare(*plain, "attention.stride=9", "model.pooling='mean_all'", "attention.sort_cut=2")

    def test_a_wrong_gradient_would_be_noticed(self):
        right = twin.sinkhorn_matrix
        self.addCleanup(setattr, twin, "sinkhorn_matrix", right)
        twin.sinkhorn_matrix = lambda logits, iterations, temperature: right(logits, iterations - 1, temperature)
        with self.assertRaises(AssertionError):
            self.compare("attention.pattern='sinkhorn'", "attention.noise=false", "attention.iterations=2", "attention.stride=8")


if __name__ == "__main__":
    main()
