"""Diagonal state space models as a PyTorch user would write them, complex kernels and FFTs, in float64.

  s4d_twin.py --checkpoint STEP-0.h5 --gradients GRADIENTS.h5 --logits LOGITS.h5

Compares as arena_twin.py does.
"""
import sys

import arena_twin
import lru_twin
import torch


def kernel(length, decay, angle, step, c):
    """(D, length) from decay and angle (D, M), step (D), c (D, M, 2)."""
    a = torch.complex(-decay.exp(), angle)
    turned = step.exp()[:, None] * a
    weights = torch.view_as_complex(c.contiguous()) * (turned.exp() - 1) / a
    powers = (turned[:, :, None] * torch.arange(length)).exp()
    return 2 * torch.einsum("dm,dml->dl", weights, powers).real


def convolution(x, real, decay, angle, step, c, skip):
    """x (S, N, D), c (directions, D, M, 2); each direction is a linear convolution through FFTs of twice the length."""
    n = x.shape[1]
    x = (x * real[:, :, None]).transpose(1, 2)
    y = skip[:, None] * x
    for k, of in enumerate(c):
        turned = x.flip(-1) if k else x
        spectrum = torch.fft.rfft(turned, 2 * n) * torch.fft.rfft(kernel(n, decay, angle, step, of), 2 * n)
        out = torch.fft.irfft(spectrum, 2 * n)[..., :n]
        y = y + (out.flip(-1) if k else out)
    return y.transpose(1, 2) * real[:, :, None]


class Twin(lru_twin.Twin):
    family = "s4d"

    def mixed(self, x, real, w):
        return convolution(x, real, w("decay"), w("angle"), w("step"), w("c"), w("skip"))


if __name__ == "__main__":
    arena_twin.Twin = Twin
    sys.exit(arena_twin.main())
