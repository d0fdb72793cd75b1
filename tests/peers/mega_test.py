"""MEGA against Hugging Face's in float64: the double-precision reference of the damped moving average, output and
gradients, and the program's logits and gradients with those of the same blocks."""
import os
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import mega_peer  # noqa: E402
import one_step  # noqa: E402
from programs import main  # noqa: E402
from reference import call  # noqa: E402

B, N, D, STATES = 3, 37, 5, 16
LIMIT = 1e-10
INPUT = one_step.classifier("mega", """heads = 1
stream = "{stream}"
feedforward = 40
pooling = "mean"
norm = "{norm}"
[attention]
pattern = "{pattern}"
shared_width = 12
value_width = 32
states = 5
{more}
""")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Ema(unittest.TestCase):
    def setUp(self):
        self.mega = mega_peer.mega()
        import torch
        torch.manual_seed(3)
        self.torch = torch

    def module(self, bidirectional):
        torch = self.torch
        config = self.mega.MegaConfig(hidden_size=D, ema_projection_size=STATES, bidirectional=bidirectional)
        module = self.mega.MegaMultiDimensionDampedEma(config).double().train()  # an evaluation keeps old kernels

        mega_peer.exact_convolution(module)
        for p in module.parameters():
            torch.nn.init.normal_(p)
        return module

    def agrees(self, bidirectional, lengths):
        torch = self.torch
        module, directions = self.module(bidirectional), 2 if bidirectional else 1
        x = torch.randn(N, B, D, dtype=torch.float64, requires_grad=True)  # its axes: position, sequence, channel
        real = np.arange(N)[None, :] < np.array(lengths)[:, None]
        theirs = module(x, attention_mask=torch.tensor(real, dtype=torch.float64))[0]
        dout = np.random.default_rng(1).normal(size=(B, N, D)) * real[:, :, None]
        (theirs * torch.tensor(dout.transpose(1, 0, 2))).sum().backward()

        names = ["damping_factor", "decay_factor", "ema_expansion_matrix", "kernel_projection_matrix",
                 "residual_weight"]
        tensors = [np.ascontiguousarray(getattr(module, name).detach().numpy()) for name in names]
        words = (N + 31) // 32
        seen = np.zeros((B, words), np.uint32)
        for b, i in zip(*np.nonzero(real)):
            seen[b, i // 32] |= np.uint32(1 << (i % 32))
        sizes = np.array([B, N, D, STATES, directions])
        ours_x = np.ascontiguousarray(x.detach().numpy().transpose(1, 0, 2))
        u, dx, gradients = np.empty_like(ours_x), np.empty_like(ours_x), [np.empty_like(t) for t in tensors]
        call("weft_ema_forward", sizes, u, ours_x, seen, *tensors)
        s = sigmoid(u)  # SiLU is not part of ours
        du = np.ascontiguousarray(dout * (s + u * s * (1 - s)))
        call("weft_ema_backward", sizes, dx, *gradients, du, ours_x, seen, *tensors)

        def close(mine, their, name):
            self.assertGreater(np.abs(their).max(), 1e-3, name)
            self.assertLess(np.abs(mine - their).max() / np.abs(their).max(), LIMIT, name)
        close((u * s)[real], theirs.detach().numpy().transpose(1, 0, 2)[real], "out")
        close(dx[real], x.grad.numpy().transpose(1, 0, 2)[real], "x")
        for name, mine in zip(names, gradients):
            close(mine, getattr(module, name).grad.numpy(), name)

    def test_output_and_gradients_from_both_ends(self):
        self.agrees(True, [N, 20, 32])

    def test_output_and_gradients_from_the_front(self):
        self.agrees(False, [N, 20, 32])


class Model(unittest.TestCase):
    def setUp(self):
        mega_peer.mega()
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def compare(self, pattern, more, norm="layer", stream="post_norm", change=None):
        sizes = one_step.listops(self.folder)
        text = INPUT.format(folder=self.folder, pattern=pattern, more=more, norm=norm, stream=stream, **sizes)
        files = one_step.take(self.folder, text)
        if change:
            change(files[1])
        return one_step.judged("mega_twin.py", files)

    def test_all_positions(self):
        done = self.compare("dense", "")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("agrees", done.stdout)

    def test_chunks_and_scale_norms(self):
        done = self.compare("block_bidirectional", "stride = 16", "scale")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("agrees", done.stdout)

    def test_norms_in_front(self):
        for norm in ("layer", "scale"):
            done = self.compare("chunk", "stride = 16", norm, "pre_norm")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("agrees", done.stdout)

    def test_weights_of_single_scores_and_rotary_bias(self):
        for pattern, function, bias in (("dense", "laplace", "simple"), ("chunk", "relu2", "rotary"),
                                        ("dense", "softmax", "rotary"), ("chunk", "laplace", "rotary")):
            with self.subTest(f"{pattern} {function} {bias}"):
                stride = "stride = 16\n" if pattern == "chunk" else ""
                done = self.compare(pattern, f'{stride}function = "{function}"\nbias = "{bias}"')
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("agrees", done.stdout)

    def test_a_wrong_gradient_is_noticed(self):
        import h5py

        def spoil(path):
            with h5py.File(path, "r+") as f:
                group = f["parameters"] if "parameters" in f else f
                group["block.00.ema.delta"][...] *= 1.01
        done = self.compare("dense", "", change=spoil)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
