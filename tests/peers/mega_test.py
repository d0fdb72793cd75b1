"""The damped moving average of MEGA: our double-precision reference against Hugging Face's in float64, output and gradients.

Its FFT is cast to float32 there (2e-7 and more), so that it is replaced by the same one in float64.
"""
import importlib.util
import os
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import packages  # noqa: E402
from programs import main  # noqa: E402
from reference import call  # noqa: E402

B, N, D, STATES = 3, 37, 5, 16
LIMIT = 1e-10


def torch_and_mega():
    if importlib.util.find_spec("torch") is None:
        packages.skip("PyTorch is not installed (Debian: python3-torch)")
    packages.need("transformers==4.41.2", "tokenizers==0.19.1", "huggingface-hub==0.23.5", "safetensors==0.4.3",
                  "regex==2024.5.15", "tqdm==4.66.4", "filelock==3.14.0", "fsspec==2024.5.0")
    os.environ["USE_TF"] = os.environ["USE_FLAX"] = "0"
    import torch
    from transformers.models.mega import modeling_mega
    torch.manual_seed(3)
    return torch, modeling_mega


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Ema(unittest.TestCase):
    def setUp(self):
        self.torch, mega = torch_and_mega()
        self.mega = mega

    def module(self, bidirectional):
        torch = self.torch
        config = self.mega.MegaConfig(hidden_size=D, ema_projection_size=STATES, bidirectional=bidirectional)
        module = self.mega.MegaMultiDimensionDampedEma(config).double().train()  # an evaluation keeps old kernels

        def convolution(inputs, kernel, length):
            return torch.fft.irfft(torch.fft.rfft(inputs, n=2 * length) * torch.fft.rfft(kernel, n=2 * length), n=2 * length)
        module.fft_convolution = convolution
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

        names = ["damping_factor", "decay_factor", "ema_expansion_matrix", "kernel_projection_matrix", "residual_weight"]
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


if __name__ == "__main__":
    main()
