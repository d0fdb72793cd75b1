"""Diagonal state space models against PyTorch in float64: the double-precision reference, outputs and gradients, and the
program's logits and gradients with those of the same blocks."""
import os
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import one_step  # noqa: E402
from programs import main  # noqa: E402
from reference import call  # noqa: E402

B, N, D, M = 3, 70, 5, 4
LIMIT = 1e-10
INPUT = one_step.classifier("s4d", """state_width = 6
pooling = "mean"
dt_min = 0.01
dt_max = 0.3
{more}
""")


class Convolution(unittest.TestCase):
    def setUp(self):
        one_step.torch_or_skip()

    def agrees(self, directions, lengths):
        import s4d_twin
        import torch
        random = np.random.default_rng(3)
        tensors = {"decay": np.log(0.5) + random.normal(0, 0.3, (D, M)),
                   "angle": np.pi * (np.arange(M) + random.uniform(-0.3, 0.3, (D, M))),
                   "step": np.log(random.uniform(0.003, 0.3, D)), "c": random.normal(size=(directions, D, M, 2)),
                   "skip": random.normal(size=D)}
        real = np.arange(N)[None, :] < np.array(lengths)[:, None]
        x, dy = random.normal(size=(B, N, D)), random.normal(size=(B, N, D))
        theirs = {name: torch.tensor(t, requires_grad=True) for name, t in tensors.items()}
        their_x = torch.tensor(x, requires_grad=True)
        their_y = s4d_twin.convolution(their_x, torch.tensor(real), **theirs)
        (their_y * torch.tensor(dy)).sum().backward()

        seen = np.zeros((B, (N + 31) // 32), np.uint32)
        for b, i in zip(*np.nonzero(real)):
            seen[b, i // 32] |= np.uint32(1 << (i % 32))
        sizes = np.array([B, N, D, M, directions])
        y, dx, gradients = np.empty_like(x), np.empty_like(x), [np.empty_like(t) for t in tensors.values()]
        call("weft_s4d_forward", sizes, y, x, seen, *tensors.values())
        call("weft_s4d_backward", sizes, dx, *gradients, dy, x, seen, *tensors.values())

        def close(mine, their, name):
            self.assertLess(np.abs(mine - their).max() / np.abs(their).max(), LIMIT, name)
        close(y, their_y.detach().numpy(), "y")
        close(dx, their_x.grad.numpy(), "x")
        for (name, their), mine in zip(theirs.items(), gradients):
            close(mine, their.grad.numpy(), name)

    def test_outputs_and_gradients_from_the_front(self):
        self.agrees(1, [N, 20, 32])

    def test_outputs_and_gradients_from_both_ends(self):
        self.agrees(2, [N, 20, 32])


class Model(one_step.Recurrent):
    text, twin, spoilt = INPUT, "s4d_twin.py", "block.00.s4d.angle"


if __name__ == "__main__":
    main()
