"""Batch normalisation in double precision against torch.nn.BatchNorm1d, given the real rows alone: output, gradients,
and the running statistics that a step with these statistics leaves."""
import importlib.util
import os
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import packages  # noqa: E402
from programs import main  # noqa: E402
from reference import call  # noqa: E402

S, N, D = 3, 70, 5
LIMIT = 1e-12


class BatchNorm(unittest.TestCase):
    def setUp(self):
        if importlib.util.find_spec("torch") is None:
            packages.skip("PyTorch is not installed (Debian: python3-torch)")

    def agrees(self, lengths):
        import torch
        random = np.random.default_rng(3)
        x, dout = random.normal(3, 2, size=(S, N, D)), random.normal(size=(S, N, D))
        real = np.arange(N)[None, :] < np.array(lengths)[:, None]
        theirs = torch.nn.BatchNorm1d(D).double().train()  # eps 1e-5, momentum 0.1
        torch.nn.init.normal_(theirs.weight)
        torch.nn.init.normal_(theirs.bias)
        their_x = torch.tensor(x[real], requires_grad=True)
        their_out = theirs(their_x)
        (their_out * torch.tensor(dout[real])).sum().backward()

        seen = np.zeros((S, (N + 31) // 32), np.uint32)
        for s, i in zip(*np.nonzero(real)):
            seen[s, i // 32] |= np.uint32(1 << (i % 32))
        gain, bias = theirs.weight.detach().numpy(), theirs.bias.detach().numpy()
        out, dx, (mean, r, variance, dgain, dbias) = np.empty_like(x), np.empty_like(x), np.empty((5, D))
        sizes = np.array([S, N, D])
        call("weft_batch_norm_forward", sizes, out, mean, r, variance, x, gain, bias, seen, 1e-5)
        call("weft_batch_norm_backward", sizes, dx, dgain, dbias, dout, x, mean, r, gain, seen)

        def close(mine, their, name):
            self.assertLess(np.abs(mine - their).max() / np.abs(their).max(), LIMIT, name)
        close(out[real], their_out.detach().numpy(), "out")
        close(dx[real], their_x.grad.numpy(), "x")
        close(dgain, theirs.weight.grad.numpy(), "gain")
        close(dbias, theirs.bias.grad.numpy(), "bias")
        close(0.1 * mean, theirs.running_mean.numpy(), "running mean")
        close(0.9 + 0.1 * variance, theirs.running_var.numpy(), "running variance")
        self.assertTrue((out[~real] == 0).all() and (dx[~real] == 0).all())

    def test_whole_sequences(self):
        self.agrees([N, N, N])

    def test_real_rows_alone_count(self):
        self.agrees([N, 33, 1])


if __name__ == "__main__":
    main()
